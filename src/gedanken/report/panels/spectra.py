"""Panel: covariance spectra of the residual stream by rank, on what unrelated coordinates would give."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import MARKS, ROWS, Control, Panel, X, Y, log_axis, tooltip

SPECTRA = ("parallel_eigenvalue", "covariance_eigenvalue")
"""Curves by rank: with the band of surrogates, and without."""


def chart() -> alt.LayerChart:
    rank = alt.X("x:Q", title=X, scale=alt.Scale(type="log", nice=False), axis=log_axis())
    size = alt.Scale(type="log", nice=False, padding=8)
    base = alt.Chart(ROWS).transform_filter("datum.y > 0").encode(rank)
    tips = tooltip("x:Q:rank", "y:Q:eigenvalue", "null_low:Q:surrogates from", "null_high:Q:surrogates to")
    edge = alt.Chart(MARKS).encode(alt.Y("value:Q"))
    return alt.layer(
        base.mark_area(style="law-band").encode(alt.Y("null_low:Q", scale=size, axis=log_axis(), title=Y), y2="null_high:Q"),
        base.mark_line(style="law").encode(alt.Y("null_high:Q")),
        edge.mark_rule(style="null-line").encode(tooltip=tooltip("symbol:N:edge", "value:Q:of the surrogates")),
        base.mark_line(style="measured").encode(alt.Y("y:Q")),
        base.mark_point(style="measured-point", filled=True).encode(alt.Y("y:Q"), tooltip=tips),
        height=320,
    )  # fmt: skip


def panel(data: Data) -> Panel:
    found = [q for q, about in data.quantities.items() if about["variable"] in SPECTRA and about["curve"]]
    return Panel(
        id="spectra",
        title="Spectra over depth",
        question="How many directions of the stream are more than unrelated coordinates would give?",
        caveat="A huge eigenvalue lifts the edge and hides smaller ones: the deflated count looks again without it.",
        references=("dobriban2020permutation",),
        table="curves",
        charts=({"linear": chart().to_dict()},),
        quantities=tuple(sorted(found, key=lambda q: (SPECTRA.index(data.quantities[q]["variable"]), q))),
        controls=(Control("quantity", "Surrogates"), Control("site", "Place"), Control("step", "Step")),
        legend="Blue: eigenvalues of the covariance. Orange: the band of surrogates, their bulk law. Dashed: the edge above "
        "which an eigenvalue counts.",
        marks=("parallel_edge",),
    )
