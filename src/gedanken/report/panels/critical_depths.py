"""Panel: where each variable is said to change over depth, by every estimator, with null runs and the target."""

import altair as alt

from gedanken.analysis.depth.locate import SMALLEST
from gedanken.analysis.depth.pictures import ESTIMATORS, PLACED
from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Panel, tooltip
from gedanken.report.particles import of_pictures

TARGET = 0.42
"""Relative depth that the paper names."""

ROW = 52
"""Pixels of a variable: five estimators."""


def chart() -> alt.LayerChart:
    names = list(ESTIMATORS.values())
    place = alt.X("x:Q", title="relative depth [1]", scale=alt.Scale(domain=[0, 1], nice=False))
    row = alt.Y("group:N", title=None, sort=list(PLACED), axis=alt.Axis(labelLimit=130))
    beside = alt.YOffset("kind:N", sort=names, scale=alt.Scale(domain=names, paddingInner=0.2, paddingOuter=0.35))
    key = alt.Legend(orient="top", title=None, columns=2)
    colour = alt.Color("kind:N", scale=alt.Scale(range="category"), sort=names, legend=key)
    base = alt.Chart(ROWS).encode(row, beside)
    own, nulls = (base.transform_filter(f"datum.label {sign} 'measured'") for sign in ("==", "!="))
    tip = tooltip(
        "group:N:variable", "kind:N:estimator", "label:N:run", "x:Q:depth", "low:Q:95 % from", "high:Q:95 % to"
    )
    return alt.layer(
        alt.Chart(alt.Data(values=[{"x": TARGET}])).mark_rule(style="mark-rule").encode(alt.X("x:Q")),
        nulls.mark_point(style="null-line", shape="cross", size=44, filled=True, opacity=0.75).encode(place, tooltip=tip),
        own.mark_rule(strokeWidth=2, opacity=0.75).encode(alt.X("low:Q", title="relative depth [1]"), alt.X2("high:Q"), colour),
        own.mark_point(filled=True, size=42, opacity=1).encode(place, colour, tooltip=tip),
        height=ROW * len(PLACED),
    )  # fmt: skip


def panel(data: Data) -> Panel:
    return Panel(
        id="critical_depths",
        title="Where variables change",
        question="Do all variables change at one depth, and is it the one the paper names?",
        caveat="Every estimator gives a depth, of a smooth trend as well: only where they agree is there a place.",
        references=("alpay2026latent",),
        table="pictures",
        charts=({"linear": chart().to_dict()},),
        quantities=of_pictures(data, "critical_depths"),
        controls=(),
        missing=f"the fits need {SMALLEST} states between the first and the last two, {SMALLEST + 3} blocks or more, of a "
        "variable with an error at each",
        legend=f"Bars: 95 % over groups of prompts, half a layer added. Line: {TARGET}. Grey crosses: null runs.",
    )
