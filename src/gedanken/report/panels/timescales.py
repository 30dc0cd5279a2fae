"""Panel: the two-timescale model against the measured series, with residuals."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, tooltip
from gedanken.report.panels.wave import step_axis
from gedanken.report.particles import of_pictures


def chart() -> alt.VConcatChart:
    base = alt.Chart(ROWS)
    value = alt.Y("y:Q", title="value [1]", scale=alt.Scale(zero=False))
    layer = alt.Color(
        "number:O",
        title="layer [index]",
        scale=alt.Scale(range="category"),
        legend=alt.Legend(orient="top", symbolType="stroke"),
    )
    model = alt.Color("group:N", scale=alt.Scale(range="category"), legend=alt.Legend(orient="top", title=None))
    above = alt.layer(
        base.transform_filter("datum.kind == 'fit' && datum.group == 'M3'")
        .mark_line()
        .encode(step_axis(), value, layer),
        base.transform_filter("datum.kind == 'fit' && datum.group == 'M4'")
        .mark_line(strokeDash=[5, 4])
        .encode(step_axis(), value, layer),
        base.transform_filter("datum.kind == 'seen'")
        .mark_point(filled=True, size=34, opacity=1)
        .encode(step_axis(), value, layer, tooltip=tooltip("number:Q:layer", "time:Q:step", "y:Q:measured")),
        height=230,
    )
    residual = base.transform_filter("datum.kind == 'residual'")
    below = (
        residual.mark_point(filled=True, size=12, opacity=0.55)
        .encode(
            step_axis(),
            alt.Y("y:Q", title="measured − model [1]"),
            model,
            tooltip=tooltip("group:N:model", "number:Q:layer", "time:Q:step", "y:Q:residual"),
        )
        .properties(height=140)
    )
    return alt.vconcat(above, below, spacing=14).resolve_scale(color="independent")


def panel(data: Data) -> Panel:
    return Panel(
        id="timescales",
        title="Two timescales",
        question="Does a fast front in rank with a slow settling of shape describe the run?",
        caveat="The equations are gedanken's own; the paper prints none. M3 has a front that travels, M4 none.",
        references=("liu2026lifecycle",),
        table="pictures",
        charts=({"linear": chart().to_dict()},),
        quantities=of_pictures(data, "fit_rank", "fit_shape"),
        controls=(Control("quantity", "Variable"),),
        legend=(
            "Points: the first, the middle and the last layer as measured. Solid: M3; dashed: M4. Below: "
            "residuals of all layers."
        ),
    )
