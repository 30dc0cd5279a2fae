"""Data: the lab's tables as the charts read them. Joins, thins and names; measures nothing.

Limits, so that the page stays small however long the run: the full series stays in the lab.
"""

import re
from dataclasses import dataclass

import polars as pl

from gedanken.analysis.against_null import against_null, last_steps
from gedanken.analysis.unusual import most_unusual_sites, ranked, with_significance
from gedanken.analysis.variants import variants
from gedanken.analysis.wording import cited, named
from gedanken.measurements.schema import LEFT_OUT
from gedanken.report.lifecycle import collect_lifecycle, lifecycle_quantities
from gedanken.report.null_runs import drawn_as_bands
from gedanken.report.particles import PLACES, collect_pictures, picture_quantities
from gedanken.report.streams import collect_streams, stream_quantities
from gedanken.report.thinning import log_spaced, pick_ranks, thin_curve

RUNS, STEPS, CURVE_STEPS, TOP = 24, 24, 6, 12
"""At most so many runs; steps of a run, and steps of its curves; most unusual sites listed per variable."""

_PARTS = ("W_Q", "W_K", "W_V", "W_O", "W_gate", "W_in", "W_out")
SERIES = ("x", "y", "low", "high", "null_low", "null_high")
TOKENS = "token_surprisal"
"""Drawn as text (report/tokens.py), not as a curve."""
ANY = "any"
"""The pseudo-quantity under which each site stands with its most unusual variable."""


@dataclass(frozen=True)
class Data:
    """What the charts draw. Frames are long; every row names its `run` and `quantity` (variable and setting)."""

    quantities: dict[str, dict]
    """quantity → variable, label, title, symbol, unit, scale, definition, reference, null, no_null, curve, x_title."""
    values: pl.DataFrame
    curves: pl.DataFrame
    unusual: pl.DataFrame
    refused: pl.DataFrame
    pictures: pl.DataFrame
    """Rows of pictures of simulations and of training runs (report/particles.py, report/lifecycle.py)."""
    runs: list[str]
    left_out: list[str]
    """Runs that the page does not show, because there are more than RUNS."""


def collect(lab) -> Data:
    """Everything that the page shows, at its thinned steps."""
    steps = lab.measurements.select("run", "step").unique().collect()
    null_of = {run: of for run, of in lab.runs.select("run", "null_of").collect().iter_rows() if of}
    # Null runs stand behind the runs they are nulls of, as bands.
    every = sorted(run for run in steps["run"].unique() if null_of.get(run) not in set(steps["run"]))
    runs = every[:RUNS]
    kept = _kept_steps(steps.filter(pl.col("run").is_in(runs)), STEPS)
    rows = against_null(lab).join(kept.lazy(), on=["run", "step"], how="semi", nulls_equal=True).collect()
    rows = drawn_as_bands(_places(rows), lab, null_of)
    judged = with_significance(last_steps(rows.lazy()).collect())
    curves = (
        lab.curves.filter(
            pl.col("status") == "ok",
            ~pl.col("variable").str.ends_with(LEFT_OUT),
            ~pl.col("variable").is_in([*PLACES, TOKENS]),
        )
        .join(_kept_steps(kept, CURVE_STEPS).lazy(), on=["run", "step"], how="semi", nulls_equal=True)
        .collect()
    )
    refused = last_steps(lab.measurements).filter(pl.col("status") == "refused", pl.col("run").is_in(every)).collect()
    quantities, ids = _quantities(lab, rows, curves, refused)
    particles, lifecycle = collect_pictures(lab, runs), collect_lifecycle(lab, runs)
    streams = collect_streams(lab, runs)
    quantities |= picture_quantities(particles) | lifecycle_quantities(lifecycle) | stream_quantities(streams)
    tag = {"left_on": ["variable", "setting"], "right_on": ["variable", "setting"]}
    return Data(
        quantities=quantities,
        values=rows.join(ids, **tag).sort("run", "quantity", "order", "layer", "site", "step"),
        curves=_curves(curves.join(ids, **tag), quantities),
        unusual=_unusual(judged, ids, quantities),
        refused=refused.join(ids, **tag, how="left"),
        pictures=pl.concat([particles, lifecycle, streams], how="diagonal"),
        runs=runs,
        left_out=every[RUNS:],
    )


