"""Panel: the most unusual sites of a model."""

import altair as alt

from gedanken.report.data import ANY, Data
from gedanken.report.panels.base import ROWS, VALUE_TIP, Control, Panel, log_axis, tooltip


def chart() -> alt.LayerChart:
    """One row a site: its name above a bar from the null median (1) to the value, on a logarithmic ratio axis."""
    scale = alt.Scale(type="log", nice=False, padding=24)
    x = alt.X("ratio:Q", title="value / null median [1]", scale=scale, axis=log_axis())
    y = alt.Y("rank:O", title=None, axis=None, scale=alt.Scale(paddingInner=0))
    base = alt.Chart(ROWS).encode(y=y)
    tips = tooltip(*VALUE_TIP, "ratio:Q", "q:Q:adjusted p")
    below = {"yOffset": 9}
    return alt.layer(
        base.mark_bar(style="null-band", height=14, **below).encode(alt.X("ratio_null_low:Q"), x2="ratio_null_high:Q"),
        base.transform_calculate(one="1").mark_bar(style="measured", height=6, opacity=0.85, **below).encode(
            x, x2="one:Q", tooltip=tips
        ),
        base.mark_rule(style="error", **below).encode(alt.X("ratio_low:Q"), x2="ratio_high:Q"),
        base.mark_point(style="measured-point", filled=True, size=70, **below).encode(x, tooltip=tips),
        base.mark_text(style="label", yOffset=-11).encode(x=alt.value(2), text="label:N"),
        base.transform_calculate(
            against="format(datum.value, ',.3~r') + ' against ' + format(datum.null, ',.3~r')"
        ).mark_text(style="label-muted", yOffset=-11, align="right").encode(x=alt.value("width"), text="against:N"),
        height=alt.Step(48),
    )  # fmt: skip


def panel(data: Data) -> Panel:
    present = data.unusual["quantity"].unique()
    ids = tuple(q for q in sorted(present, key=lambda q: (q != ANY, data.quantities.get(q, {}).get("label", ""))))
    return Panel(
        id="unusual",
        title="Most unusual sites",
        question="Which sites lie furthest from their nulls?",
        caveat="Far from random is not the same as important: a bar says that structure is there, not what it is for. "
        "Quantities whose null is zero have no ratio and are not ranked.",
        references=("benjamini1995controlling",),
        lanes="rank",
        table="unusual",
        charts=({"linear": chart().to_dict()},),
        quantities=ids,
        controls=(Control("quantity", "Ranked by"),),
        extra={ANY: "any variable (the largest of each site)"},
        legend="Ranked by |ln(value / null median)| among those that pass a false-discovery rate of 5 % "
        "(Benjamini–Hochberg over all comparisons of the model). Grey: the null's 95 % band.",
    )
