"""Tables: what stands on the page as text and tables, and the small look-ups that the charts share."""

from pathlib import PurePath

import polars as pl

from gedanken.analysis.wording import cited, count, interval, named, number
from gedanken.report.data import ANY, Data
from gedanken.report.panels.base import Panel
from gedanken.status import Flag

END_COLUMNS = ("Site", "Variable", "Value", "95 % interval", "Null (95 % band)", "Value / null", "Said beside it")

_PLACE = ["site", "layer", "depth", "group", "order", "lane"]


def lede(lab, data: Data) -> str:
    """One line under the headline: how much was measured."""
    if not data.runs:
        return _ensembles(lab)
    measured = lab.measurements.select(
        pl.struct("run", "site").n_unique().alias("sites"),
        (pl.col("status") == "ok").sum().alias("ok"),
        (pl.col("status") != "ok").sum().alias("refused"),
        pl.col("variable").n_unique().alias("variables"),
    )
    row = measured.collect().row(0, named=True)
    return (
        f"{count(row['ok'], 'number')} of {count(row['variables'], 'variable')} at {count(row['sites'], 'site')} of "
        f"{count(len(data.runs) + len(data.left_out), 'model')}; {row['refused']:,} more refused, with the reason."
    )


def _ensembles(lab) -> str:
    """The same of a lab that holds ensembles and verdicts only."""
    row = lab.members.select(
        pl.len(), pl.col("run").n_unique().alias("runs"), pl.struct("run", "seed").n_unique().alias("n")
    )
    held = row.collect().row(0, named=True)
    if not held["len"]:
        return "No measurements: verdicts only."
    return f"{count(held['len'], 'number')} of {count(held['n'], 'member')} of {count(held['runs'], 'ensemble')}."


def ends(data: Data) -> dict[str, list[tuple[str, ...]]]:
    """run → rows of the table of sites without a layer (embeddings), at its last step."""
    last = data.values.filter(pl.col("layer").is_null()).filter(
        (pl.col("step") == pl.col("step").max().over("run")) | pl.col("step").is_null()
    )
    made: dict[str, list[tuple[str, ...]]] = {}
    for row in last.sort("run", "site", "quantity").iter_rows(named=True):
        about = data.quantities[row["quantity"]]
        unit = "" if about["unit"] == "1" else f" {about['unit']}"
        null = number(row["null"]) if row["null"] is not None else "–"
        band = interval(row["null_low"], row["null_high"])
        made.setdefault(row["run"], []).append(
            (row["site"], f"{about['label']}, {about['symbol']}", number(row["value"]) + unit,
             interval(row["low"], row["high"]) or "–", f"{null} ({band})" if band else null, number(row["ratio"]),
             "; ".join(Flag(flag).sentence for flag in row["flags"] or ()))
        )  # fmt: skip
    return made


VERDICT_MARKS = {"supported": "✓", "not_supported": "✕", "inconclusive": "○", "not_testable": "–"}
"""A sign beside each verdict's word, so that colour is never the only carrier."""


def verdicts(lab) -> list[dict]:
    """Studies that were judged, newest first: name, runs, how many claims fell where, and a row for each claim or part."""
    rows = lab.verdicts.collect()
    made = []
    for part in rows.partition_by("study", "runs", maintain_order=True):
        study = part["study"][0]
        part = part.with_columns(pl.col("claim").str.extract(r"(\d+)").cast(pl.Int64).alias("order"))
        claims = part.sort("order", "claim", "part", nulls_last=True).to_dicts()
        tally = part.group_by("verdict").len().sort("len", descending=True).iter_rows()
        made.append(
            {"id": study, "name": named(study), "runs": ", ".join(claims[0]["runs"] or ()), "created": part["created"].max(),
             "tally": ", ".join(f"{n} {word.replace('_', ' ')}" for word, n in tally),
             "claims": [_verdict(row) for row in claims]}
        )  # fmt: skip
    return sorted(made, key=lambda study: study["created"], reverse=True)


def _verdict(row: dict) -> dict:
    band = interval(row["low"], row["high"])
    effect = "" if row["effect"] is None else f"{row['quantity']} {number(row['effect'])}{f' ({band})' if band else ''}"
    facts = [effect, row["n"] and f"n = {row['n']:,}", row["against"] and f"against {row['against']}", row["exact"]]
    return row | {
        "label": row["claim"] + (f" · {row['part']}" if row["part"] else ""),
        "word": row["verdict"].replace("_", " "),
        "mark": VERDICT_MARKS.get(row["verdict"], ""),
        "facts": "; ".join(fact for fact in facts if fact),
    }


def refusals(data: Data) -> list[dict]:
    """Refused rows of the last step of each run, grouped by run and reason."""
    flat = data.refused.with_columns(pl.col("flags").list.first().alias("flag"))
    grouped = flat.group_by("run", "flag").agg(
        pl.len().alias("count"), pl.col("variable").unique().sort(), pl.col("site").unique().sort()
    )
    made = []
    for row in grouped.sort("count", "run", "flag", descending=[True, False, False]).iter_rows(named=True):
        sites = row["site"]
        more = f" … and {len(sites) - 40} more" if len(sites) > 40 else ""
        made.append(
            {"run": row["run"], "flag": row["flag"], "count": f"{row['count']:,}",
             "sentence": Flag(row["flag"]).sentence if row["flag"] else "no reason was stored",
             "variables": ", ".join(map(named, row["variable"])), "site_count": count(len(sites), "site"),
             "sites": ", ".join(sites[:40]) + more}
        )  # fmt: skip
    return made