def _kept_steps(steps: pl.DataFrame, most: int) -> pl.DataFrame:
    keep = [
        {"run": run, "step": step}
        for (run,), part in steps.partition_by("run", as_dict=True).items()
        for step in ([None] if part["step"].null_count() else log_spaced(part["step"].sort().to_list(), most))
    ]
    return pl.DataFrame(keep, schema={"run": pl.String, "step": pl.Int64}, orient="row").unique()


def _places(rows: pl.DataFrame) -> pl.DataFrame:
    """Adds `group` (stack and part: one small chart each), its `order`, `lane` (expert, head) and relative `depth`.

    What enters the first block stands before what leaves the blocks, as the first state of one path: at layer −1."""
    rows = rows.with_columns((pl.col("part") == "resid_pre").alias("entering"))
    places = {part: i for i, part in enumerate(_PARTS)}
    rank = pl.col("part").replace_strict(places, default=len(_PARTS), return_dtype=pl.Int64)
    crossed, decoding = pl.col("block") == "cross_attn", (pl.col("stack") == "decoder").fill_null(False)
    prefix = pl.concat_str(
        pl.col("stack").fill_null(""),
        pl.when(pl.col("block") == "cross_attn").then(pl.lit("cross")).otherwise(pl.lit("")),
        separator=" ",
    ).str.strip_chars()
    deepest = pl.col("layer").max().over("run", pl.col("stack").fill_null("")) + 1
    expert, head = (pl.format(f"{word} {{}}", word).fill_null("") for word in ("expert", "head"))
    lane = pl.concat_str(expert, head, separator=" ").str.strip_chars()
    return rows.with_columns(
        pl.concat_str(prefix, pl.when("entering").then(pl.lit("resid_post")).otherwise("part"), separator=" ")
        .str.strip_chars()
        .alias("group"),
        (rank + 100 * decoding + 10 * crossed).alias("order"),
        lane.alias("lane"),
        pl.when("entering").then(0.0).otherwise((pl.col("layer") + 0.5) / deepest).alias("depth"),
        pl.when("entering").then(pl.col("layer") - 1).otherwise("layer").alias("layer"),
    ).drop("entering")


def _quantities(lab, rows, curves, refused) -> tuple[dict[str, dict], pl.DataFrame]:
    """The quantities in play and the table variable, setting → quantity."""
    pairs = [frame.select("variable", "setting") for frame in (rows, curves, refused)]
    ids = pl.concat(pairs).unique().sort("variable", "setting")
    words = variants(lab.settings.collect())
    about = {row["variable"]: row for row in lab.variables.collect().iter_rows(named=True)}
    is_curve = set(curves["variable"])
    named_so = [
        variable if not words.get(setting) else f"{variable}:{setting}" for variable, setting in ids.iter_rows()
    ]
    found = {
        quantity: _about(about.get(variable, {}), variable, words.get(setting, ""), variable in is_curve)
        | _observed(rows.filter(pl.col("variable") == variable, pl.col("setting") == setting))
        for quantity, (variable, setting) in zip(named_so, ids.iter_rows(), strict=True)
    }
    for facts in found.values():
        facts["scale"] = "log" if facts["scale"] == "log" and facts["positive"] else "linear"
    return found, ids.with_columns(pl.Series("quantity", named_so, dtype=pl.String))


