"""Claims about criticality: diverging heat capacity, peaks before grokking, scaling laws (TH7, TH8, TH9, TH11)."""

import numpy as np
import polars as pl

from gedanken.analysis.intervals import Estimate, slope
from gedanken.studies.base import Claim, Judgement, Verdict, not_testable
from gedanken.studies.thermodynamics.evidence import FEWEST_MODELS, Evidence, Model
from gedanken.studies.thermodynamics.size_laws import Law, laws
from gedanken.theory import schottky

KEYS = 3
"""Keys of a row in modular addition: [a, b, =]."""
DECIDES = 10.0
"""Difference of AICc that decides between laws (theory specification, § 10)."""
FLAT = 0.02
"""Slope per e-fold of size, either way, within which the excess does not grow."""

_GROKKING = (
    "It needs training runs of modular addition at several primes and seeds, with shuffled labels and without decay."
)
_PARTS = {"heat_capacity_row_fraction": "heat capacity", "attention_entropy_excess": "entropy"}


def divergence(evidence: Evidence) -> list[Judgement]:
    most = float(schottky.largest(KEYS))
    return [
        Judgement(
            Verdict.not_supported, f"The heat capacity of a row of {KEYS} keys is at most {most:.4f} whatever the prime, and "
            "with any fixed number of keys no canonical quantity is singular above zero temperature.",
            "refuted", f"largest heat capacity of {KEYS} keys [nat²]", most, against="Schottky bound",
            part="at a fixed number of keys", exact="a bound on all rows",
        ),
        not_testable(_GROKKING, "growth with the number of keys, or of the landscape", "not testable yet"),
    ]  # fmt: skip


def peak(evidence: Evidence) -> list[Judgement]:
    return [not_testable(_GROKKING, part, "not testable yet") for part in ("literal", "specific")]


def crossover(evidence: Evidence) -> list[Judgement]:
    return [
        not_testable(
            f"A bounded quantity (at most {float(schottky.largest(KEYS)):.4f} with {KEYS} keys) has no power-law divergence.",
            "heat capacity of rows", "empty",
        ),
        not_testable(_GROKKING, "unbounded estimators", "not testable yet"),
    ]  # fmt: skip


def excess(model: Model, variable: str) -> float | None:
    """Mean over heads and layers of the distance from random energies, the largest over steps in absolute value."""
    rows = model.rows.filter(pl.col("variable") == variable, pl.col("head").is_not_null())
    if variable == "heat_capacity_row_fraction":
        rows = rows.filter(pl.col("null").is_not_null()).with_columns(pl.col("value") - pl.col("null"))
    by_step = rows.group_by("step").agg(pl.col("value").mean())["value"].to_numpy()
    return None if len(by_step) == 0 else float(by_step[np.argmax(np.abs(by_step))])


def scaling(evidence: Evidence) -> list[Judgement]:
    return [_scaling(_on_one_text(evidence.models), variable, part) for variable, part in _PARTS.items()]


def _on_one_text(models: tuple[Model, ...]) -> list[Model]:
    """The models on the text that most sizes have read."""
    by_text: dict[str, list[Model]] = {}
    for model in models:
        if model.size:
            by_text.setdefault(model.text, []).append(model)
    return max(by_text.values(), key=lambda group: len({m.size for m in group}), default=[])


def _scaling(models: list[Model], variable: str, part: str) -> Judgement:
    found = [(model.size, value, model) for model in models if (value := excess(model, variable)) is not None]
    sizes = np.array([size for size, _, _ in found])
    count = len(np.unique(sizes))
    if count < FEWEST_MODELS:
        return not_testable(
            f"It needs {FEWEST_MODELS} model sizes on one text, and there {'is' if count == 1 else 'are'} {count}.", part,
            "too few",
        )  # fmt: skip
    values = np.array([value for _, value, _ in found])
    twins = [
        (m.size, np.mean([e for t in m.twins if (e := excess(t, variable)) is not None]))
        for _, _, m in found
        if m.twins
    ]
    trained, per_fold = laws(sizes, values), slope(np.log(sizes), values)
    random = laws(*map(np.array, zip(*twins, strict=True))) if len(twins) >= FEWEST_MODELS else None
    return judge_scaling(trained, per_fold, random, part)


def judge_scaling(trained: list[Law], per_fold: Estimate, random: list[Law] | None, part: str = "") -> Judgement:
    """supported: the excess grows as a power law by ΔAICc > 10 and that of random weights does not; refuted: flat."""
    verdict, reason = Verdict.inconclusive, "undecided"
    if per_fold.low >= -FLAT and per_fold.high <= FLAT:
        verdict, reason = Verdict.not_supported, "refuted"
    elif _grows(trained) and random is not None and not _grows(random):
        verdict, reason = Verdict.supported, "supported"
    margin = trained[1].aicc - trained[0].aicc
    held = "random energies; random weights" if random is not None else "random energies (random weights: too few runs)"
    return Judgement(
        verdict, f"The distance from random energies changes by {per_fold.value:.3g} for each e-fold of size; of four laws the "
        f"{trained[0].name} fits best, by ΔAICc = {margin:.1f}.".replace("-", "−"),
        reason, "slope of the excess per e-fold of size [1]", per_fold.value, per_fold.low, per_fold.high, per_fold.n, held,
        part,
    )  # fmt: skip


def _grows(found: list[Law]) -> bool:
    first, second = found[:2]
    return first.name == "power" and second.aicc - first.aicc > DECIDES and first.exponent > 0


CLAIMS = (
    Claim("TH7", "Grokking and scaling laws are phase transitions announced by a diverging specific heat.", "",
          "any row heat capacity with fixed n: refuted (bounded) without data; otherwise C_max against p (≥ 6 primes) and n: "
          "supported if the power law wins by ΔAICc > 10, CI(γ) > 0, no exponent with shuffled labels, crossings converge; "
          "refuted if log, saturating or constant wins by > 10", divergence),
    Claim("TH8", "In modular addition an effective specific heat has a peak, and the peak always comes before generalisation.",
          "p = 19 … 113", "literal: valid peak with t_peak < t_on in ≥ 30 grokking runs; specific: also outside both nulls, "
          "after memorising, absent with shuffled labels and without decay, and informative on t_grok", peak),
    Claim("TH9", "That peak has no asymptotic power-law divergence in p: crossover, not transition.", "p = 19 … 113",
          "same fits as TH7: supported if a non-power model wins by ΔAICc > 10; refuted if the power law does; bounded "
          "estimator: empty; both need power ≥ 80 %", crossover),
    Claim("TH11", "Scaling laws of large models are criticality.", "",
          "C/C_max and S/ln n, excess over random energies, ≥ 7 sizes, same text: supported if it grows with size as a power "
          "law by ΔAICc > 10 and random weights' does not; refuted if CI of the slope per e-fold ⊂ ± 0.02", scaling),
)  # fmt: skip
