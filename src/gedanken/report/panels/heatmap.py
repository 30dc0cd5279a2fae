"""Panel: a variable over layer and part at once."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import (
    RATIO,
    REACH,
    ROWS,
    VALUE_TIP,
    Control,
    Panel,
    Y,
    entering,
    layered_quantities,
    tooltip,
)  # fmt: skip

FACTOR = "format(exp(datum.value), '.2~r') + '×'"
"""Legend labels of ln ratio, as factors."""


def shade(kind: str) -> alt.Color:
    """Colour by ln ratio to the null (diverging, grey where equal), or by the value itself."""
    legend = {"orient": "top", "gradientLength": 220, "tickCount": 4}
    if kind == "ratio":
        scale = alt.Scale(range="diverging", domain=[REACH], interpolate="lab")
        return alt.Color("log_ratio:Q", title=RATIO, scale=scale, legend=alt.Legend(labelExpr=FACTOR, **legend))
    scale = alt.Scale(range="ramp", type=kind, interpolate="lab")
    return alt.Color("value:Q", title=Y, scale=scale, legend=alt.Legend(**legend))


def chart(kind: str) -> alt.Chart:
    return (
        alt.Chart(ROWS, height=alt.Step(30))
        .mark_rect()
        .encode(
            alt.X("layer:O", title="layer [index]", axis=alt.Axis(labelAngle=0)),
            alt.Y("group:N", title=None, sort=alt.EncodingSortField("order", op="min")),
            shade(kind),
            tooltip=tooltip("layer:Q", *VALUE_TIP, "ratio:Q:value / null"),
        )
    )


def panel(data: Data) -> Panel:
    return Panel(
        id="heatmap",
        title="Layer by part",
        question="Where in the model is the structure?",
        caveat="Where a place holds several matrices (experts, heads), the last one drawn is seen.",
        references=(),
        lanes="group",
        table="values",
        charts=({kind: chart(kind).to_dict() for kind in ("ratio", "linear", "log")},),
        quantities=layered_quantities(data),
        controls=(Control("quantity", "Variable"), Control("step", "Step")),
        legend="Colour: the value over its null median where there is one, else the value. Intervals: tooltip, CSV."
        + entering(data),
    )
