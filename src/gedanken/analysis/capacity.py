"""Capacity of models: ε of their embeddings in a lab, its classes and its relation to the width, estimates of k.

A frame of models has the columns of published_models.SCHEMA: one row a model, d its width, V the rows of its embedding,
tied whether the unembedding is the same table, ε = μ + 2σ with its 95 % interval. ε₀ = 2/√d is that of a random table.
"""

import math
from dataclasses import dataclass

import polars as pl

from gedanken.analysis.against_null import last_steps
from gedanken.analysis.published_models import SCHEMA
from gedanken.measurements.store import Lab
from gedanken.status import Failure, Flag
from gedanken.theory.coherence import least_overlap
from gedanken.theory.packing import (
    FORMS,
    NEAR_ORTHOGONAL,
    NOT_NEAR_ORTHOGONAL,
    Form,
    log_greedy_guarantee,
    random_coherence,
    welch_bound,
)

SITE = "embed.W_E"
LN10 = math.log(10)


def models_of(lab: Lab, runs: tuple[str, ...] = ()) -> pl.DataFrame:
    """The models of a lab (or of `runs`) whose embedding has an ε at its last step. Empty if there are none.

    `family` is the architecture; `excluded` follows the paper's exclusion of Gemma models [@guha2026representational].
    """
    address = ["run", "step", "site"]
    rows = lab.measurements.filter(
        (pl.col("variable") == "cosine_edge") & (pl.col("site") == SITE) & (pl.col("status") == "ok")
    )
    rows = last_steps(rows.join(lab.settings.filter(pl.col("default")), on="setting", how="semi"))
    if runs:
        rows = rows.filter(pl.col("run").is_in(list(runs)))
    sites = lab.sites.select(*address, "cols", "notes")
    found = rows.join(sites, on=address, how="inner", nulls_equal=True).join(
        lab.runs.select("run", "architecture"), on="run", how="left"
    )
    table = found.select(
        model="run",
        family=pl.col("architecture").fill_null("unknown"),
        d="cols",
        V="n",
        tied=~pl.col("notes").list.contains("untied"),
        epsilon="value",
        low="low",
        high="high",
        excluded=pl.col("architecture").fill_null("").str.to_lowercase().str.contains("gemma"),
    )
    return table.sort("model").collect().cast(SCHEMA)


def packing_cells(lab: Lab) -> pl.DataFrame:
    """The packings of a lab as cells: columns d, k, epsilon, and run, loss, p, evaluations of each.

    ε is the exact largest overlap at the last step; packings of which only a sample of the pairs was read are left out.
    """
    rows = lab.measurements.filter(
        (pl.col("variable") == "coherence") & (pl.col("site") == "packing.x") & (pl.col("status") == "ok")
    )
    exact = last_steps(rows.filter(~pl.col("flags").list.contains(str(Flag.sampled)))).unique("run")
    told = pl.Struct({"loss": pl.String, "p": pl.Int64, "evaluations": pl.Int64})
    settings = lab.runs.select("run", pl.col("configuration").str.json_decode(told).alias("recipe"))
    sites = lab.sites.select("run", "step", "site", d="cols", k="rows")
    cells = exact.join(sites, on=["run", "step", "site"], how="inner", nulls_equal=True).join(settings, on="run")
    return (
        cells.select("d", "k", pl.col("value").alias("epsilon"), "run", "recipe")
        .unnest("recipe")
        .sort("d", "k")
        .collect()
    )


def beside(cells: pl.DataFrame) -> pl.DataFrame:
    """Cells with what each ε is held against.

    least: the optimum where it is known. welch: below which no ε can be. full, ratio: what the published fits predict.
    random: the median of random directions. full_k: how many directions `full` allows at ε; more are in hand where it
    is below k.
    """
    rows = cells.select("d", "k", "epsilon").iter_rows()
    told = [
        {
            "least": least_overlap(k, d),
            "welch": welch_bound(k, d),
            "full": FORMS["full"].overlap(k, d),
            "ratio": FORMS["ratio"].overlap(k, d),
            "random": random_coherence(k * (k - 1) / 2, d),
            "full_k": math.exp(min(FORMS["full"].log_capacity(d, epsilon), 700.0)),
        }
        for d, k, epsilon in rows
    ]
    kinds = dict.fromkeys(("least", "welch", "full", "ratio", "random", "full_k"), pl.Float64)
    return pl.concat([cells, pl.DataFrame(told, schema=kinds)], how="horizontal")


