"""Panel: how probable k_max clusters are, by inverse temperature and number of tokens."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import ROWS, Control, Panel, tooltip
from gedanken.report.particles import of_pictures

ENDS = "datum.y > 0.8 || datum.y < 0.2"
"""Where the scale is so far from its middle that words must stand out from it."""


def chart() -> alt.LayerChart:
    """A cell for each β and N, coloured and labelled by the share of runs; k_max on top."""
    tips = tooltip("x:Q:β", "number:Q:N", "group:N:predicted", "y:Q:share", "low:Q:95 % from", "high:Q:95 % to",
                   "label:N:count : runs")  # fmt: skip
    shade = alt.Scale(range="diverging", domain=[0, 1], domainMid=0.5, interpolate="lab")
    key = alt.Legend(orient="top", gradientLength=200, format=".1f", values=[0, 0.5, 1], offset=26)
    base = alt.Chart(ROWS).encode(
        alt.X("x:O", title="inverse temperature β [1]", axis=alt.Axis(labelAngle=0, domain=False, ticks=False)),
        alt.Y("number:O", title="tokens N", sort="descending", axis=alt.Axis(
            labelExpr="format(datum.value, ',')", domain=False, ticks=False)),
    )  # fmt: skip
    words = base.transform_calculate(text="datum.y == 1 ? '1' : replace(format(datum.y, '.2f'), '0.', '.')")
    top = (
        alt.Chart(ROWS)
        .transform_aggregate(k="min(group)", groupby=["x"])
        .transform_calculate(k="replace(datum.k, 'k = ', '')")
    )
    above = {"style": "label-muted", "dy": -11}
    return alt.layer(
        base.mark_rect(cornerRadius=3).encode(
            alt.Color("y:Q", title="share of runs", scale=shade, legend=key), tooltip=tips
        ),
        words.transform_filter(f"!({ENDS})").mark_text(style="label-cell", fontSize=12).encode(text="text:N"),
        words.transform_filter(ENDS).mark_text(style="label-cell-end", fontSize=12).encode(text="text:N"),
        top.mark_text(align="center", **above).encode(alt.X("x:O"), y=alt.value(0), text="k:N"),
        top.mark_text(align="right", dx=-5, text="k", **above).encode(x=alt.value(0), y=alt.value(0)),
        height=alt.Step(44),
    )


def panel(data: Data) -> Panel:
    return Panel(
        id="phases",
        title="How often the fastest mode wins",
        question="With what probability does a random start form the predicted number of clusters?",
        caveat="Counted by gaps at 2.2 ln N/(2λ), clusters of 2 % of the tokens at least. Neighbouring modes grow almost "
        "equally fast, so the borders are crossovers and no transitions.",
        references=("bruno2024emergence",),
        table="pictures",
        charts=({"linear": chart().to_dict()},),
        quantities=of_pictures(data, "counts"),
        controls=(Control("quantity", "Picture"),),
        legend="Share of random starts on the circle with exactly the predicted number k of clusters, which stands above. "
        "Intervals and all counts: point at a cell.",
        lanes="number",
        whole_lab=True,
    )
