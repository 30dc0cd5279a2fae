"""Panel: what approximations of attention weights cost, against how far each is from equilibrium."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, X, tooltip

ORDER = ("excess_free_energy", "dropped_mass", "pattern_distance", "tsallis_excess")
KINDS, STRENGTHS = ("top-k", "entmax", "quantised", "dropout"), 5
"""Points of a curve: so many strengths of each kind in turn."""


def chart() -> alt.LayerChart:
    """Loss increase of every approximation, coloured and shaped by kind; a rule where nothing is lost."""
    names = "[" + ", ".join(f"'{kind}'" for kind in KINDS) + "]"
    points = (
        alt.Chart(ROWS)
        .transform_window(place="row_number()")
        .transform_calculate(kind=f"{names}[floor((datum.place - 1) / {STRENGTHS})]")
        .mark_point(filled=True, size=70)
        .encode(
            alt.X("x:Q", title=X, axis=alt.Axis(tickCount=6)),
            alt.Y("y:Q", title="loss increase, Δℒ [nat/token]"),
            alt.Color("kind:N", title=None, scale=alt.Scale(domain=list(KINDS)), legend=alt.Legend(orient="top")),
            alt.Shape("kind:N", title=None, scale=alt.Scale(domain=list(KINDS))),
            tooltip=tooltip("kind:N", "x:Q:damage", "y:Q:loss increase"),
        )
    )
    zero = alt.Chart(alt.InlineData([{"at": 0}])).mark_rule(style="null-line").encode(alt.Y("at:Q"))
    return alt.layer(zero, points, height=300)


def panel(data: Data) -> Panel:
    place = {f"approximation_loss_by_{name}": i for i, name in enumerate(ORDER)}
    drawn = set(data.curves["quantity"])
    ids = [q for q, about in data.quantities.items() if about["variable"] in place and q in drawn]
    return Panel(
        id="approximations",
        title="Approximated attention",
        question="Does the distance from equilibrium tell what an approximation of attention costs?",
        caveat="Approximations of one kind rank alike by all measures; only kinds beside each other tell measures apart.",
        references=("callen1985thermodynamics", "peters2019sparse"),
        table="curves",
        charts=({"linear": chart().to_dict()},),
        quantities=tuple(sorted(ids, key=lambda q: place[data.quantities[q]["variable"]])),
        controls=(Control("quantity", "Measure"), Control("site", "Site"), Control("step", "Step")),
        legend="Five strengths of each kind: keys kept (16 to 1), α of entmax (1.2 to 2, sparsemax), bits (6 to 1), share "
        "dropped (5 % to 80 %). Dashed: the model as it is.",
    )
