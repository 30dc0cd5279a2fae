"""Panel: the overlaps between token embeddings, with their edge ε and the law of isotropic points."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import MARKS, Control, Panel, Y
from gedanken.report.panels.density import curve_layers


def chart() -> alt.LayerChart:
    """The histogram, the null's law, and ε as a labelled rule with its interval."""
    marks = alt.Chart(MARKS)
    label = "datum.symbol + ' = ' + format(datum.value, '.3~r') + '  (dashed: null ' + format(datum.null, '.3~r') + ')'"
    return alt.layer(
        *curve_layers(alt.Y("y:Q", title=Y)),
        marks.mark_rect(style="mark-rule", opacity=0.15).encode(x="low:Q", x2="high:Q"),
        marks.mark_rule(style="mark-rule").encode(x="value:Q"),
        marks.mark_rule(style="null-line").encode(x="null:Q"),
        marks.transform_calculate(label=label).mark_text(style="label", align="right", dy=-32).encode(
            x=alt.value("width"), y=alt.value(0), text="label:N"
        ),
        height=320,
    )  # fmt: skip


def panel(data: Data) -> Panel:
    ends = data.curves.filter(data.curves["layer"].is_null())["quantity"].unique().to_list()
    ids = sorted(q for q in ends if "histogram" in q)
    return Panel(
        id="embedding",
        title="Token embeddings",
        question="How nearly orthogonal are the tokens?",
        caveat="A wider spread of overlaps is not a better packing: any departure from isotropy widens it.",
        references=("guha2026representational",),
        table="curves",
        charts=({"linear": chart().to_dict()},),
        quantities=tuple(ids),
        controls=(Control("quantity", "Curve"), Control("site", "Site"), Control("step", "Step")),
        marks=("cosine_edge",),
        legend="Blue: measured cosines. Orange: isotropic points in as many dimensions. Upright line: ε with "
        "its 95 % interval; dashed: ε of the null.",
    )