def refused_counts(data: Data) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for run, quantity, n in data.refused.group_by("run", "quantity").len().iter_rows():
        counts.setdefault(run, {})[quantity] = n
    return counts


def provenance(lab, data: Data) -> list[dict]:
    """Per run, what is known of where its numbers come from: (label, text) pairs."""
    steps = lab.steps.group_by("run").agg(
        pl.len(), pl.col("step").min().alias("first"), pl.col("step").max().alias("last"), pl.col("fingerprint").last()
    )
    by_run = {row["run"]: row for row in steps.collect().iter_rows(named=True)}
    made = []
    for row in lab.runs.filter(pl.col("run").is_in(data.runs)).sort("run").collect().iter_rows(named=True):
        snapshot = by_run.get(row["run"], {})
        ladder = snapshot.get("last") is not None
        facts = {
            "source": row["source"],
            "revision": row["revision"],
            "architecture": row["architecture"],
            "fingerprint": snapshot.get("fingerprint"),
            "steps": f"{snapshot['len']:,} from {snapshot['first']:,} to {snapshot['last']:,}" if ladder else None,
            "dtype": row["dtype"],
            "code version": row["code_version"],
            "device": row["device"],
            "threads": row["threads"],
            "null of": row["null_of"],
            "measured": row["created"] and f"{row['created']:%Y-%m-%d %H:%M} UTC",
        }
        made.append({"run": row["run"], "facts": [(k, str(v)) for k, v in facts.items() if v not in (None, "")]})
    return made


def provenance_lines(lab, data: Data) -> dict[str, str]:
    """run → one line for the foot of a panel."""
    wanted = ("source", "revision", "dtype", "code version", "fingerprint")
    lines = {}
    for row in provenance(lab, data):
        short = [(key, PurePath(text).name if key == "source" else text) for key, text in row["facts"] if key in wanted]
        facts = [f"{key} {text}" for key, text in short]
        lines[row["run"]] = f"Data: {', '.join(facts)}."
    return lines


def glossary(lab) -> list[dict]:
    return [
        {
            **row,
            "name": named(row["variable"]),
            "reference": cited(row["reference"] or ""),
            "aliases": ", ".join(row["aliases"] or ()),
        }
        for row in lab.variables.sort("variable").collect().iter_rows(named=True)
    ]


def left_out(lab, data: Data) -> str:
    """What the lab holds and the page does not."""
    said = []
    if data.left_out:
        said.append(f"{count(len(data.left_out), 'run')} beyond the first {len(data.runs)} are not drawn.")
    all_steps = lab.measurements.select(pl.struct("run", "step").n_unique()).collect().item()
    drawn = data.values.select(pl.struct("run", "step").n_unique()).item()
    if not data.left_out and drawn < all_steps:
        said.append(f"{drawn} of {all_steps:,} checkpoints are drawn, evenly spaced on a logarithmic axis.")
    return " ".join(said) + (" The full series stays in the lab." if said else "")


def numbered_places(data: Data) -> pl.DataFrame:
    """The values with `place`: the number of their site among its run's sites."""
    place = (pl.struct("order", "layer", "site").rank("dense").over("run") - 1).cast(pl.Int64)
    return data.values.with_columns(place.alias("place"))


def places(numbered: pl.DataFrame) -> dict[str, list[dict]]:
    """run → the sites in the order of `place`."""
    unique = numbered.unique(["run", "place"]).sort("run", "place").with_columns(pl.col("depth").round(4))
    return {run: part.select(_PLACE).to_dicts() for (run,), part in unique.partition_by("run", as_dict=True).items()}


def one_line_where_equal(curves: pl.DataFrame) -> pl.DataFrame:
    """Drops `null_high` where it equals `null_low`: a law without a band is carried once."""
    apart = pl.col("null_high").ne_missing(pl.col("null_low"))
    return curves.with_columns(pl.when(apart).then(pl.col("null_high")).alias("null_high"))


def opening_choices(data: Data) -> dict[str, dict[str, str]]:
    """run → what its selects open on: the site that is most unusual."""
    top = data.unusual.filter(pl.col("quantity") == ANY, pl.col("rank") == 1, pl.col("layer").is_not_null())
    return {run: {"site": site} for run, site in top.select("run", "site").iter_rows()}


def mark_quantities(panel: Panel, data: Data) -> list[str]:
    """The quantities of a panel's marks: one setting each, the first by label."""
    named_so = [[q for q, a in data.quantities.items() if a["variable"] == variable] for variable in panel.marks]
    return [min(ids, key=lambda q: data.quantities[q]["label"]) for ids in named_so if ids]


def last_steps_of(data: Data) -> dict[str, int | None]:
    return dict(data.values.group_by("run").agg(pl.col("step").max()).iter_rows())
