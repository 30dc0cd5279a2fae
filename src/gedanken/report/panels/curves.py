"""Panel: the other curves that instruments report at a site."""

import altair as alt

from gedanken.report.data import Data
from gedanken.report.panels.base import Control, Panel, Y
from gedanken.report.panels.density import curve_layers


def chart() -> alt.LayerChart:
    return alt.layer(*curve_layers(alt.Y("y:Q", title=Y, scale=alt.Scale(zero=False)), line=True), height=280)


def panel(data: Data, shown: set[str]) -> Panel:
    """`shown`: the curves that have a panel of their own."""
    ids = sorted(set(data.curves["quantity"]) - shown)
    return Panel(
        id="curves",
        title="Other curves",
        question="What else was measured as a curve, site by site?",
        caveat="At most 40 points of a curve are drawn, neighbours averaged.",
        references=(),
        table="curves",
        charts=({"linear": chart().to_dict()},),
        quantities=tuple(ids),
        controls=(Control("quantity", "Curve"), Control("site", "Site"), Control("step", "Step")),
        legend="Blue: measured, with its 95 % interval where there is one. Orange: the null's 95 % band.",
    )