@dataclass(frozen=True, slots=True)
class Estimate:
    """log₁₀ of k at (d, ε) by a form, with the interval that ε's has; over that of a random table; what greedy choice
    guarantees; and what must be said beside it."""

    form: str
    log10_k: float
    low: float | None
    high: float | None
    log10_excess: float
    log10_guarantee: float
    flags: tuple[Flag, ...]


def estimate(
    d: int, overlap: float, low: float | None = None, high: float | None = None, form: str | Form = "full"
) -> Estimate:
    """Of how many directions a form allows: what is reachable, never an upper bound.

    An ε ≤ 0 gives k = d (`clamped`) by the forms relative to d. Raises Failure for ε ≥ 1 or d < 2.
    """
    if not -1 <= overlap < 1 or d < 2:
        raise Failure(f"ε = {overlap:g} in {d} dimensions is no overlap of directions: ε < 1 and d ≥ 2 are needed.")
    law = FORMS[form] if isinstance(form, str) else form
    counts = [None if e is None else law.log_capacity(d, e) / LN10 for e in (overlap, low, high)]
    null, guarantee = law.log_capacity(d, 2 / math.sqrt(d)) / LN10, log_greedy_guarantee(overlap, d) / LN10
    said = {
        Flag.clamped: law.is_clamped(d, overlap),
        Flag.extrapolated: law.is_extrapolated(d, overlap),
        Flag.below_guarantee: counts[0] < guarantee,
        Flag.not_near_orthogonal: overlap >= NEAR_ORTHOGONAL,
    }
    flags = tuple(flag for flag, applies in said.items() if applies)
    return Estimate(form if isinstance(form, str) else "", *counts, counts[0] - null, guarantee, flags)


def elasticities(d: int, overlap: float, form: str | Form = "full") -> tuple[float, float]:
    """(∂ ln k/∂ ln ε at fixed d, ∂ ln k/∂ ln d at fixed ε): per cent of k for one per cent. Algebra, not evidence."""
    law = FORMS[form] if isinstance(form, str) else form
    of_overlap = law.elasticity(d, overlap)
    return of_overlap, law.relative / law.a + law.c / 2 * of_overlap


@dataclass(frozen=True, slots=True)
class ClassGap:
    """Where models lie about the gap 0.1 ≤ ε ≤ 0.2: names by class, and the ends of the gap that the models leave.

    `near_end` and `far_start` are the largest ε below the gap and the smallest above, None where there is no model;
    `null_near_end` and `null_far_start` the largest and smallest ε/ε₀ of the same two classes. `inside` lie in the gap
    with their whole interval; `gap` holds them and those whose ε alone does.
    """

    near: tuple[str, ...]
    gap: tuple[str, ...]
    far: tuple[str, ...]
    inside: tuple[str, ...]
    near_end: float | None
    far_start: float | None
    null_near_end: float | None
    null_far_start: float | None

    @property
    def overlap_in_null_units(self) -> bool | None:
        """Whether the two classes mix once ε is measured in units of a random table's; None if one is empty."""
        if self.null_near_end is None or self.null_far_start is None:
            return None
        return self.null_near_end > self.null_far_start


def class_gap(models: pl.DataFrame) -> ClassGap:
    """The classes of models by raw ε, and whether they stay apart in null units."""
    table = models.with_columns(ratio=pl.col("epsilon") * pl.col("d").sqrt() / 2)
    near = table.filter(pl.col("epsilon") < NEAR_ORTHOGONAL)
    far = table.filter(pl.col("epsilon") > NOT_NEAR_ORTHOGONAL)
    between = table.filter(pl.col("epsilon").is_between(NEAR_ORTHOGONAL, NOT_NEAR_ORTHOGONAL))
    whole = between.filter(
        pl.col("low").fill_null(pl.col("epsilon")) >= NEAR_ORTHOGONAL,
        pl.col("high").fill_null(pl.col("epsilon")) <= NOT_NEAR_ORTHOGONAL,
    )
    return ClassGap(
        *(tuple(part["model"]) for part in (near, between, far, whole)),
        near["epsilon"].max(),
        far["epsilon"].min(),
        near["ratio"].max(),
        far["ratio"].min(),
    )
