"""Summary: what a lab says about a model, in sentences that carry their numbers, uncertainty and null."""

from dataclasses import dataclass

import polars as pl

from gedanken.analysis import contrasts
from gedanken.analysis.against_null import against_null, last_steps
from gedanken.analysis.contrasts import Finding
from gedanken.analysis.unusual import RATE, with_significance
from gedanken.analysis.wording import PARTS, count, named, number
from gedanken.status import Flag


@dataclass(frozen=True)
class Statement:
    """A sentence that says it, and what it rests on (spread, null, test)."""

    claim: str
    evidence: str = ""

    def __str__(self) -> str:
        return f"{self.claim} {self.evidence}".rstrip()


@dataclass(frozen=True)
class Summary:
    """One model in plain words; `step` is None for a single checkpoint."""

    run: str
    step: int | None
    sentences: tuple[Statement, ...]


def findings(lab, count: int = 3) -> list[str]:
    """The `count` most surprising things in a lab, in words (fewer if the lab has fewer)."""
    return [finding.sentence for finding in ranked_findings(lab, count)]


def ranked_findings(lab, count: int = 3) -> list[Finding]:
    """Findings by size of effect, one of each kind and variable first, spread over the models where there are several.

    Only effects that survive the false-discovery rate are candidates; refusals fill up when there are too few.
    """
    table = judged(lab)
    candidates = sorted(contrasts.all_findings(table), key=lambda f: (-f.size, f.run, f.sentence))
    chosen: list[Finding] = []
    for rule in (_all_new, _new_kind_and_variable, _new_kind, _new_claim):
        for finding in candidates:
            if len(chosen) < count and rule(finding, chosen):
                chosen.append(finding)
    chosen.sort(key=lambda f: -f.size)
    return (chosen + _refusal_findings(lab))[:count]


def judged(lab) -> pl.DataFrame:
    """The last snapshot of every run against its null, with the false-discovery decision."""
    return with_significance(last_steps(against_null(lab)).collect())


def summarise(lab, table: pl.DataFrame | None = None) -> list[Summary]:
    """A summary of each run's last snapshot, in the order of the runs' names. `table` = `judged(lab)` if at hand."""
    table = judged(lab) if table is None else table
    refused = last_steps(lab.measurements.select("run", "step", "status", "flags")).collect()
    steps = lab.steps.select("run", "step").collect()
    found = []
    for run in sorted(refused["run"].unique()):
        rows = table.filter(pl.col("run") == run)
        of_run = refused.filter(pl.col("run") == run)
        effects = contrasts.all_findings(rows)
        best: dict[str, Finding] = {}
        for effect in sorted(effects, key=lambda f: (-f.size, f.sentence)):
            best.setdefault(effect.kind, effect)
        said: set[str] = set()
        told = []
        for effect in best.values():
            told.append(Statement(effect.claim, effect.evidence + ("" if effect.gloss in said else f" {effect.gloss}")))
            said.add(effect.gloss)
        plain = [Statement(text) for text in (_size(rows, of_run), _share(rows))]
        sentences = [*plain, *told, Statement(_training(lab, run, steps))]
        step = of_run["step"].max()
        found.append(Summary(run, step, tuple(s for s in sentences if s.claim)))
    return found


def _all_new(finding: Finding, chosen: list[Finding]) -> bool:
    return all(finding.run != other.run for other in chosen) and _new_kind_and_variable(finding, chosen)


def _new_kind_and_variable(finding: Finding, chosen: list[Finding]) -> bool:
    return all(finding.kind != other.kind and finding.gloss != other.gloss for other in chosen)


def _new_kind(finding: Finding, chosen: list[Finding]) -> bool:
    return all(finding.kind != other.kind for other in chosen)


def _new_claim(finding: Finding, chosen: list[Finding]) -> bool:
    return all((finding.kind, finding.run) != (other.kind, other.run) for other in chosen)


def _size(rows: pl.DataFrame, of_run: pl.DataFrame) -> str:
    layers, sites = rows["layer"].n_unique() - rows["layer"].has_nulls(), rows["site"].n_unique()
    refused = of_run.filter(pl.col("status") == "refused")
    across = f" in {count(layers, 'layer')}" if layers else ""
    text = f"{count(len(rows), 'number was', 'numbers were')} measured at {count(sites, 'site')}{across}"
    if refused.is_empty():
        return f"{text}; none was refused."
    flag = refused.explode("flags")["flags"].drop_nulls().mode().sort().to_list()
    why = f", most often because {Flag(flag[0]).sentence}" if flag else ""
    return f"{text}; {count(len(refused), 'more was', 'more were')} refused{why}."


def _share(rows: pl.DataFrame) -> str:
    tested = rows.filter(pl.col("q").is_not_null())
    if tested.is_empty():
        return ""
    odd = tested["significant"].sum()
    return (
        f"Of {count(len(tested), 'comparison')} with a null of the same shape, {odd:,} "
        f"({number(100 * odd / len(tested), 2)} %) differ, at a false-discovery rate of {number(100 * RATE)} %."
    )


def _training(lab, run: str, steps: pl.DataFrame) -> str:
    """How far the best-known variable moved between the first and the last step."""
    axis = steps.filter(pl.col("run") == run)["step"].drop_nulls()
    if axis.n_unique() < 2:
        return ""
    ends = [axis.min(), axis.max()]
    rows = against_null(lab).filter(
        pl.col("run") == run, pl.col("step").is_in(ends), pl.col("variable").is_in(list(contrasts.MEANING)),
        pl.col("layer").is_not_null(), pl.col("ratio") > 0, pl.col("variant") == "",
    )  # fmt: skip
    medians = (
        rows.group_by("variable", "setting", "part", "step")
        .agg(pl.col("value").median(), pl.col("null").median(), pl.len())
        .collect()
    )
    per = ["variable", "setting", "part"]
    both = (
        medians.filter(pl.col("step") == ends[0])
        .join(medians.filter(pl.col("step") == ends[1]), on=per)
        .with_columns((pl.col("value_right") / pl.col("value")).log().abs().alias("move"))
        .sort("move", *per, descending=[True, False, False, False])
    )
    if both.is_empty():
        return ""
    row = both.row(0, named=True)
    return (
        f"From step {ends[0]:,} to step {ends[1]:,} the {named(row['variable'])} of the "
        f"{PARTS.get(row['part'], row['part'])} matrices went from {number(row['value'])} to "
        f"{number(row['value_right'])} (median of {count(row['len'], 'layer')}; structureless: {number(row['null'])})."
    )


def _refusal_findings(lab) -> list[Finding]:
    """How many numbers each run refused, and why: what could not be known."""
    refused = last_steps(lab.measurements.select("run", "step", "variable", "status", "flags")).filter(
        pl.col("status") == "refused"
    )
    counts = refused.explode("flags").group_by("run", "flags").agg(pl.len(), pl.col("variable").n_unique())
    found = []
    for row in counts.sort("len", "run", "flags", descending=[True, False, False]).collect().iter_rows(named=True):
        claim = f"{count(row['len'], 'number was', 'numbers were')} refused: {Flag(row['flags']).sentence}."
        evidence = f"It concerns {count(row['variable'], 'variable')}."
        found.append(Finding("refusal", row["run"], 0.0, f"{row['len']:,}", claim, evidence))
    return found
