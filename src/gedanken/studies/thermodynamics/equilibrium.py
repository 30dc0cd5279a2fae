"""Claims about equilibrium: softmax as a minimum of free energy, and √d_k as its temperature (TH3, TH4)."""

import math

import numpy as np

from gedanken.analysis.intervals import t_interval
from gedanken.studies.base import Claim, Judgement, Verdict, not_testable
from gedanken.studies.thermodynamics.approximations import harm
from gedanken.studies.thermodynamics.evidence import ALL_HEADS, Evidence, Model, several
from gedanken.theory import canonical, fisher

LEVELS = np.array([0.0, -1.0, -2.0, -3.0])
"""Logits of the row on which two entropies are compared: E = 0, 2, 4, 6 at T = 2 (theory specification, § 12)."""

BAND = 0.1
"""|ln τ*| within which the model's own temperature counts as the best one."""


def minimum(evidence: Evidence) -> list[Judgement]:
    p, r = canonical.pattern(LEVELS), canonical.sparsemax(LEVELS)
    gap = float(canonical.functional(r, LEVELS) - canonical.functional(p, LEVELS))
    identity = abs(gap - float(canonical.relative_entropy(r, p)))
    apart = float(fisher.distance(p, r))
    return [
        not_testable(
            "Any row of numbers minimises the free energy of its own Shannon entropy: excess free energy and relative "
            f"entropy agree to {max(identity, 1e-16):.0e} on a row of four levels, with weights that nobody trained.",
            "softmax as minimiser", "empty",
        ),
        Judgement(
            Verdict.not_supported, "The same four levels with Tsallis' entropy of order 2 have another unique minimum, "
            f"sparsemax, {apart:.2f} away by the Fisher–Rao distance (at most π): the entropy picks the map.",
            "refuted", "Fisher–Rao distance of the two minima [1]", apart, against="Tsallis entropy, α = 2",
            part="the only equilibrium (v1)", exact="one counterexample, computed",
        ),
        harm(evidence),
    ]  # fmt: skip


def best(model: Model) -> tuple[float, float] | None:
    """ln τ* of a model with all heads heated, and its standard error over documents."""
    rows = model.last.filter(variable="log_best_temperature", site=ALL_HEADS)
    if rows.is_empty():
        return None
    return rows["value"][0], rows["stderr"][0] or math.nan


def optimum(evidence: Evidence) -> Judgement:
    """supported: CI(ln τ*) ⊂ [−0.1, 0.1], refuted: disjoint from it; undecided with too few models, or where the τ* of one
    lies outside the temperatures tried, or where random weights have the same."""
    found = [(model, best(model)) for model in evidence.models]
    beyond = [model.run for model in evidence.models if model.at_bound]
    found = [(model, pair) for model, pair in found if pair is not None]
    if not found:
        told = f" (in {', '.join(beyond)} the least loss lies beyond the temperatures tried)" if beyond else ""
        return not_testable(
            f"No run has its loss against temperature{told}; `gedanken scan MODEL --text stdlib --instrument "
            "loss_at_temperature` measures it.", "optimum",
        )  # fmt: skip
    values = np.array([value for _, (value, _) in found])
    interval = t_interval(values)
    low, high = interval.low, interval.high
    if len(values) == 1:
        low, high = (values[0] + side * 1.96 * found[0][1][1] for side in (-1, 1))
    twins = [pair[0] for model, _ in found for pair in map(best, model.twins) if pair]
    random = t_interval(np.array(twins)) if len(twins) > 1 else None
    verdict, reason = Verdict.inconclusive, "undecided"
    enough = evidence.enough([model for model, _ in found])
    if enough and not beyond:
        if low > BAND or high < -BAND:
            verdict, reason = Verdict.not_supported, "refuted"
        elif _inside(low, high) and not (random and _inside(random.low, random.high)):
            verdict, reason = Verdict.supported, "supported"
    few = "" if enough else f", and a verdict needs {evidence.needed} models"
    of = "of documents" if len(values) == 1 else "of runs"
    return Judgement(
        verdict, f"The loss is least at ln τ = {several(values.tolist())} ({len(values)} run{'s' * (len(values) > 1)}{few}; "
        f"interval {of}); the model's own temperature is ln τ = 0." + _told_random(found, twins)
        + (f" Beyond the temperatures tried: {', '.join(beyond)}." if beyond else ""),
        reason, "ln τ of least loss [1]", interval.value, *((low, high) if math.isfinite(low + high) else (None, None)),
        len(values), "random weights" if any(m.twins for m, _ in found) else "", "optimum",
    )  # fmt: skip


def _inside(low: float, high: float) -> bool:
    """Whether an interval of ln τ* lies in the band; an unknown one does not."""
    return low >= -BAND and high <= BAND


def _told_random(found: list, twins: list[float]) -> str:
    every = sum(len(model.twins) for model, _ in found)
    if not every:
        return ""
    return f" Of {every} twins with random weights {len(twins)} have a lowest point{': ' + several(twins) if twins else ''}."


def temperature(evidence: Evidence) -> list[Judgement]:
    return [
        optimum(evidence),
        not_testable(
            "It needs models trained with T' = 1 beside T = √d_k, at the same learning rate and weight decay.",
            "meaning of √d_k", "not testable yet",
        ),
    ]  # fmt: skip


CLAIMS = (
    Claim("TH3", "Softmax solves the static equations of motion and is the Helmholtz minimum: the equilibrium, unique (v1); a "
          "stationary solution within Shannon–Boltzmann entropy (v2).", "",
          "softmax as minimiser: empty (identity); unconditional uniqueness: refuted by the α = 2 map; predictive part: "
          "Spearman of excess F with loss increase minus the best of dropped mass and L1 over approximations of "
          "mixed kind: supported if CI(difference) > 0, refuted if < 0", minimum),
    Claim("TH4", "Scaled dot-product attention is a canonical ensemble with effective temperature T = √d_k.", "T = √d_k",
          "τ* = argmin loss(τ), parabola in ln τ through the three lowest points: supported if CI(ln τ*) ⊂ [−0.1, 0.1], "
          "refuted if disjoint from it; meaning: gauge if retraining with T' = 1 gives the same S and C within "
          "10 %", temperature),
)  # fmt: skip
