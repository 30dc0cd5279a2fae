"""Panel: sparsity over depth, held against what its largest coordinates alone explain, random directions and null runs."""

import json

import altair as alt

from gedanken.report.data import Data
from gedanken.report.null_runs import KINDS as KINDS_OF_NULLS
from gedanken.report.panels.base import ROWS, Panel, tooltip
from gedanken.report.particles import of_pictures

_TOLD = f"{json.dumps(KINDS_OF_NULLS)}[replace(datum.label, /[0-9]+$/, '')]"

KINDS = ["raw", "massive alone", "without 16 coordinates", "standardised"]


def chart(null_runs: bool = True) -> alt.LayerChart:
    base = alt.Chart(ROWS).encode(
        alt.X("x:Q", title="relative depth [state / layers]", scale=alt.Scale(domain=[0, 1], nice=False))
    )
    own, nulls = (base.transform_filter(f"datum.label {sign} 'measured'") for sign in ("==", "!="))
    measured = own.transform_filter("datum.kind != 'random directions'")
    value = alt.Y("y:Q", title="Hoyer sparsity [1]", scale=alt.Scale(zero=False))
    key = alt.Legend(orient="top", title=None, symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=3, columns=2)
    colour = alt.Color("kind:N", scale=alt.Scale(range="category"), sort=KINDS, legend=key)
    dash = alt.StrokeDash(
        "told:N",
        scale=alt.Scale(domain=list(KINDS_OF_NULLS.values()), range=[[1, 0], [6, 3], [2, 2]]),
        legend=alt.Legend(orient="bottom", title=None, symbolType="stroke", symbolStrokeWidth=2, columns=2),
    )
    of_nulls = (
        nulls.transform_filter("datum.kind == 'raw'")
        .transform_calculate(told=_TOLD)
        .mark_line(style="null-line")
        .encode(value, dash, detail="label:N", tooltip=tooltip("label:N:null run", "x:Q:depth", "y:Q:sparsity"))
    )
    return alt.layer(
        own.transform_filter("datum.kind == 'random directions'").mark_line(style="mark-rule", opacity=0.5).encode(
            value, tooltip=tooltip("kind:N", "y:Q:sparsity")
        ),
        *([of_nulls] if null_runs else []),
        measured.mark_area(opacity=0.2).encode(alt.Y("low:Q"), alt.Y2("high:Q"), colour),
        measured.mark_line(strokeWidth=2).encode(value, colour),
        measured.mark_point(filled=True, size=26, opacity=1).encode(
            value, colour, tooltip=tooltip("kind:N", "x:Q:depth", "y:Q:sparsity", "low:Q:95 % from", "high:Q:95 % to")
        ),
        height=280,
    )  # fmt: skip


def panel(data: Data) -> Panel:
    shown = of_pictures(data, "sparsity_parts")
    labels = set(data.pictures.filter(data.pictures["quantity"].is_in(shown))["label"])
    return Panel(
        id="sparsity_parts",
        title="What sparsity is made of",
        question="Does sparsity change at a depth, or do a few massive coordinates switch on?",
        caveat="Where the line of the massive coordinates follows the raw one, sparsity says nothing that they do not.",
        references=("alpay2026latent", "sun2024massive"),
        table="pictures",
        charts=({"linear": chart(labels > {"measured"}).to_dict()},),
        quantities=shown,
        controls=(),
        legend="Bands: 95 % over groups of prompts. Level line: random directions. Grey: raw sparsity of null runs.",
    )
