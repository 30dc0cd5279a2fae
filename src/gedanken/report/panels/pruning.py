"""Panel: what the removal of layers costs, by every rule."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Panel, tooltip
from gedanken.report.particles import of_pictures

RULES = ["rank exponent", "last", "last protected", "block influence", "greedy", "rank exponent highest"]
"""Drawn in colour; the other rules are thin and grey, named in the tooltip."""


def chart() -> alt.LayerChart:
    count = alt.X(
        "number:Q",
        title="layers removed [count]",
        axis=alt.Axis(values=list(range(33)), format="d"),
        scale=alt.Scale(nice=False, padding=14),
    )
    value = alt.Y(
        "y:Q",
        title="loss increase [nat/token]",
        scale=alt.Scale(type="symlog", constant=0.1),
        axis=alt.Axis(tickCount=6),
    )
    base = alt.Chart(ROWS).encode(count)
    named = f"indexof({RULES}, datum.group) >= 0"
    colour = alt.Color(
        "group:N",
        scale=alt.Scale(range="category", domain=RULES),
        legend=alt.Legend(orient="top", title=None, columns=2, symbolType="stroke"),
    )
    tip = tooltip("group:N:rule", "number:Q:removed", "y:Q:loss increase", "low:Q:95 % from", "high:Q:95 % to")
    random = base.transform_filter("datum.kind == 'random'")
    rules = base.transform_filter(f"datum.kind == 'rule' && {named}")
    return alt.layer(
        random.mark_area(style="null-band").encode(alt.Y("min(y):Q"), alt.Y2("max(y):Q")),
        base.transform_filter(f"datum.kind == 'rule' && !({named})")
        .mark_line(style="null-line", strokeWidth=1)
        .encode(value, detail="group:N", tooltip=tip),
        random.mark_point(style="null-line", filled=True, size=26, opacity=0.9).encode(value, tooltip=tip),
        rules.mark_rule(strokeWidth=1.5, opacity=0.7).encode(alt.Y("low:Q"), alt.Y2("high:Q"), colour),
        rules.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=42, filled=True)).encode(
            value, colour, tooltip=tip
        ),
        height=380,
    )


def panel(data: Data) -> Panel:
    return Panel(
        id="pruning",
        title="Pruning by every rule",
        question="Which layers can be spared, and is a rule better than chance?",
        caveat="The rule last removes the final layer, which the other rules protect. Nothing was trained after the removal.",
        references=("liu2026lifecycle", "men2024shortgpt", "gromov2024unreasonable"),
        table="pictures",
        charts=({"linear": chart().to_dict()},),
        quantities=of_pictures(data, "pruning"),
        controls=(),
        legend=(
            "Bars: 95 % intervals over documents. Grey band and points: random sets of layers, a point a seed; "
            "grey lines: the other rules."
        ),
    )
