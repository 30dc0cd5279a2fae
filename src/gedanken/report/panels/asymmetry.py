"""Panel: how much queries and keys, and values and outputs, differ over depth."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, tooltip
from gedanken.report.panels.wave import KEY, step_axis
from gedanken.report.particles import of_pictures

PARTS = ["W_Q", "W_K", "W_V", "W_O"]


def chart() -> alt.Chart:
    dash = alt.condition("datum.group == 'W_V' || datum.group == 'W_O'", alt.value([5, 4]), alt.value([1, 0]))
    return (
        alt.Chart(ROWS, height=260)
        .mark_line(strokeWidth=2)
        .encode(
            step_axis(), alt.Y("y:Q", title="spread over depth [1]"),
            alt.Color("group:N", scale=alt.Scale(range="category"), legend=KEY, sort=PARTS),
            strokeDash=dash, tooltip=tooltip("group:N:part", "time:Q:step", "y:Q:spread"),
        )
    )  # fmt: skip


def panel(data: Data) -> Panel:
    return Panel(
        id="asymmetry",
        title="Queries and keys against values and outputs",
        question="Which matrices carry the differences between layers?",
        caveat="W_Q and W_K are defined only up to a map that cancels in their product, and so are W_V and W_O.",
        references=("liu2026lifecycle",),
        table="pictures",
        charts=({"linear": chart().to_dict()},),
        quantities=of_pictures(data, "parts_rank", "parts_shape"),
        controls=(Control("quantity", "Variable"),),
        legend="Standard deviation over interior layers. Solid: queries and keys; dashed: values and outputs.",
    )
