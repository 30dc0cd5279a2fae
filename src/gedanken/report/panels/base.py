"""Panel: one question, one picture, one caveat. A panel is one file in this folder, made from this template.

A chart is a Vega-Lite specification written with Altair over the named data `rows` (and `marks`), without colours
(theme.py) and without widths (set where it is drawn). Texts between @ are filled in from the chosen quantity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import altair as alt

from gedanken.report.data import Data

ROWS = alt.NamedData("rows")
MARKS = alt.NamedData("marks")
SPREAD = "Bars: 95 % intervals. Grey: the null's 95 % band; dashed: its median."

Y, X, RATIO, TICKS, REACH = "@y@", "@x@", "@ratio@", "@ticks@", "@reach@"
"""Filled in: the quantity's axis title; the curve's x title; its ratio to the null median; decades of the steps; the
largest |ln ratio| of the rows, to either side of 0."""

_ROUND = "indexof([1, 2, 5], round(datum.value / pow(10, floor(log(datum.value) / LN10 + 1e-9)))) >= 0"
"""Of a logarithmic axis' ticks, those that get a line and a label: 1, 2 and 5 times a power of ten."""


@dataclass(frozen=True)
class Control:
    """A select of the panel: which field of the rows it fixes, and its label."""

    field: str
    label: str


@dataclass(frozen=True)
class Panel:
    """`charts`: each a mapping variant → specification; the variant is the quantity's scale, or "ratio" where that
    variant exists and the quantity has a null. `table` names the data; `quantities` those offered, first is shown.

    `across_runs`: the rows of all runs at their last step. `marks`: variables drawn as rules at the same site.
    """

    id: str
    title: str
    question: str
    caveat: str
    references: tuple[str, ...]
    table: str
    charts: tuple[Mapping[str, dict], ...]
    quantities: tuple[str, ...]
    controls: tuple[Control, ...] = (Control("quantity", "Variable"),)
    legend: str = SPREAD
    across_runs: bool = False
    stepped: bool = False
    whole_lab: bool = False
    """Of the lab and not of a run: its rows stand under the first run."""
    marks: tuple[str, ...] = ()
    rivals: Mapping[str, str] = field(default_factory=dict)
    """Quantity → the quantity whose curve at the same site is drawn beside it, as marks."""
    lanes: str = ""
    """The field whose values are stacked as rows of fixed height (a chart with a step as height); rows without it are left
    out."""
    cell: int = 0
    """Least width of a small multiple, in pixels; 0 for a single chart."""
    missing: str = ""
    """What a run lacks that the panel has nothing of."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further choices of quantity: id → label."""


FIRST = ("stable_rank", "hoyer_sparsity")
"""Variables that a page opens with, if they were measured: of weights, of activations."""


def layered_quantities(data: Data) -> tuple[str, ...]:
    """Quantities with a value at more than one layer: those of FIRST first, then those with a null, then by label."""

    def order(quantity: str) -> tuple[int, bool, str]:
        about = data.quantities[quantity]
        place = FIRST.index(about["variable"]) if about["variable"] in FIRST else len(FIRST)
        return place, not about["null"], about["label"]

    return tuple(
        sorted((q for q, about in data.quantities.items() if about["layered"] and not about["curve"]), key=order)
    )


def entering(data: Data) -> str:
    """What legends say of layer −1, where there is one."""
    return " Layer −1: what enters the first block." if (data.values["layer"] < 0).any() else ""


def value_axis(field: str, title: str, scale: str) -> alt.Y:
    """The y axis of a measured value, linear or logarithmic, no wider than the data."""
    if scale == "linear":
        return alt.Y(field, title=title, scale=alt.Scale(zero=False))
    return alt.Y(field, title=title, scale=alt.Scale(type="log", nice=False, padding=8), axis=log_axis())


def log_axis() -> alt.Axis:
    """A logarithmic axis with lines and labels at 1, 2 and 5 times powers of ten only."""
    return alt.Axis(
        grid=True,
        gridOpacity=alt.condition(_ROUND, alt.value(0.7), alt.value(0)),
        tickOpacity=alt.condition(_ROUND, alt.value(1), alt.value(0)),
        labelExpr=f"{_ROUND} ? format(datum.value, '.2~r') : ''",
    )


def tooltip(*fields: str) -> list[alt.Tooltip]:
    """Fields as "name:type" or "name:type:title"; numbers with three digits."""
    made = []
    for text in fields:
        name, kind, *title = text.split(":")
        form = {"format": ".3~r"} if kind == "Q" else {}
        made.append(alt.Tooltip(f"{name}:{kind}", title=title[0] if title else name.replace("_", " "), **form))
    return made


VALUE_TIP = ("site:N", "value:Q", "low:Q:95 % from", "high:Q:95 % to", "null:Q:null median", "null_low:Q:null from",
             "null_high:Q:null to")  # fmt: skip


def by_scale(make) -> dict[str, dict]:
    """The two variants of a chart whose value axis is linear or logarithmic: make(scale type) → chart."""
    return {kind: make(kind).to_dict() for kind in ("linear", "log")}
