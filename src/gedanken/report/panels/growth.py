"""Panel: growth of each mode out of the uniform state, against the rates of linear theory."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, log_axis, tooltip
from gedanken.report.particles import of_pictures, time_axis


def chart() -> alt.LayerChart:
    """Amplitude on a logarithmic axis, a line a degree; dashed: its first value times e^{λt}."""
    scale = alt.Scale(type="log", nice=False, padding=6)
    key = alt.Legend(orient="top", title="degree ℓ", symbolType="stroke", columns=7)
    base = alt.Chart(ROWS).encode(
        time_axis("linear"),
        alt.Y("y:Q", title="amplitude [1]", scale=scale, axis=log_axis()),
        alt.Color("number:O", scale=alt.Scale(range="category"), legend=key),
    )
    return alt.layer(
        base.transform_filter("datum.kind == 'theory'").mark_line(strokeWidth=1.5, strokeDash=[5, 4], opacity=0.9),
        base.transform_filter("datum.kind == 'measured'").mark_line().encode(
            strokeWidth=alt.condition("datum.group == 'fastest'", alt.value(4), alt.value(2)),
            tooltip=tooltip("number:Q:degree", "time:Q", "y:Q:amplitude")
        ),
        height=400,
    )  # fmt: skip


def panel(data: Data) -> Panel:
    return Panel(
        id="growth",
        title="Growth of the modes",
        question="Does each mode grow at the rate that linear theory gives it, and which one wins?",
        caveat="Theory starts at each mode's own first value and holds while all amplitudes are small.",
        references=("bruno2024emergence", "rigollet2025meanfield"),
        table="pictures",
        charts=({"linear": chart().to_dict()},),
        quantities=of_pictures(data, "growth"),
        controls=(Control("quantity", "Picture"),),
        legend="Solid: measured, the root of the power per component of each degree; thick: the degree that theory calls "
        "fastest. Dashed: exponential growth at the rate of linear theory.",
    )
