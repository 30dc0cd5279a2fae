"""Panel: a variable over depth, one small chart for each part."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import (
    ROWS,
    VALUE_TIP,
    Control,
    Panel,
    Y,
    by_scale,
    layered_quantities,
    tooltip,
    value_axis,
)  # fmt: skip


def chart(scale: str) -> alt.FacetChart:
    """Small multiples by part: value with its interval over the layers, on the null's band."""
    axis = value_axis("value:Q", Y, scale)
    ticks = alt.Axis(format="d", tickMinStep=1, tickCount=4)
    layer = alt.X("layer:Q", title="layer [index]", scale=alt.Scale(nice=False, padding=8), axis=ticks)
    base = alt.Chart().encode(layer)
    layers = alt.layer(
        base.mark_area(style="null-band").encode(alt.Y("null_low:Q"), y2="null_high:Q", detail="lane:N"),
        base.mark_line(style="null-line").encode(alt.Y("null:Q"), detail="lane:N"),
        base.mark_rule(style="error").encode(alt.Y("low:Q"), y2="high:Q"),
        base.mark_line(style="measured").encode(axis, detail="lane:N"),
        base.mark_point(style="measured-point", filled=True).encode(axis, tooltip=tooltip("layer:Q", *VALUE_TIP)),
        height=150,
    )
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
    )
