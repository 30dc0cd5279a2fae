"""Panel: a head's entropy, heat capacity and energies against temperature, and the loss of the whole model against it."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import MARKS, ROWS, Control, Panel, Y, tooltip

ORDER = ("temperature_heat_capacity", "temperature_entropy", "temperature_energy", "temperature_free_energy",
         "temperature_heat_capacity_without_sink", "temperature_entropy_without_sink",
         *(f"heat_capacity_{kind}_at_temperature" for kind in ("row", "uniform", "landscape", "landscape_centred",
                                                               "pool_between", "batch")),
         "loss_excess_at_temperature", "loss_at_temperature")  # fmt: skip
TWO_LEVELS = "two_levels_"
"""What stands in the place of `temperature_` in the names of the curves of two levels."""
OWN = 1.0
"""τ of the model as it is."""


def chart() -> alt.LayerChart:
    """The curve with its interval on a logarithmic axis of τ, random energies grey, two levels orange, a rule at τ = 1."""
    axis = alt.Axis(format=".3~r", values=[0.25, 0.5, 1, 2, 4])
    x = alt.X(
        "x:Q",
        title="temperature τ, in units of the model's own [1]",
        scale=alt.Scale(type="log", nice=False),
        axis=axis,
    )
    y = alt.Y("y:Q", title=Y, scale=alt.Scale(zero=False, nice=False, padding=8))
    base = alt.Chart(ROWS).encode(x)
    tips = tooltip("x:Q:τ", "y:Q:measured", "low:Q:95 % from", "high:Q:95 % to", "null_low:Q:random energies from",
                   "null_high:Q:random energies to")  # fmt: skip
    own = alt.Chart(alt.InlineData([{"at": OWN}])).encode(alt.X("at:Q", scale=alt.Scale(type="log")))
    return alt.layer(
        base.mark_area(style="null-band").encode(alt.Y("null_low:Q"), y2="null_high:Q"),
        base.mark_line(style="null-line").encode(alt.Y("null_low:Q")),
        base.mark_line(style="null-line").encode(alt.Y("null_high:Q")),
        base.mark_area(style="measured-area").encode(alt.Y("low:Q"), y2="high:Q"),
        alt.Chart(MARKS).mark_line(style="law").encode(x, y, tooltip=tooltip("x:Q:τ", "y:Q:two levels")),
        base.mark_line(style="measured", point={"style": "measured-point", "filled": True}).encode(y, tooltip=tips),
        own.mark_rule(style="mark-rule", strokeDash=[2, 4]),
        *_legend(),
        height=300,
    )


def _legend() -> list[alt.Chart]:
    """What the lines are, each told where it is drawn."""
    told = (
        (ROWS, "isValid(datum.y)", "measured", "measured", 0),
        (ROWS, "isValid(datum.null_low)", "random energies", "null-band", 76),
        (MARKS, "isValid(datum.y)", "two levels", "law", 190),
    )
    return [
        alt.Chart(rows)
        .transform_filter(there)
        .transform_aggregate(count="count()")
        .transform_filter("datum.count > 0")
        .mark_text(style=["label", style], text=words, fillOpacity=1)
        .encode(x=alt.value(at), y=alt.value(-12))
        for rows, there, words, style, at in told
    ]


def panel(data: Data) -> Panel:
    """The curves over τ that were measured."""
    place = {variable: i for i, variable in enumerate(ORDER)}
    drawn = set(data.curves["quantity"])
    ids = [q for q, about in data.quantities.items() if about["variable"] in place and q in drawn]
    rivals = {q: q.replace("temperature_", TWO_LEVELS, 1) for q in ids if q.startswith("temperature_")}
    return Panel(
        id="temperature",
        title="Against temperature",
        question="What would a head, or the whole model, do with its attention hotter or colder?",
        caveat="A peak of the heat capacity is no transition: with n keys every curve is smooth, and random energies of the "
        "same scale have one too.",
        references=("callen1985thermodynamics", "derrida1981random", "pathria2011statistical"),
        table="curves",
        charts=({"linear": chart().to_dict()},),
        quantities=tuple(sorted(ids, key=lambda q: place[data.quantities[q]["variable"]])),
        controls=(Control("quantity", "Curve"), Control("site", "Site"), Control("step", "Step")),
        rivals={q: rival for q, rival in rivals.items() if rival in drawn},
        legend="Blue: measured, with its 95 % interval. Grey: random energies of the measured logit scale. Orange: two "
        "levels, the largest logit and all others below it by the measured gap. Dotted: the model as it is.",
    )
