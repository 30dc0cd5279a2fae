"""Panel: a head's entropy, heat capacity and energies against temperature, and the loss of the whole model against it."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, Y, tooltip

ORDER = ("temperature_heat_capacity", "temperature_entropy", "temperature_energy", "temperature_free_energy",
         "loss_excess_at_temperature", "loss_at_temperature")  # fmt: skip
OWN = 1.0
"""τ of the model as it is."""


def chart() -> alt.LayerChart:
    """The curve with its interval on a logarithmic axis of τ, the null as a band or a line, and a rule at τ = 1."""
    axis = alt.Axis(format=".3~r", values=[0.25, 0.5, 1, 2, 4])
    x = alt.X(
        "x:Q",
        title="temperature τ, in units of the model's own [1]",
        scale=alt.Scale(type="log", nice=False),
        axis=axis,
    )
    base = alt.Chart(ROWS).encode(x)
    tips = tooltip(
        "x:Q:τ", "y:Q:value", "low:Q:95 % from", "high:Q:95 % to", "null_low:Q:null from", "null_high:Q:null to"
    )
    own = alt.Chart(alt.InlineData([{"at": OWN, "words": "as it is"}])).encode(
        alt.X("at:Q", scale=alt.Scale(type="log"))
    )
    return alt.layer(
        base.mark_area(style="null-band").encode(alt.Y("null_low:Q"), y2="null_high:Q"),
        base.mark_line(style="null-line").encode(alt.Y("null_low:Q")),
        base.mark_area(style="measured-area").encode(alt.Y("low:Q"), y2="high:Q"),
        base.mark_line(style="measured", point={"style": "measured-point", "filled": True}).encode(
            alt.Y("y:Q", title=Y, scale=alt.Scale(zero=False)), tooltip=tips
        ),
        own.mark_rule(style="null-line"),
        own.mark_text(style="label", align="left", dx=4).encode(y=alt.value(8), text="words:N"),
        height=300,
    )


def panel(data: Data) -> Panel:
    """The curves over τ that were measured."""
    place = {variable: i for i, variable in enumerate(ORDER)}
    drawn = set(data.curves["quantity"])
    ids = [q for q, about in data.quantities.items() if about["variable"] in place and q in drawn]
    return Panel(
        id="temperature",
        title="Against temperature",
        question="What would a head, or the whole model, do with its attention hotter or colder?",
        caveat="A peak of the heat capacity is no transition: with n keys every curve is smooth, and random energies of the "
        "same scale have one too.",
        references=("callen1985thermodynamics", "derrida1981random"),
        table="curves",
        charts=({"linear": chart().to_dict()},),
        quantities=tuple(sorted(ids, key=lambda q: place[data.quantities[q]["variable"]])),
        controls=(Control("quantity", "Curve"), Control("site", "Site"), Control("step", "Step")),
        legend="Blue: measured, with its 95 % interval. Grey: random energies of the measured logit scale, where they are the "
        "null.",
    )
