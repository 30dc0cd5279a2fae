"""Panel: a variable of every head, layer by layer."""

import altair as alt
import polars as pl

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, VALUE_TIP, Control, Panel, tooltip
from gedanken.report.panels.heatmap import shade

FIRST = ("attention_entropy_normalised", "heat_capacity_row_fraction", "sink_mass")
"""What heads are asked for most is offered first."""

_HEAD = "toNumber(split(datum.lane, 'head ')[1])"


def chart(kind: str) -> alt.Chart:
    return (
        alt.Chart(ROWS, height=alt.Step(20))
        .transform_calculate(head=_HEAD)
        .mark_rect()
        .encode(
            alt.X("layer:O", title="layer [index]", axis=alt.Axis(labelAngle=0)),
            alt.Y("head:O", title="head [index]"),
            shade(kind),
            tooltip=tooltip("layer:Q", "head:O", *VALUE_TIP, "ratio:Q:value / null"),
        )
    )


def panel(data: Data) -> Panel:
    of_heads = data.values.filter(pl.col("lane").str.contains("head"))["quantity"].unique().to_list()
    return Panel(
        id="heads",
        title="Layer by head",
        question="Which heads do what, and where?",
        caveat="Heads have no order: a row is the same number in every layer, not the same head.",
        references=(),
        lanes="lane",
        table="values",
        charts=({kind: chart(kind).to_dict() for kind in ("ratio", "linear", "log")},),
        quantities=tuple(sorted(of_heads, key=lambda q: _place(data.quantities[q]))),
        controls=(Control("quantity", "Variable"), Control("group", "Part"), Control("step", "Step")),
        legend="Colour: the value over its null median where there is one, else the value. Intervals: tooltip, CSV.",
    )


def _place(about: dict) -> tuple[int, str]:
    """FIRST in its order, then the others by label."""
    variable = about["variable"]
    return FIRST.index(variable) if variable in FIRST else len(FIRST), about["label"]
