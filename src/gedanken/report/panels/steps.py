"""Panel: a variable over training, for a run with several checkpoints."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import (
    ROWS,
    SPREAD,
    TICKS,
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
from gedanken.report.panels.heatmap import shade


def lines(scale: str) -> alt.LayerChart:
    """Value against step, a line a layer, on the null's band."""
    y = value_axis("value:Q", Y, scale)
    axis = alt.Axis(values=[TICKS], labelExpr="format(datum.value, ',')", labelFlush=True)
    base = alt.Chart(ROWS).encode(
        alt.X("step:Q", title="step [optimizer step]", scale=alt.Scale(type="symlog", nice=False), axis=axis)
    )
    key = alt.Legend(orient="top", gradientLength=160, tickMinStep=1, format="d")
    ramp = alt.Scale(range="ramp", interpolate="lab")
    colour = alt.Color("layer:Q", title="layer [index]", scale=ramp, legend=key)
    return alt.layer(
        base.mark_area(style="null-band").encode(alt.Y("min(null_low):Q"), y2="max(null_high):Q"),
        base.mark_rule(opacity=0.5).encode(alt.Y("low:Q"), colour, y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y, colour, detail=["lane:N", "layer:N"]),
        base.mark_point(filled=True, size=24, opacity=1).encode(y, colour, tooltip=tooltip("step:Q", *VALUE_TIP)),
        height=280,
    )


def heat(kind: str) -> alt.Chart:
    axis = alt.Axis(labelAngle=0, labelExpr="format(datum.value, ',')", labelSeparation=8)
    return (
        alt.Chart(ROWS, height=280)
        .mark_rect()
        .encode(
            alt.X("step:O", title="step [optimizer step]", axis=axis),
            alt.Y("layer:O", title="layer [index]", sort="descending"),
            shade(kind),
            tooltip=tooltip("step:Q", *VALUE_TIP, "ratio:Q:value / null"),
        )
    )


def panel(data: Data) -> Panel:
    return Panel(
        id="steps",
        title="Over training",
        question="When does the structure appear, and in which layers first?",
        caveat="At most 24 steps, evenly spaced on a logarithmic axis, are shown; the others are in the lab.",
        references=("liu2026lifecycle",),
        table="values",
        charts=(by_scale(lines), {kind: heat(kind).to_dict() for kind in ("ratio", "linear", "log")}),
        quantities=layered_quantities(data),
        controls=(Control("quantity", "Variable"), Control("group", "Part")),
        stepped=True,
        legend=SPREAD + entering(data),
    )
