"""Panel: a variable over depth, one small chart for each part."""

import json

import altair as alt

from gedanken.report.data import Data
from gedanken.report.null_runs import KINDS, LINES
from gedanken.report.panels.base import (
    ROWS,
    SPREAD,
    VALUE_TIP,
    Control,
    Panel,
    Y,
    by_scale,
    entering,
    layered_quantities,
    tooltip,
    value_axis,
)  # fmt: skip

_NAMES = {"value": "measured", **{f"null_{kind}": told for kind, told in KINDS.items()}}


def chart(scale: str, null_runs: bool = True) -> alt.FacetChart:
    """Small multiples by part: value with its interval over the layers, on the null's band, beside null runs if any."""
    axis = value_axis("value:Q", Y, scale)
    ticks = alt.Axis(format="d", tickMinStep=1, tickCount=4)
    layer = alt.X("layer:Q", title="layer [index]", scale=alt.Scale(nice=False, padding=8), axis=ticks)
    base = alt.Chart().encode(layer)
    # Bands and lines of many heads lie on each other.
    faint, lighter = (alt.condition("datum.lane", alt.value(part), alt.value(1.0)) for part in (0.2, 0.5))
    layers = alt.layer(
        base.mark_area(style="null-band").encode(alt.Y("null_low:Q"), y2="null_high:Q", detail="lane:N", opacity=faint),
        base.mark_line(style="null-line").encode(alt.Y("null:Q"), detail="lane:N"),
        *([_null_runs(base, scale).encode(opacity=lighter)] if null_runs else []),
        base.mark_rule(style="error").encode(alt.Y("low:Q"), y2="high:Q"),
        base.mark_line(style="measured").encode(axis, detail="lane:N", opacity=lighter),
        base.mark_point(style="measured-point", filled=True).encode(axis, tooltip=tooltip("layer:Q", *VALUE_TIP)),
        height=150,
    )
    by_part = alt.Facet("group:N", sort=alt.EncodingSortField("order", op="min"), title=None)
    return layers.facet(by_part, data=ROWS, columns=4)


def _null_runs(base: alt.Chart, scale: str) -> alt.Chart:
    """A coloured line for each kind; the measured line stands in their key."""
    names = list(_NAMES.values())
    key = alt.Legend(orient="top", title=None, symbolType="stroke", symbolStrokeWidth=3, columns=2)
    return (
        base.transform_fold(list(_NAMES), as_=["column", "own"])
        .transform_calculate(line=f"{json.dumps(_NAMES)}[datum.column]")
        .transform_filter("isValid(datum.own)")
        .mark_line(strokeWidth=1.75)
        .encode(
            value_axis("own:Q", Y, scale),
            alt.Color("line:N", scale=alt.Scale(domain=names, range="category"), legend=key),
            detail=["lane:N", "line:N"],
            tooltip=tooltip("line:N:run", "layer:Q", "own:Q:value"),
        )
    )


def panel(data: Data) -> Panel:
    null_runs = any(data.values[name].count() for name in LINES)
    told = " Coloured: null runs, the median of their seeds; where a value has no draws, the band is their range."
    return Panel(
        id="depth",
        title="Over depth",
        question="How does each part change from the first layer to the last?",
        caveat="The null depends on a matrix's shape: compare parts only relative to their grey bands.",
        references=("marchenko1967distribution",),
        table="values",
        charts=(by_scale(lambda scale: chart(scale, null_runs)),),
        quantities=layered_quantities(data),
        controls=(Control("quantity", "Variable"), Control("step", "Step")),
        cell=138,
        legend=SPREAD + (told if null_runs else "") + entering(data),
    )
