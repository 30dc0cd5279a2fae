"""Contrasts: the effects a model's table holds, each as a sentence with its size, interval and null.

Four kinds: a part far from its null; two parts that differ at the same layers; a trend over depth; an embedding far
from isotropic. An effect is a candidate only if it survives the false-discovery rate of its family.
"""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from scipy import stats

from gedanken.analysis.unusual import RATE, adjusted
from gedanken.analysis.wording import PARTS, count, interval, named, number, structureless, things, times

MEANING = {
    "stable_rank": "how many directions carry most of the energy",
    "effective_rank": "how many directions are in use",
    "participation_ratio": "how many directions share the energy",
    "tail_exponent": "how thin the tail of large singular values is",
    "rank_exponent": "how fast the singular values fall off",
    "spectral_norm": "the largest stretch the matrix applies",
    "cosine_edge": "the overlap (cosine) that few pairs of tokens exceed",
}
"""The variables that a headline may use: those whose meaning fits in half a sentence."""

FEWEST_LAYERS = 6
"""The smallest number of layers for which a sign test of all of them passes 5 %: 2·2⁻⁶ = 0.031."""

_FAMILY = ["run", "variable", "setting", "variant"]


@dataclass(frozen=True)
class Finding:
    """An effect in words: `claim`, and the `evidence` with its spread, null and test.

    `size` is |ln ratio|, by which findings are ordered; `figure` is that ratio, for display.
    """

    kind: str
    run: str
    size: float
    figure: str
    claim: str
    evidence: str
    gloss: str = ""
    """What the variable means."""

    @property
    def sentence(self) -> str:
        return f"{self.run}: {self.claim} {self.evidence} {self.gloss}".rstrip()


def all_findings(table: pl.DataFrame) -> list[Finding]:
    """Every effect in the rows of `summary.judged` (one snapshot per run) that survives its false-discovery rate."""
    usable = table.filter(
        pl.col("variable").is_in(list(MEANING)), pl.col("log_ratio").is_not_null(), pl.col("expert").is_null(),
        pl.col("head").is_null(),
    )  # fmt: skip
    usable = usable.filter((pl.col("variant") == "") | ~(pl.col("variant") == "").any().over("run", "variable"))
    layered = usable.filter(pl.col("layer").is_not_null()).sort(*_FAMILY, "part", "layer")
    ends = usable.filter(pl.col("layer").is_null(), pl.col("significant"))
    return [*_parts(layered), *_pairs(layered), *_trends(layered), *(_embedding(row) for row in ends.to_dicts())]


def _parts(layered: pl.DataFrame) -> list[Finding]:
    found = []
    for (run, variable, _, variant, *_), rows in _groups(layered, "block", "part"):
        odd = int(rows["significant"].sum() or 0)
        if len(rows) < FEWEST_LAYERS or odd < len(rows) / 2:
            continue
        ratio = math.exp(rows["log_ratio"].median())
        claim = (
            f"The {_named(variable, variant)} of the {_things(rows)} is {times(ratio)} that of "
            f"{structureless(rows['part'][0])} of the same shape."
        )
        evidence = (
            f"{number(rows['value'].median())} (median of {count(len(rows), 'layer')}, {_half(rows['value'])}) against "
            f"{number(rows['null'].median())} (95 % band {_band(rows)}); {odd} of {len(rows)} layers differ at a "
            f"false-discovery rate of {number(100 * RATE)} %."
        )
        found.append(Finding("part", run, abs(math.log(ratio)), _figure(ratio), claim, evidence, _gloss(variable)))
    return found


def _pairs(layered: pl.DataFrame) -> list[Finding]:
    """Two parts of one block, compared layer by layer relative to their own nulls; sign test over the layers."""
    tests = []
    for (run, variable, _, variant, *_), rows in _groups(layered, "block"):
        by_part = {key[0]: part for key, part in rows.partition_by("part", as_dict=True).items()}
        for one, two in combinations(sorted(by_part), 2):
            both = by_part[one].join(by_part[two], on=["layer", "stack"], nulls_equal=True)
            gap = (both["log_ratio"] - both["log_ratio_right"]).to_numpy()
            if gap.size >= FEWEST_LAYERS:
                if np.median(gap) > 0:
                    one, two, gap = two, one, -gap
                tests.append((run, _named(variable, variant), variable, one, two, gap))
    found = []
    corrected = adjusted(np.array([_sign_p(test[-1]) for test in tests]))
    for (run, name, variable, one, two, gap), q in zip(tests, corrected, strict=True):
        if q > RATE:
            continue
        ratio = math.exp(np.median(gap))
        low, high = np.exp(np.quantile(gap, [0.25, 0.75]))
        claim = (
            f"Measured against {structureless(one)}, the {name} of {things(one)} is {times(ratio)} that of the "
            f"{things(two)} beside them."
        )
        evidence = (
            f"Ratio {number(ratio)} at the same layer (middle half {interval(low, high)}), lower in "
            f"{int((gap < 0).sum())} of {count(gap.size, 'layer')}; sign test adjusted p = {number(q, 2)}."
        )
        found.append(Finding("pair", run, abs(math.log(ratio)), _figure(ratio), claim, evidence, _gloss(variable)))
    return found


