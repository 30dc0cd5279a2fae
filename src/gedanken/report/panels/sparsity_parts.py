"""Panel: sparsity over depth, held against what its largest coordinates alone explain, random directions and null runs."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Panel, tooltip
from gedanken.report.particles import of_pictures

KINDS = ["raw", "massive alone", "without 16 coordinates", "standardised"]


def chart() -> alt.LayerChart:
    base = alt.Chart(ROWS).encode(
        alt.X("x:Q", title="relative depth [state / layers]", scale=alt.Scale(domain=[0, 1], nice=False))
    )
    own, nulls = (base.transform_filter(f"datum.label {sign} 'measured'") for sign in ("==", "!="))
    measured = own.transform_filter("datum.kind != 'random directions'")
    value = alt.Y("y:Q", title="Hoyer sparsity [1]", scale=alt.Scale(zero=True))
    key = alt.Legend(orient="top", title=None, symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=3, columns=2)
    colour = alt.Color("kind:N", scale=alt.Scale(range="category"), sort=KINDS, legend=key)
    return alt.layer(
        own.transform_filter("datum.kind == 'random directions'").mark_line(style="null-line").encode(
            value, tooltip=tooltip("kind:N", "y:Q:sparsity")
        ),
        nulls.transform_filter("datum.kind == 'raw'").mark_line(style="null-line", strokeDash=[1, 0]).encode(
            value, detail="label:N", tooltip=tooltip("label:N:null run", "x:Q:depth", "y:Q:sparsity")
        ),
        measured.mark_area(opacity=0.2).encode(alt.Y("low:Q"), alt.Y2("high:Q"), colour),
        measured.mark_line(strokeWidth=2).encode(value, colour),
        measured.mark_point(filled=True, size=26, opacity=1).encode(
            value, colour, tooltip=tooltip("kind:N", "x:Q:depth", "y:Q:sparsity", "low:Q:95 % from", "high:Q:95 % to")
        ),
        height=280,
    )  # fmt: skip


def panel(data: Data) -> Panel:
    return Panel(
        id="sparsity_parts",
        title="What sparsity is made of",
        question="Does sparsity change at a depth, or do a few massive coordinates switch on?",
        caveat="Where the line of the massive coordinates follows the raw one, sparsity says nothing that they do not.",
        references=("alpay2026latent", "sun2024massive"),
        table="pictures",
        charts=({"linear": chart().to_dict()},),
        quantities=of_pictures(data, "sparsity_parts"),
        controls=(),
        legend="Bands: 95 % over groups of prompts. Dashed grey: random directions; solid grey: raw sparsity of null runs.",
    )
