"""Panel: distributions at a site, of singular values above all, with the law of structureless matrices drawn over them."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, X, Y, tooltip


def curve_layers(axis: alt.Y, line: bool = False) -> list[alt.Chart]:
    """The measured density as steps (a curve as a line) with its interval; the null's law as an edged band."""
    base = alt.Chart(ROWS).encode(alt.X("x:Q", title=X, scale=alt.Scale(nice=False), axis=alt.Axis(tickCount=6)))
    tips = tooltip("x:Q", "y:Q", "null_low:Q:null from", "null_high:Q:null to")
    words = alt.Chart(alt.InlineData([{"one": "measured", "two": "structureless (null)"}])).encode(y=alt.value(-12))
    steps = base.mark_area(style="measured-area", interpolate="step", line={"style": "measured"})
    measured = base.mark_line(style="measured", point={"style": "measured-point", "filled": True}) if line else steps
    return [
        base.mark_area(style="measured-area").encode(alt.Y("low:Q"), y2="high:Q"),
        measured.encode(axis, tooltip=tips),
        base.mark_area(style="law-band", interpolate="monotone").encode(alt.Y("null_low:Q"), y2="null_high:Q"),
        base.mark_line(style="law", interpolate="monotone").encode(alt.Y("null_high:Q")),
        base.mark_line(style="law", interpolate="monotone").encode(alt.Y("null_low:Q")),
        words.mark_text(style=["label", "measured"]).encode(x=alt.value(0), text="one:N"),
        words.mark_text(style=["label", "law"]).encode(x=alt.value(76), text="two:N"),
    ]


def chart() -> alt.LayerChart:
    return alt.layer(*curve_layers(alt.Y("y:Q", title=Y)), height=320)


def panel(data: Data) -> Panel:
    layered = data.curves.filter(data.curves["layer"].is_not_null())["quantity"].unique().to_list()
    ids = sorted((q for q in layered if "density" in q), key=lambda q: ("singular_value" not in q, q))
    return Panel(
        id="density",
        title="Distributions",
        question="How are values spread, and where does a spectrum leave the law of structureless matrices?",
        caveat="The law holds for independent entries of equal variance; a bulk that follows it is noise-like, not "
        "useless. The last bins may hold a single value.",
        references=("marchenko1967distribution",),
        table="curves",
        charts=({"linear": chart().to_dict()},),
        quantities=tuple(ids),
        controls=(Control("quantity", "Curve"), Control("site", "Site"), Control("step", "Step")),
        legend="Blue: measured. Orange: null law (of spectra Marchenko–Pastur's), a band where it has one.",
    )
