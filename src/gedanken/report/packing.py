"""Packing: frames as compact JSON columns, safe inside a page. script.js unpacks them."""

import json
from itertools import groupby

import polars as pl

DIGITS = 3
"""Significant digits that the page holds."""


def pack(frame: pl.DataFrame, columns: list[str], digits: int = DIGITS) -> dict[str, dict[str, dict]]:
    """run → quantity → column → its values, of a sorted frame. Columns of nulls only are left out."""
    rounded = frame.select("run", "quantity", *columns).with_columns(_rounded(frame.schema, columns, digits))
    packed: dict[str, dict[str, dict]] = {}
    for (run, quantity), part in rounded.partition_by("run", "quantity", as_dict=True, maintain_order=True).items():
        filled = {name: part[name] for name in columns if part[name].null_count() < len(part)}
        packed.setdefault(run, {})[quantity] = {name: _runs(series.to_list()) for name, series in filled.items()}
    return packed


def _rounded(schema: pl.Schema, columns: list[str], digits: int) -> list[pl.Expr]:
    flat = [pl.col(c).fill_nan(None).round_sig_figs(digits) for c in columns if schema[c] == pl.Float64]
    lists = [c for c in columns if schema[c] == pl.List(pl.Float64)]
    return flat + [pl.col(c).list.eval(pl.element().round_sig_figs(digits)) for c in lists]


def _runs(values: list) -> list | dict:
    """Run-length coded, {"r": [value, times, …]}, where that is shorter: labels and nulls repeat over the steps."""
    coded = [piece for value, same in groupby(values) for piece in (value, sum(1 for _ in same))]
    return {"r": coded} if len(coded) < len(values) else values


def safe_json(thing: object) -> str:
    """JSON that no text inside can break out of its script element with."""
    text = json.dumps(thing, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
