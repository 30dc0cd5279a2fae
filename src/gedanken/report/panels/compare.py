"""Panel: several models or checkpoints side by side, over relative depth."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import RATIO, ROWS, VALUE_TIP, Panel, Y, layered_quantities, tooltip, value_axis


def chart(kind: str) -> alt.FacetChart:
    """Small multiples by part, a line a model; relative to the null where there is one, so that shapes compare."""
    ratio = kind == "ratio"
    y = value_axis("ratio:Q", RATIO, "log") if ratio else value_axis("value:Q", Y, kind)
    base = alt.Chart().encode(
        alt.X("depth:Q", title="relative depth [1]", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=3)),
        y,
        alt.Color("run:N", title=None, scale=alt.Scale(range="category"), legend=alt.Legend(
            orient="top", columns=1, symbolType="stroke")),
    )  # fmt: skip
    layers = [
        base.mark_line(strokeWidth=2).encode(detail="lane:N"),
        base.mark_point(filled=True, size=26, opacity=1).encode(tooltip=tooltip("run:N", "layer:Q", *VALUE_TIP)),
    ]
    if ratio:
        layers = [
            base.mark_rule(strokeWidth=1.5, opacity=0.5).encode(alt.Y("ratio_low:Q"), y2="ratio_high:Q"),
            *layers,
            alt.Chart().transform_calculate(one="1").mark_rule(style="null-line").encode(alt.Y("max(one):Q")),
        ]
    else:
        layers.insert(0, base.mark_rule(strokeWidth=1.5, opacity=0.5).encode(alt.Y("low:Q"), y2="high:Q"))
    facet = alt.Facet("group:N", sort=alt.EncodingSortField("order", op="min"), title=None)
    return alt.layer(*layers, height=150).facet(facet, data=ROWS, columns=4)


def panel(data: Data) -> Panel:
    return Panel(
        id="compare",
        title="Side by side",
        question="Do the models differ at the same relative depth?",
        caveat="Depths are matched as (layer + ½) / layers, an assumption; models also differ in data, width and age.",
        references=("liu2026lifecycle",),
        table="values",
        charts=({kind: chart(kind).to_dict() for kind in ("ratio", "linear", "log")},),
        quantities=layered_quantities(data),
        across_runs=True,
        cell=138,
        legend="Relative to the median of each site's own null (dashed: 1), where there is one. Bars: 95 % intervals.",
    )
