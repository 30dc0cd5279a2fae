"""Panel: a trained model's tokens over depth, beside simulations of them with its own attention and controls."""

import altair as alt

from gedanken.analysis.bridge import LABELS as GROUPS
from gedanken.analysis.bridge import MEASURED, REPLAY, RUNGS
from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, Y, tooltip
from gedanken.report.particles import BRIDGES, of_pictures

COLOURED = [GROUPS[name] for name in (MEASURED, REPLAY, *RUNGS)]
GREY = [label for label in GROUPS.values() if label not in COLOURED]
DASHES = [[6, 3], [2, 3], [9, 3, 2, 3], [12, 4], [4, 2, 1, 2], [1, 2], [8, 2, 1, 2, 1, 2]]
TICKS = [0, 2, 4, 6, 8, 12, 20, 30, 50, 100, 200, 500, 1000]
SOFT = 12
"""Passes up to which the axis is nearly linear; beyond, logarithmic."""


def chart() -> alt.LayerChart:
    base = alt.Chart(ROWS).encode(
        alt.X(
            "time:Q",
            title="layers passed [count]",
            scale=alt.Scale(type="symlog", constant=SOFT, nice=False),
            axis=alt.Axis(values=TICKS, tickCount=len(TICKS), format="d", labelOverlap=False),
        )
    )
    value = alt.Y("y:Q", title=Y, scale=alt.Scale(zero=False))
    colour = alt.Color(
        "label:N",
        scale=alt.Scale(range="category", domain=COLOURED),
        legend=alt.Legend(orient="top", title=None, columns=2, symbolType="stroke", labelLimit=260, symbolOpacity=1),
    )
    dash = alt.StrokeDash(
        "label:N",
        scale=alt.Scale(domain=GREY, range=DASHES),
        legend=alt.Legend(orient="top", title=None, columns=2, symbolType="stroke", labelLimit=260),
    )
    tip = tooltip("label:N:tokens", "time:Q:layers passed", "y:Q:value", "low:Q:95 % from", "high:Q:95 % to")
    ours = base.transform_filter("datum.group == 'coloured'")
    return alt.layer(
        base.transform_filter("datum.group == 'grey'").mark_line(style="null-line").encode(value, dash, tooltip=tip),
        ours.mark_area(opacity=0.14).encode(alt.Y("low:Q"), alt.Y2("high:Q"), colour),
        ours.mark_line(strokeWidth=2).encode(value, colour, tooltip=tip),
        base.transform_filter("datum.kind == 'measured'")
        .mark_point(filled=True, size=46, opacity=1)
        .encode(value, colour, tooltip=tip),
        height=400,
    ).resolve_scale(strokeDash="independent", color="shared")


def panel(data: Data) -> Panel:
    return Panel(
        id="bridge",
        title="Bridge: trained layers as particles",
        question="Does attention alone move a trained model's tokens as the model does?",
        caveat="Simulated tokens begin as those that enter the first block; by layer, each layer begins from measured ones.",
        references=("geshkovski2023mathematical", "karagodin2025normalization"),
        table="pictures",
        charts=({"linear": chart().to_dict()},),
        quantities=of_pictures(data, *BRIDGES),
        controls=(Control("quantity", "Picture"),),
        legend="Points: measured. Colours: simulations, from the whole block to particles with a number for each matrix. "
        "Grey: controls. Bands: 95 % over prompts. Beyond the measured depth a shared layer is iterated. Heavy is a coordinate "
        "with more than 5 % of the measured tokens' variance.",
    )
