"""Export: a panel's chart as an SVG or PNG file for a paper, from the specification that the page draws."""

import os
from pathlib import Path

import polars as pl
import vl_convert

from gedanken.report.build import VEGA_LITE
from gedanken.report.data import Data, collect
from gedanken.report.panels import panels
from gedanken.report.panels.base import Panel
from gedanken.report.tables import mark_quantities
from gedanken.report.theme import vega_config
from gedanken.status import Failure

WIDTH, COLUMNS = 720, 4
"""Width of an exported chart in pixels; small multiples in a row."""


def export(lab, panel: str, path: str | os.PathLike, theme: str = "light", chart: int = 0, **choices) -> Path:
    """Write the `chart`-th chart of a panel to `path` (.svg or .png) and return it.

    choices: what the page's selects would fix (run, quantity, step, site, group); what is not given is the page's
    opening choice. Raises Failure for an unknown panel, a choice with no rows, or another kind of file.
    """
    path = Path(path)
    data = collect(lab)
    known = {made.id: made for made in panels(data)}
    if panel not in known:
        raise Failure(f"There is no panel {panel!r}; this lab has {', '.join(known)}.")
    specification = filled(known[panel], data, chart, choices)
    arguments = {"vl_version": VEGA_LITE, "config": vega_config(theme)}
    if path.suffix == ".svg":
        path.write_text(vl_convert.vegalite_to_svg(specification, **arguments), encoding="utf-8")
    elif path.suffix == ".png":
        path.write_bytes(vl_convert.vegalite_to_png(specification, scale=2, **arguments))
    else:
        raise Failure(f"A chart is written as .svg or .png, not {path.suffix or 'without a suffix'}.")
    return path


def filled(panel: Panel, data: Data, chart: int, choices: dict) -> dict:
    """A chart's specification with its rows, texts and width: what script.js does, for one set of choices."""
    quantity, rows = chosen_rows(panel, data, choices)
    about = data.quantities.get(quantity) or data.quantities[rows["of"][0]]
    variants = panel.charts[chart]
    wanted = "ratio" if about["ratio"] and "ratio" in variants else about["scale"]
    kind = wanted if wanted in variants else next(iter(variants))
    top, reach = rows["step"].max() or 0, rows["log_ratio"].abs().max() if "log_ratio" in rows.columns else None
    texts = {"@y@": about["title"], "@x@": about["x_title"], "@ratio@": f"{about['label']} / null median [1]"}
    lists = {"@ticks@": [0, *(10**k for k in range(20) if 10**k <= top)], "@reach@": [-(reach or 1), reach or 1]}
    specification = _fill(variants[kind], texts, lists)
    drawn = {"rows": _records(panel, rows), "marks": _marks(panel, data, rows)}
    specification["datasets"] = specification.get("datasets", {}) | drawn
    if "facet" in specification:
        specification["columns"] = min(COLUMNS, rows["group"].n_unique())
        specification["spec"]["width"] = WIDTH // specification["columns"] - 20
    elif "vconcat" in specification:
        specification["background"] = "transparent"
        for part in specification["vconcat"]:
            part["width"] = WIDTH
    else:
        specification |= {"width": WIDTH, "background": "transparent"}
        if isinstance(specification.get("height"), dict) and panel.lanes:
            specification["height"] = specification["height"]["step"] * rows[panel.lanes].n_unique()
    return specification


def chosen_rows(panel: Panel, data: Data, choices: dict) -> tuple[str, pl.DataFrame]:
    """The rows a set of choices leaves. Raises Failure if none."""
    frame: pl.DataFrame = getattr(data, panel.table)
    if panel.table == "values":
        frame = frame.filter(pl.col("layer").is_not_null())
    if panel.stepped:
        frame = frame.filter(pl.col("step").is_not_null())
    if not panel.across_runs:
        first = next(run for run in (*data.runs, "") if run in frame["run"])
        frame = frame.filter(pl.col("run") == choices.get("run", first))
    quantity = choices.get("quantity", next((q for q in panel.quantities if q in frame["quantity"]), ""))
    frame = frame.filter(pl.col("quantity") == quantity)
    latest = pl.col("step").is_null() | (pl.col("step") == pl.col("step").max().over("run"))
    if panel.across_runs:
        frame = frame.filter(latest)
    for field in (control.field for control in panel.controls if control.field != "quantity"):
        if field == "step" and "step" not in choices:
            frame = frame.filter(latest)
        elif frame[field].n_unique() > 1 or field in choices:
            frame = frame.filter(pl.col(field) == choices.get(field, frame[field][0]))
    if frame.is_empty():
        raise Failure(f"Panel {panel.id} has no rows for these choices.")
    return quantity, frame


def _fill(piece, texts: dict[str, str], lists: dict[str, list]):
    if isinstance(piece, dict):
        return {key: _fill(value, texts, lists) for key, value in piece.items()}
    if isinstance(piece, list):
        name = piece[0] if piece and isinstance(piece[0], str) else ""
        return lists[name] if name in lists else [_fill(part, texts, lists) for part in piece]
    return texts.get(piece, piece) if isinstance(piece, str) else piece


def _records(panel: Panel, rows: pl.DataFrame) -> list[dict]:
    if panel.table != "curves":
        return rows.drop("flags", strict=False).to_dicts()
    series = ["x", "y", "low", "high", "null_low", "null_high"]
    present = [name for name in series if rows[name].null_count() == 0]
    return rows.select("run", "site", "step", *present).explode(present).to_dicts()


def _marks(panel: Panel, data: Data, rows: pl.DataFrame) -> list[dict]:
    if not panel.marks:
        return []
    here = data.values.filter(
        pl.col("quantity").is_in(mark_quantities(panel, data)), pl.col("run") == rows["run"][0],
        pl.col("site") == rows["site"][0], pl.col("step").eq_missing(rows["step"][0]),
    )  # fmt: skip
    return [row | {"symbol": data.quantities[row["quantity"]]["symbol"]} for row in here.drop("flags").to_dicts()]
