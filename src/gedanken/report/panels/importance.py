"""Panel: the importance of layers against the numbers of their spectra."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, tooltip
from gedanken.report.particles import of_pictures


def chart() -> alt.LayerChart:
    base = alt.Chart(ROWS).encode(alt.X("x:Q", title="score, relative to its null [1]", scale=alt.Scale(zero=False)))
    wide = alt.Scale(type="symlog", constant=0.1)
    value = alt.Y("y:Q", title="importance [nat/token]", scale=wide, axis=alt.Axis(tickCount=6))
    key = alt.Legend(orient="top", gradientLength=160, tickMinStep=1, format="d")
    ramp = alt.Color("number:Q", title="layer [index]", scale=alt.Scale(range="ramp", interpolate="lab"), legend=key)
    tip = tooltip("number:Q:layer", "x:Q:score", "y:Q:importance", "low:Q:95 % from", "high:Q:95 % to")
    inner, ends = (base.transform_filter(f"datum.kind == '{kind}'") for kind in ("interior", "end"))
    return alt.layer(
        base.mark_rule(opacity=0.6).encode(alt.Y("low:Q"), alt.Y2("high:Q"), ramp),
        inner.mark_point(filled=True, size=70, opacity=1).encode(value, ramp, tooltip=tip),
        ends.mark_point(shape="square", size=90, opacity=1).encode(value, ramp, tooltip=tip),
        base.mark_text(style="label-muted", align="left", dx=7).encode(value, text="number:Q"),
        height=340,
    )


def panel(data: Data) -> Panel:
    return Panel(
        id="importance",
        title="Importance against spectrum",
        question="Do the spectra of a layer say what its removal costs?",
        caveat="Both may follow depth: the study's verdict also gives the correlation at fixed depth.",
        references=("liu2026lifecycle", "men2024shortgpt"),
        table="pictures",
        charts=({"linear": chart().to_dict()},),
        quantities=of_pictures(data, "importance"),
        controls=(Control("group", "Score"),),
        legend="Importance: loss with the block replaced by the identity minus the whole model's, 95 % over documents. "
        "Squares: the first and the last layer, which are left out of correlations.",
    )
