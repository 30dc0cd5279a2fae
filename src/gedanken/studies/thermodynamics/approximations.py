"""Whether the excess free energy of approximated attention tells how much it harms: the part of TH3 that predicts."""

import math

import numpy as np

from gedanken.analysis.intervals import t_interval
from gedanken.studies.base import Judgement, Verdict, not_testable
from gedanken.studies.thermodynamics.evidence import ALL_HEADS, Evidence, Model, several

PART = "excess free energy predicts harm"
GAIN = "approximation_rank_gain"
MEASURES = {
    "excess_free_energy": "the excess free energy",
    "dropped_mass": "dropped mass",
    "pattern_distance": "the distance of the patterns",
    "tsallis_excess": "the excess of Tsallis' free energy",
}
"""What the loss increase is ranked against, by the end of the variable's name."""


def gain(model: Model) -> tuple[float, float, float] | None:
    """Δρ of a model with all layers approximated, and its interval over documents (NaN ends where there is none)."""
    rows = model.last.filter(variable=GAIN, site=ALL_HEADS)
    if rows.is_empty():
        return None
    return tuple(math.nan if x is None else x for x in rows.select("value", "low", "high").row(0))


def harm(evidence: Evidence) -> Judgement:
    """supported: CI(Δρ) > 0 and the Tsallis twin ranks no better; refuted: CI(Δρ) < 0; undecided with too few models."""
    found = [(model, told) for model in evidence.models if (told := gain(model)) is not None]
    if not found:
        return not_testable(
            "No run has its loss under approximations of several kinds (top-k, entmax with sparsemax, quantised, dropout); "
            "`gedanken scan MODEL --text stdlib --instrument approximation_rank` measures it.", PART, "not testable yet",
        )  # fmt: skip
    models = [model for model, _ in found]
    gains = np.array([value for _, (value, _, _) in found])
    interval = t_interval(gains)
    low, high = (interval.low, interval.high) if len(found) > 1 else found[0][1][1:]
    rho = {name: _mean(models, name) for name in MEASURES}
    enough = evidence.enough(models)
    verdict, reason = Verdict.inconclusive, "undecided"
    if enough and high < 0:
        verdict, reason = Verdict.not_supported, "refuted"
    elif enough and low > 0 and rho["excess_free_energy"] > rho["tsallis_excess"]:
        verdict, reason = Verdict.supported, "supported"
    ranks = ", ".join(f"{value:.3f} with {MEASURES[name]}" for name, value in rho.items())
    few = "" if enough else f"; a verdict needs {evidence.needed} models"
    of = "documents" if len(found) == 1 else "runs"
    return Judgement(
        verdict, f"Over twenty approximations of four kinds the loss increase ranks by ρ = {ranks}: Δρ = "
        f"{several(gains.tolist())} above the better of dropped mass and distance ({len(found)} run{'s' * (len(found) > 1)}"
        f"{few}; interval of {of}).".replace("-", "−") + _random(models),
        reason, "gain in rank correlation [1]", float(gains.mean()),
        *((low, high) if math.isfinite(low + high) else (None, None)), len(found),
        "dropped mass; distance of patterns; Tsallis' free energy" + ("; random weights" if _twins(models) else ""), PART,
    )  # fmt: skip


def _mean(models: list[Model], name: str) -> float:
    """Mean over models of the rank correlation with one measure."""
    rows = (model.last.filter(variable=f"approximation_rank_{name}", site=ALL_HEADS) for model in models)
    return float(np.mean([row["value"][0] for row in rows if not row.is_empty()] or [math.nan]))


def _twins(models: list[Model]) -> list[float]:
    return [told[0] for model in models for twin in model.twins if (told := gain(twin)) is not None]


def _random(models: list[Model]) -> str:
    found = _twins(models)
    return f" With random weights Δρ = {several(found)}." if found else ""
