"""SL12, SL13: whether the rank exponent chooses better than removing the last layers, and how far worst and best are apart.

Differences are of the loss in nat a token, paired prompt by prompt on text that chose nothing; intervals by bootstrap over
documents. Ratios of perplexities, which the paper prints, stand beside them and decide nothing. The power of both tests is
simulated on removals that neither claim is about (pruning_power.py).
"""

import math
from collections.abc import Iterator

import numpy as np

from gedanken.analysis.document_weights import document_weights
from gedanken.analysis.intervals import BOOTSTRAPS, Estimate
from gedanken.studies.base import Judgement
from gedanken.studies.spectral_lifecycle import pruning_power as power
from gedanken.studies.spectral_lifecycle.evidence import Evidence
from gedanken.studies.spectral_lifecycle.pruned import Pruned
from gedanken.studies.spectral_lifecycle.verdicts import GATE, LEVEL, SURE, UnitVerdict, Word, combined, untestable

NEEDS = "No model was pruned: gedanken prune MODEL --every."
BEST, WORST, LAST, SAFE = "rank_exponent", "rank_exponent_highest", "last", "last_protected"
FEWEST = 5
"""Documents below which a bootstrap says nothing."""
USEFUL = 0.05


def beats_last(evidence: Evidence) -> Iterator[Judgement]:
    """SL12."""
    yield from combined([pruned_better(model) for model in evidence.pruned], NEEDS)


def gap(evidence: Evidence) -> Iterator[Judgement]:
    """SL13."""
    yield from combined([_gap(model) for model in evidence.pruned], NEEDS)


def pruned_better(model: Pruned) -> UnitVerdict:
    """SL12 of one model."""
    if why := _missing(model, BEST, LAST, SAFE):
        return untestable(model.run, why, model.family)
    counts = _common(model, BEST, LAST, SAFE)
    chance = power.advantage(model, counts)
    if chance < GATE:
        return untestable(model.run, _weak(chance, "twice the paper's rule's ΔPPL"), model.family)
    advantage = _advantage(model, LAST, counts)
    protected = _advantage(model, SAFE, counts)
    random = _against_random(model)
    said = (
        f"Removing the last layers costs {advantage.value:+.2f} nat more than the spectral choice (mean over N = "
        f"{', '.join(map(str, counts))}); the layers before the last {protected:+.2f}. "
        f"{random} {_perplexities(model)}"
    )
    if advantage.low > 0 and protected.low > 0:
        word = Word.positive
    elif advantage.high < 0 and chance >= SURE:
        word = Word.negative
    else:
        word = Word.undecided
        said += " The advantage may be that the last layer is kept." if advantage.low > 0 else ""
    return UnitVerdict(
        model.run,
        word,
        said,
        "Δloss of last layers minus spectral [nat/token]",
        advantage,
        model.document_count,
        None,
        "last layers but one; random removal; all subsets",
        advantage.high < 0,
        model.family,
    )


def _gap(model: Pruned) -> UnitVerdict:
    if why := _missing(model, BEST, WORST):
        return untestable(model.run, why, model.family)
    counts = _common(model, BEST, WORST)
    chance = power.gap(model.layers, tuple(counts), power.random_sets(model, counts))
    if chance < GATE:
        return untestable(model.run, _weak(chance, "a rank correlation of 0.75"), model.family)
    best, worst = (np.stack([model.of(rule, n) for n in counts]) for rule in (BEST, WORST))
    found = _log_ratio(model, best, worst)
    if not np.isfinite([found.value, found.low, found.high]).all():
        return UnitVerdict(
            model.run,
            Word.undecided,
            "A removal costs nothing or helps, so that there is no ratio.",
            family=model.family,
        )
    p = power.gap_p(found.value, model, counts)
    told = f"p = {p:.2g} against gaps of random sets" if p is not None else "no random sets to compare with"
    said = (
        f"The worst layers cost e^{found.value:.2f} = {math.exp(found.value):.2f} times the loss of the best ({told})."
    )
    word = Word.positive if found.value > 0 and p is not None and p < LEVEL else Word.undecided
    word = Word.negative if found.high <= 0 and chance >= SURE else word
    return UnitVerdict(
        model.run,
        word,
        said,
        "ln(worst/best) of Δloss [1]",
        found,
        model.document_count,
        p,
        "gaps of random sets of layers",
        found.high < 0,
        model.family,
    )