def _about(row: dict, variable: str, variant: str, curve: bool) -> dict:
    """What the variables table says of a quantity, and its axis titles."""
    symbol, unit, definition = row.get("symbol") or "", row.get("unit") or "1", row.get("definition") or ""
    label = named(variable) + (f" ({variant})" if variant else "")
    return {
        "variable": variable,
        "label": label,
        "title": f"{label}{f', {symbol}' if symbol else ''} [{unit}]",
        "x_title": _argument(definition) if curve else "",
        "symbol": symbol,
        "unit": unit,
        "scale": row.get("scale") or "linear",
        "no_null": row.get("no_null") or "",
        "definition": definition[:1].upper() + definition[1:].rstrip(".") + "." if definition else "",
        "reference": cited(row.get("reference") or ""),
        "curve": curve,
    }


def _observed(rows: pl.DataFrame) -> dict:
    """What the measured rows of a quantity allow: a logarithmic axis, a ratio to the null, a place over depth."""
    lowest = rows.select(pl.min_horizontal(pl.col("value").min(), pl.col("low").min(), pl.col("null_low").min())).item()
    nulls = rows["null_name"].drop_nulls()
    return {
        "positive": lowest is not None and lowest > 0,
        "ratio": bool(rows["log_ratio"].is_not_null().any()),
        "layered": bool(rows["layer"].is_not_null().any()),
        "null": named(nulls[0]) if len(nulls) else "",
    }


def _argument(definition: str) -> str:
    """The x axis of a curve: its definition ends in ", against the …" or ", by …", with a unit unless it has none."""
    inside = re.search(r",? (?:against|by) (?:the |its )?([^,;]+)$", definition.rstrip("."))
    name = inside.group(1) if inside else "x"
    return name if "[" in name else f"{name} [{'index' if 'index' in name else '1'}]"


def _curves(curves: pl.DataFrame, quantities: dict[str, dict]) -> pl.DataFrame:
    ranked = {name for name, about in quantities.items() if about.get("x_title", "").startswith("rank")}
    thinned = [
        (pick_ranks if quantity in ranked else thin_curve)(row)
        for quantity, *row in curves.select("quantity", *SERIES).iter_rows()
    ]
    columns = {name: [t[i] for t in thinned] for i, name in enumerate(SERIES)}
    kind = pl.List(pl.Float64)
    return (
        curves.select("run", "quantity", "site", "step", "n")
        .with_columns(*(pl.Series(name, data, dtype=kind) for name, data in columns.items()))
        .with_columns(pl.col("site").str.extract(r"layers\.(\d+)\.").cast(pl.Int64).alias("layer"))
        .sort("run", "quantity", "layer", "site", "step", nulls_last=True)
    )


def _unusual(judged: pl.DataFrame, ids: pl.DataFrame, quantities: dict[str, dict]) -> pl.DataFrame:
    """The TOP rows of each run: over all variables (one row a site, quantity ANY), and within each quantity."""
    tag = ["variable", "setting"]
    usual = judged.filter(pl.col("variant") == "")  # a second setting of a variable would say much the same again
    anywhere = most_unusual_sites(usual).join(ids, on=tag).with_columns(pl.col("quantity").alias("of"))
    within = ranked(judged).join(ids, on=tag).with_columns(pl.col("quantity").alias("of"))
    place = pl.int_range(pl.len()) + 1
    anywhere = anywhere.with_columns(pl.lit(ANY).alias("quantity"))
    rows = pl.concat([anywhere, within.with_columns(place.over("run", "quantity").alias("rank"))])
    label = pl.col("of").replace_strict({q: a["label"] for q, a in quantities.items()}, return_dtype=pl.String)
    inside = pl.col("layer").is_not_null() & (pl.col("part") != "resid_pre")
    where = pl.when(~inside).then(pl.col("site")).otherwise(
        pl.concat_str(pl.lit("layer "), pl.col("layer").cast(pl.String), pl.lit(" "), pl.col("group"))
    )  # fmt: skip
    return (
        rows.filter(pl.col("rank") <= TOP)
        .with_columns(
            pl.concat_str(where, label, separator=" · ").alias("label"),
            *((pl.col(c) / pl.col("null")).alias(f"ratio_{c}") for c in ("low", "high", "null_low", "null_high")),
        )
        .sort("run", "quantity", "rank")
    )
