"""Panel: the compression wave over layer and step, and at one step the layers and singular values."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Panel, log_axis, tooltip
from gedanken.report.particles import of_pictures

KEY = alt.Legend(orient="top", title=None, symbolType="stroke")


def step_axis() -> alt.X:
    """Training steps; the root spreads the early ones, where the front passes."""
    axis = alt.Axis(format=",d", tickCount=6)
    return alt.X(
        "time:Q", title="step [optimizer step]", scale=alt.Scale(type="sqrt", nice=False, zero=True), axis=axis
    )


def chart(last: int) -> alt.VConcatChart:
    """The map with the front; then, at the snapshot of the slider, stable ranks over depth and the singular values."""
    at = alt.param(name="snapshot", value=last, bind=alt.binding_range(min=0, max=last, step=1, name="snapshot "))
    chosen = "datum.low == snapshot"
    base = alt.Chart(ROWS)
    cells = base.transform_filter("datum.kind == 'cell'")
    shade = alt.Color(
        "y:Q",
        title="u = ln(stable rank / start) [1]",
        scale=alt.Scale(range="ramp", reverse=True, interpolate="lab"),
        legend=alt.Legend(orient="top", gradientLength=200, tickCount=4),
    )
    count = alt.Axis(tickMinStep=1, format="d")
    squares = (
        cells.transform_calculate(top="datum.number - 0.5", bottom="datum.number + 0.5")
        .mark_rect()
        .encode(
            step_axis(),
            alt.X2("x:Q"),
            alt.Y("top:Q", title="layer [index]", scale=alt.Scale(nice=False), axis=count),
            alt.Y2("bottom:Q"),
            shade,
            tooltip=tooltip("number:Q:layer", "time:Q:step", "y:Q:u"),
        )
    )
    front = base.transform_filter("datum.kind == 'front'").mark_line(style="mark-rule", strokeWidth=2.5)
    path = front.encode(
        step_axis(), alt.Y("number:Q"), order="number:Q", tooltip=tooltip("number:Q:layer", "time:Q:arrival step")
    )
    now = cells.transform_filter(chosen).mark_rule(style="mark-rule", strokeDash=[3, 3]).encode(step_axis())
    title = cells.transform_filter(f"{chosen} && datum.number == 0").transform_calculate(
        text="'step ' + format(datum.time, ',')"
    )
    named = title.mark_text(style="label-muted", align="right", dy=-9).encode(
        x=alt.value("width"), y=alt.value(0), text="text:N"
    )
    part = alt.Color("group:N", scale=alt.Scale(range="category"), legend=KEY, sort=["W_Q", "W_K", "W_V", "W_O"])
    profiles = (
        base.transform_filter(f"datum.kind == 'profile' && {chosen}")
        .mark_line(point=True)
        .encode(
            alt.X("number:Q", title="layer [index]", axis=count, scale=alt.Scale(nice=False)),
            alt.Y("y:Q", title="stable rank [1]", scale=alt.Scale(zero=True)),
            part,
            tooltip=tooltip("group:N:part", "number:Q:layer", "y:Q:stable rank"),
        )
    )
    densities = (
        base.transform_filter(f"datum.kind == 'density' && {chosen}")
        .mark_line(interpolate="monotone")
        .encode(
            alt.X("x:Q", title="singular value σ [weight]", scale=alt.Scale(type="log", nice=False), axis=log_axis()),
            alt.Y("y:Q", title="density of ln σ [1]"),
            part,
            tooltip=tooltip("group:N:part", "x:Q:σ", "y:Q:density"),
        )
    )
    parts = (
        alt.layer(squares, path, now, height=240),
        alt.layer(profiles, named, height=170),
        densities.properties(height=170),
    )
    return alt.vconcat(*parts, spacing=14).resolve_scale(color="independent").add_params(at)


def panel(data: Data) -> Panel:
    last = data.pictures.filter((data.pictures["quantity"] == "wave") & (data.pictures["kind"] == "cell"))["low"].max()
    return Panel(
        id="wave",
        title="The compression wave",
        question="Does the fall of the stable rank travel from early to late layers?",
        caveat="Ordered arrivals alone do not show that anything travels: layers may start together and differ in pace. "
        "At most 24 snapshots are shown.",
        references=("liu2026lifecycle",),
        table="pictures",
        charts=({"linear": chart(int(last or 0)).to_dict()},),
        quantities=of_pictures(data, "wave"),
        controls=(),
        legend="Map: u, mean over a layer's attention matrices. Line: the step at which each layer has "
        "covered half of its largest fall. Dashed: the snapshot of the slider, whose layers and singular values stand below.",
    )