def _common(model: Pruned, *rules: str) -> list[int]:
    return [
        n for n in model.counts if all(model.of(rule, n) is not None for rule in rules) and n <= (model.layers - 2) / 2
    ]


def _missing(model: Pruned, *rules: str) -> str:
    if model.document_count < FEWEST:
        return (
            f"The test prompts are of {model.document_count} documents, and {FEWEST} are needed: gedanken prune MODEL --every "
            "--prompts 64."
        )
    return (
        ""
        if _common(model, *rules)
        else f"The rules {', '.join(rules)} were not all measured: gedanken prune MODEL --every."
    )


def _weak(chance: float, effect: str) -> str:
    return f"The power for {effect} is {chance:.2f}: gedanken prune MODEL --every --prompts 128."


def _advantage(model: Pruned, other: str, counts: list[int]) -> Estimate:
    paired = np.mean([model.of(other, n) - model.of(BEST, n) for n in counts], axis=0)
    drawn = document_weights(model.documents, model.rng, BOOTSTRAPS) @ paired
    return _estimate(float(paired.mean()), drawn)


def _log_ratio(model: Pruned, best: np.ndarray, worst: np.ndarray) -> Estimate:
    """Mean over N of ln(worst/best); a ratio that some resamples do not have has no interval."""

    def ratio(weights: np.ndarray) -> np.ndarray:
        low, high = weights @ best.T, weights @ worst.T
        found = np.full(len(weights), math.nan)
        there = (low > 0).all(axis=1) & (high > 0).all(axis=1)
        found[there] = np.log(high[there] / low[there]).mean(axis=1)
        return found

    even = np.full((1, len(model.whole)), 1 / len(model.whole))
    return _estimate(float(ratio(even)[0]), ratio(document_weights(model.documents, model.rng, BOOTSTRAPS)))


def _estimate(value: float, drawn: np.ndarray) -> Estimate:
    low, high = np.quantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).all() else (math.nan, math.nan)
    return Estimate(value, float(low), float(high))


def _against_random(model: Pruned) -> str:
    """Where the spectral choice stands among random sets; and, of single layers, among all of them."""
    told, wins = [], 0
    for n in _common(model, BEST):
        drawn = [float(model.increase(x).mean()) for x in model.removals.get(("random", n), ()) if x in model.losses]
        if drawn:
            wins += bool(model.of(BEST, n).mean() < np.mean(drawn))
            told.append(
                f"N = {n}: {float(model.of(BEST, n).mean()):.2f} against {np.mean(drawn):.2f} ({min(drawn):.2f} to "
                f"{max(drawn):.2f})"
            )
    said = "No random sets were measured."
    if told:
        said = f"Δloss against the mean of random sets, which it beats at {wins} of {len(told)} N: {'; '.join(told)}."
    singles = model.importance[model.interior]
    if model.of(BEST, 1) is not None and len(singles) > 1:
        better = float(np.mean(singles <= model.of(BEST, 1).mean()))
        said += (
            f" Of all single layers its choice is within the best {100 * better:.0f} %: useful, "
            f"{'yes' if better <= USEFUL else 'no'}."
        )
    return said


def _perplexities(model: Pruned) -> str:
    """ΔPPL of the last layers over that of the spectral choice, as the paper prints it; refused where it is not positive."""
    told = []
    whole = math.exp(model.whole.mean())
    for n in _common(model, BEST, LAST):
        best, last = (math.exp((model.whole + model.of(rule, n)).mean()) - whole for rule in (BEST, LAST))
        if best > 0 and last > 0:
            told.append(f"{last / best:.2f}")
    return f"Ratios of ΔPPL (1.1 to 3.6 in the paper): {', '.join(told)}." if told else ""
