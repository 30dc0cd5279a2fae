"""Panel: the depth gradient of compression over training, with its peak and its reversal."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Panel, tooltip
from gedanken.report.panels.wave import step_axis
from gedanken.report.particles import of_pictures


def chart() -> alt.LayerChart:
    base = alt.Chart(ROWS)
    line = base.transform_filter("datum.kind == 'line'")
    value = alt.Y("y:Q", title="depth gradient G [nat]")
    events = base.transform_filter("datum.kind != 'line'")
    return alt.layer(
        line.transform_aggregate(groupby=["kind"]).mark_rule(style="null-line").encode(y=alt.datum(0)),
        line.mark_line(style="measured").encode(step_axis(), value, tooltip=tooltip("time:Q:step", "y:Q:G")),
        events.mark_rule(style="mark-rule", strokeDash=[3, 3]).encode(step_axis()),
        events.mark_point(style="mark-rule", filled=True, size=60, opacity=1).encode(step_axis(), value),
        events.transform_filter("datum.kind == 'peak'")
        .mark_text(style="label-muted", align="left", dx=8)
        .encode(step_axis(), y=alt.value(8), text="label:N"),
        events.transform_filter("datum.kind == 'reversal'")
        .mark_text(style="label-muted", align="left", dx=8)
        .encode(step_axis(), y=alt.value(26), text="label:N"),
        height=260,
    )


def panel(data: Data) -> Panel:
    return Panel(
        id="gradient",
        title="Depth gradient of compression",
        question="Are early layers compressed first, and late ones further in the end?",
        caveat="A run that is too short ends before its gradient reverses.",
        references=("liu2026lifecycle",),
        table="pictures",
        charts=({"linear": chart().to_dict()},),
        quantities=of_pictures(data, "gradient"),
        controls=(),
        legend="G: mean of u over the last third of the layers minus the first third; above 0 the early layers are ahead. "
        "Peak and reversal are marked where G is ever above 0; reversal: the first of three snapshots in a row "
        "with G ≤ 0 after the peak.",
    )
