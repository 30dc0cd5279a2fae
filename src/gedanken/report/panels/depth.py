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
    layered_quantities,
    tooltip,
    value_axis,
)  # fmt: skip

_NAMES = {"value": "measured", **{f"null_{kind}": told for kind, told in KINDS.items()}}


def chart(scale: str) -> alt.FacetChart:
    """Small multiples by part: value with its interval over the layers, on the null's band, beside the null runs."""
    axis = value_axis("value:Q", Y, scale)
    ticks = alt.Axis(format="d", tickMinStep=1, tickCount=4)
    layer = alt.X("layer:Q", title="layer [index]", scale=alt.Scale(nice=False, padding=8), axis=ticks)
    base = alt.Chart().encode(layer)
    # A key is wanted only where there are null runs: the measured line stands in it beside them.
    runs = (
        base.transform_calculate(runs=" || ".join(f"isValid(datum.{name})" for name in LINES))
        .transform_filter("datum.runs")
        .transform_fold(list(_NAMES), as_=["column", "own"])
        .transform_calculate(line=f"{json.dumps(_NAMES)}[datum.column]")
        .transform_filter("isValid(datum.own)")
    )
    key = alt.Legend(orient="top", title=None, symbolType="stroke", symbolStrokeWidth=3, columns=2)
    colour = alt.Color("line:N", sort=list(_NAMES.values()), scale=alt.Scale(range="category"), legend=key)
    # Bands of many heads lie on each other.
    faint = alt.condition("datum.lane", alt.value(0.2), alt.value(1.0))
    layers = alt.layer(
        base.mark_area(style="null-band").encode(alt.Y("null_low:Q"), y2="null_high:Q", detail="lane:N", opacity=faint),
        base.mark_line(style="null-line").encode(alt.Y("null:Q"), detail="lane:N"),
        runs.mark_line(strokeWidth=1.75).encode(
            value_axis("own:Q", Y, scale), colour, detail=["lane:N", "line:N"],
            tooltip=tooltip("line:N:run", "layer:Q", "own:Q:value"),
        ),
        base.mark_rule(style="error").encode(alt.Y("low:Q"), y2="high:Q"),
        base.mark_line(style="measured").encode(axis, detail="lane:N"),
        base.mark_point(style="measured-point", filled=True).encode(axis, tooltip=tooltip("layer:Q", *VALUE_TIP)),
        height=150,
    )  # fmt: skip
    by_part = alt.Facet("group:N", sort=alt.EncodingSortField("order", op="min"), title=None)
    return layers.facet(by_part, data=ROWS, columns=4)


def panel(data: Data) -> Panel:
    return Panel(
        id="depth",
        title="Over depth",
        question="How does each part change from the first layer to the last?",
        caveat="The null depends on a matrix's shape: compare parts only relative to their grey bands.",
        references=("marchenko1967distribution",),
        table="values",
        charts=(by_scale(chart),),
        quantities=layered_quantities(data),
        controls=(Control("quantity", "Variable"), Control("step", "Step")),
        cell=138,
        legend=f"{SPREAD} Coloured: null runs, the median of their seeds; where a value has no draws, the band is their range.",
    )
