"""Panel: the interaction energy over time, with the levels of equal clusters."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, tooltip
from gedanken.report.particles import of_pictures, time_axis


def chart(scale: str) -> alt.LayerChart:
    """Energy in units of its largest value, on dashed levels with their names."""
    y = alt.Y("y:Q", title="interaction energy 2βe^(−β)E [1]", scale=alt.Scale(domain=[0, 1.04], nice=False))
    base = alt.Chart(ROWS).encode(y)
    line = base.transform_filter("datum.kind == 'energy'").encode(time_axis(scale))
    levels = base.transform_filter("datum.kind == 'level'")
    return alt.layer(
        levels.mark_rule(style="null-line"),
        levels.transform_filter("datum.group == 'ahead'")
        .mark_text(style="label-muted", align="left", dx=6, dy=-9).encode(x=alt.value(0), text="label:N"),
        levels.transform_filter("datum.group == 'reached'")
        .mark_text(style="label-muted", align="right", dx=-4, dy=9).encode(x=alt.value("width"), text="label:N"),
        line.mark_line(style="measured", strokeWidth=2.75).encode(tooltip=tooltip("time:Q", "y:Q:energy")),
        height=360,
    )  # fmt: skip


def panel(data: Data) -> Panel:
    return Panel(
        id="staircase",
        title="Staircase of the energy",
        question="Does the energy rest between mergers?",
        caveat="Levels are those of equal clusters, evenly spaced on a circle or far apart; unequal ones rest at the sum of "
        "their squared masses.",
        references=("geshkovski2024dynamic",),
        table="pictures",
        charts=({kind: chart(kind).to_dict() for kind in ("linear", "log")},),
        quantities=of_pictures(data, "staircase_log", "staircase"),
        controls=(Control("quantity", "Picture"),),
        legend="Blue: measured; attention with V = Id raises it at all times. Dashed: levels of equal clusters.",
    )
