"""Panel: the smallest largest overlap reached against the number of vectors, by dimension."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, log_axis, tooltip
from gedanken.report.particles import of_pictures

LINES = {"fit": [1, 0], "random directions": [6, 4], "Welch bound": [1, 3]}
"""Kind of curve → its dashes."""


def chart() -> alt.LayerChart:
    """Points: packings. Lines: the fit, random directions above it, Welch's bound below. A colour for each d."""
    base = alt.Chart(ROWS).encode(
        alt.X("x:Q", title="vectors k", scale=alt.Scale(type="log", nice=False, padding=8), axis=log_axis()),
        alt.Y("y:Q", title="largest overlap ε [1]", scale=alt.Scale(type="log", nice=False, padding=8), axis=log_axis()),
        alt.Color("number:O", title="dimension d", scale=alt.Scale(range="category"),
                  legend=alt.Legend(orient="top", symbolType="circle", columns=7)),
    )  # fmt: skip
    dashes = alt.Scale(domain=list(LINES), range=list(LINES.values()))
    return alt.layer(
        base.transform_filter(alt.FieldOneOfPredicate("kind", list(LINES))).mark_line(strokeWidth=1.6).encode(
            alt.StrokeDash("kind:N", scale=dashes, legend=None), tooltip=tooltip("number:N:d", "kind:N", "label:N:form")
        ),
        base.transform_filter("substring(datum.kind, 0, 6) == 'packed'").mark_point(
            filled=True, size=70, opacity=1
        ).encode(tooltip=tooltip("number:N:d", "x:Q:k", "y:Q:ε", "kind:N", "label:N:recipe")),
        height=400,
    )  # fmt: skip


def panel(data: Data) -> Panel:
    return Panel(
        id="packing",
        title="Packing directions",
        question="How nearly orthogonal can k vectors be in d dimensions?",
        caveat="An optimiser shows what can be reached, not what cannot; only the Welch bound is a bound.",
        references=("guha2026representational", "welch1974lower"),
        table="pictures",
        charts=({"linear": chart().to_dict()},),
        quantities=of_pictures(data, "packing"),
        controls=(Control("quantity", "Picture"),),
        legend="Points: the largest |cos| over all pairs after optimising. Solid: the four-parameter form fitted to these "
        "points (the published one where they are too few). Dashed: the median of random directions. Dotted: no set of "
        "vectors lies below.",
        whole_lab=True,
    )
