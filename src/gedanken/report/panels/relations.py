"""Panel: which tokens lie near which, against the edge ε of all pairs."""

import altair as alt

from gedanken.analysis.packing_pictures import VIEWS
from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, Y, tooltip
from gedanken.report.particles import of_pictures

SAID = "'ε = ' + format(datum.y, '.3~r') + '  (dashed: random ' + format(datum.low, '.3~r') + ')'"


def chart() -> alt.LayerChart:
    """A line from 0 to each cosine with the token's text at its axis; upright: ε, dashed: that of a random table."""
    base = alt.Chart(ROWS).encode(
        alt.Y("label:N", title=None, sort=alt.EncodingSortField("number", op="min"), axis=alt.Axis(
            labelLimit=150, ticks=False, domain=False, labelPadding=8)),
        tooltip=tooltip("label:N:token", "x:Q:value", "y:Q:ε", "low:Q:ε of a random table",
                        "high:Q:share of random pairs above"),
    )  # fmt: skip
    edge = alt.Chart(ROWS).transform_filter("isValid(datum.y)").transform_aggregate(
        y="max(y)", low="max(low)", groupby=["kind"]
    ).transform_calculate(text=SAID)  # fmt: skip
    return alt.layer(
        base.mark_rule(style="error").encode(alt.X("x:Q", title=Y), x2=alt.datum(0)),
        base.mark_point(style="measured-point", filled=True, size=80, opacity=1).encode(x="x:Q"),
        edge.mark_rule(style="mark-rule").encode(x="y:Q"),
        edge.mark_rule(style="null-line").encode(x="low:Q"),
        edge.mark_text(style="label", align="right", dy=-10).encode(
            x=alt.value("width"), y=alt.value(0), text="text:N"
        ),
        height=alt.Step(26),
    )  # fmt: skip


def panel(data: Data) -> Panel:
    return Panel(
        id="relations",
        title="Tokens near tokens",
        question="Which tokens lie nearest to which, and is that beyond what all pairs tolerate?",
        caveat="Nearness is of rows, not of meaning: tokens that training hardly touched lie close to each other too.",
        references=("guha2026representational",),
        table="pictures",
        charts=({"linear": chart().to_dict()},),
        quantities=of_pictures(data, *VIEWS.values()),
        controls=(Control("quantity", "View"), Control("kind", "Table"), Control("group", "Token")),
        legend="Points: the cosine between the two rows, or how many tokens have this one as their nearest. Upright line: ε, "
        "mean plus two spreads of all pairs; dashed: ε of a random table.",
        lanes="number",
    )
