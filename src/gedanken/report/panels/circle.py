"""Panel: particles on a circle over time, with the angles that the initial data predict."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, tooltip
from gedanken.report.particles import of_pictures, time_axis

QUARTERS = "['0', 'π/2', 'π', '3π/2', '2π'][round(datum.value / 1.5708)]"


def chart(scale: str) -> alt.LayerChart:
    """Space–time: a line a particle, coloured by the cluster that it ends in; dashed: predicted places."""
    turn = alt.Scale(domain=[0, 6.2832], nice=False)
    axis = alt.Axis(values=[0, 1.5708, 3.1416, 4.7124, 6.2832], labelExpr=QUARTERS, grid=False)
    base = alt.Chart(ROWS).encode(time_axis(scale), alt.Y("y:Q", title="angle θ [rad]", scale=turn, axis=axis))
    ends = alt.Color("group:N", scale=alt.Scale(range="category"), legend=None)
    paths = base.transform_filter("datum.kind == 'track'").mark_line(
        clip=True, strokeWidth=1.1, opacity=0.6, strokeCap="round"
    )
    predicted = alt.Chart(ROWS).transform_filter("datum.kind == 'predicted'")
    return alt.layer(
        paths.encode(ends, detail="number:N"),
        predicted.mark_rule(style="mark-rule", strokeDash=[2, 4]).encode(
            alt.Y("y:Q"), tooltip=tooltip("y:Q:predicted angle")
        ),
        predicted.transform_calculate(text="'predicted'").transform_filter("datum.number == 0")
        .mark_text(style="label-muted", align="right", dx=-4, dy=-9).encode(
            alt.Y("y:Q"), x=alt.value("width"), text="text:N"
        ),
        height=440,
    )  # fmt: skip


def panel(data: Data) -> Panel:
    return Panel(
        id="circle",
        title="Particles on the circle",
        question="Where do tokens gather, and could it be told from the start?",
        caveat="A bounded sample of the particles is drawn. The prediction is that the fastest mode wins, which "
        "it does for random starts only with some probability.",
        references=("bruno2024emergence",),
        table="pictures",
        charts=({kind: chart(kind).to_dict() for kind in ("linear", "log")},),
        quantities=of_pictures(data, "tracks", "tracks_log"),
        controls=(Control("quantity", "Picture"),),
        legend="A line is a particle, its colour the cluster it ends in. Dotted: the angles predicted from the start alone, by "
        "the phase of the mode that grows fastest.",
    )