def _trends(layered: pl.DataFrame) -> list[Finding]:
    """First against last third of the layers, where Kendall's rank correlation with depth (exact p) survives."""
    tests = []
    for (run, variable, _, variant, *_), rows in _groups(layered, "stack", "block", "part"):
        if len(rows) >= FEWEST_LAYERS and rows["log_ratio"].n_unique() > 1:
            tau, p = stats.kendalltau(rows["layer"].to_numpy(), rows["log_ratio"].to_numpy())
            tests.append((run, _named(variable, variant), variable, rows, float(tau), float(p)))
    found = []
    for (run, name, variable, rows, tau, _), q in zip(tests, adjusted(np.array([t[-1] for t in tests])), strict=True):
        if q > RATE:
            continue
        third = len(rows) // 3
        first, last = rows.head(third), rows.tail(third)
        ratio = math.exp(last["log_ratio"].median() - first["log_ratio"].median())
        claim = (
            f"From early to late layers the {name} of the {_things(rows)} "
            f"{'falls' if ratio < 1 else 'rises'} by a factor of {_figure(ratio)[:-1]}."
        )
        evidence = (
            f"{number(first['value'].median())} in the first third ({_half(first['value'])}), "
            f"{number(last['value'].median())} in the last ({_half(last['value'])}), {number(rows['null'].median())} "
            f"in {structureless(rows['part'][0])}; Kendall's τ = {number(tau, 2)} over {count(len(rows), 'layer')}, "
            f"adjusted p = {number(q, 2)}."
        )
        found.append(Finding("trend", run, abs(math.log(ratio)), _figure(ratio), claim, evidence, _gloss(variable)))
    return found


def _embedding(row: dict) -> Finding:
    bars = f" (95 % interval {interval(row['low'], row['high'])})" if row["low"] is not None else ""
    claim = (
        f"The {_named(row['variable'], row['variant'])} of the {PARTS.get(row['part'], row['part'])} is "
        f"{times(row['ratio'])} that of structureless points."
    )
    evidence = (
        f"{number(row['value'])}{bars} against {number(row['null'])} (95 % band "
        f"{interval(row['null_low'], row['null_high'])}) for as many points of the same dimension."
    )
    size, gloss = abs(row["log_ratio"]), _gloss(row["variable"])
    return Finding("embedding", row["run"], size, _figure(row["ratio"]), claim, evidence, gloss)


def _named(variable: str, variant: str) -> str:
    return f"{named(variable)} ({variant})" if variant else named(variable)


def _gloss(variable: str) -> str:
    name = named(variable)
    return f"{name[:1].upper()}{name[1:]}: {MEANING[variable]}."


def _groups(rows: pl.DataFrame, *extra: str):
    return rows.partition_by(*_FAMILY, *extra, as_dict=True, maintain_order=True).items()


def _things(rows: pl.DataFrame) -> str:
    cross = "cross-attention " if rows["block"][0] == "cross_attn" else ""
    return cross + things(rows["part"][0])


def _half(values: pl.Series) -> str:
    return f"middle half {interval(values.quantile(0.25, 'linear'), values.quantile(0.75, 'linear'))}"


def _band(rows: pl.DataFrame) -> str:
    return interval(rows["null_low"].median(), rows["null_high"].median())


def _sign_p(gap: np.ndarray) -> float:
    """Two-sided sign test of a zero median; ties are left out."""
    n = int((gap != 0).sum())
    return stats.binomtest(int((gap < 0).sum()), n).pvalue if n else 1.0


def _figure(ratio: float) -> str:
    return f"{number(1 / ratio if ratio < 1 else ratio, 2)}×"
