"""Panel: particles on the sphere, which turns, at a moment that is chosen."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, tooltip
from gedanken.report.particles import of_pictures

SIZE = 480
RAD = "0.017453293"
FACING = (
    f"sin(tilt * {RAD}) * sin(datum.y * {RAD})"
    f" + cos(tilt * {RAD}) * cos(datum.y * {RAD}) * cos((datum.x - turn) * {RAD})"
)
"""Cosine of the angle from the middle of the disc: negative on the far side."""


def chart() -> alt.LayerChart:
    """A globe of glass: the far side shines through, fainter and smaller."""
    moment = alt.param(name="frame", value=10, bind=alt.binding_range(min=0, max=23, step=1, name="moment"))
    turn = alt.param(name="turn", value=20, bind=alt.binding_range(min=-180, max=180, step=2, name="turn"))
    tilt = alt.param(name="tilt", value=20, bind=alt.binding_range(min=-90, max=90, step=2, name="tilt"))
    shown = (
        alt.Chart(ROWS)
        .transform_filter("datum.low <= frame && (frame < datum.high || datum.low > frame - 4)")
        .transform_calculate(facing=FACING, age="frame < datum.high ? 0 : frame - datum.low")
    )
    fading = alt.Opacity("age:Q", scale=alt.Scale(domain=[0, 3], range=[0.95, 0.08]), legend=None)
    spot = shown.encode(
        longitude="x:Q",
        latitude="y:Q",
        color=alt.Color("group:N", scale=alt.Scale(range="category"), legend=None),
        tooltip=tooltip("x:Q:longitude", "y:Q:latitude", "time:Q"),
    )
    clock = shown.transform_aggregate(time="max(time)").transform_calculate(text="'t = ' + format(datum.time, '.3~r')")
    far = spot.transform_filter("datum.facing < 0 && datum.age == 0")
    near = spot.transform_filter("datum.facing >= 0").transform_calculate(reach="datum.facing / (1 + datum.age)")
    reach = alt.Size("reach:Q", scale=alt.Scale(domain=[0, 1], range=[10, 46]), legend=None)
    return (
        alt.layer(
            alt.Chart(alt.sphere()).mark_geoshape(style="globe"),
            far.mark_circle(opacity=0.18, size=14),
            alt.Chart(alt.graticule(step=[30, 30])).mark_geoshape(style="graticule", filled=False),
            near.mark_circle().encode(fading, reach),
            clock.mark_text(style="label", align="left", baseline="top").encode(
                x=alt.value(2), y=alt.value(2), text="text:N"
            ),
            height=SIZE,
        )
        .add_params(moment, turn, tilt)
        .project(
            type="orthographic",
            rotate=alt.ExprRef("[-turn, -tilt, 0]"),
            scale=alt.ExprRef("min(width, height) / 2 - 6"),
            translate=alt.ExprRef("[width / 2, height / 2]"),
        )
    )  # fmt: skip


def panel(data: Data) -> Panel:
    return Panel(
        id="sphere",
        title="Particles on the sphere",
        question="How do uniform tokens break up, seen from all sides?",
        caveat="A bounded sample of the particles, at 24 moments of the simulation.",
        references=("geshkovski2023mathematical",),
        table="pictures",
        charts=({"linear": chart().to_dict()},),
        quantities=of_pictures(data, "places"),
        controls=(Control("quantity", "Picture"),),
        legend="A dot is a particle with the trace of its last three moments, its colour the cluster it ends in (seven "
        "colours, which repeat); the far side shines through. Move the sliders through time and around the sphere.",
    )
