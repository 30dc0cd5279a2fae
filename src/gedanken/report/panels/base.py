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

Y, X, RATIO, TICKS = "@y@", "@x@", "@ratio@", "@ticks@"
"""Filled in: the quantity's axis title; the curve's x title; its ratio to the null median; decades of the steps."""


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
    marks: tuple[str, ...] = ()
    cell: int = 0
    """Least width of a small multiple, in pixels; 0 for a single chart."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further choices of quantity: id → label."""


def layered_quantities(data: Data, first: str = "stable_rank") -> tuple[str, ...]:
    """Quantities with a value at more than one layer: `first` first, then those with a null, then by label."""
    ids = [q for q, about in data.quantities.items() if about["layered"] and not about["curve"]]
    return tuple(sorted(ids, key=lambda q: (data.quantities[q]["variable"] != first, not data.quantities[q]["null"],
                                            data.quantities[q]["label"])))  # fmt: skip


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
