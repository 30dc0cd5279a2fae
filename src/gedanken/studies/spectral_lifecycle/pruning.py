"""SL12, SL13: whether the rank exponent chooses better than removing the last layers, and how far worst and best are apart.

Differences are of the loss in nat a token, paired prompt by prompt on text that chose nothing; intervals by bootstrap over
prompts. Ratios of perplexities, which the paper prints, stand beside them and decide nothing.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float

from gedanken.analysis.resampling import BOOTSTRAPS, Estimate, permutation_p
from gedanken.studies.base import Judgement
from gedanken.studies.spectral_lifecycle.evidence import Evidence
from gedanken.studies.spectral_lifecycle.pruned import Pruned
from gedanken.studies.spectral_lifecycle.verdicts import LEVEL, UnitVerdict, Word, combined, untestable

NEEDS = "No model was pruned: gedanken prune MODEL --every."
BEST, WORST, LAST, SAFE = "rank_exponent", "rank_exponent_highest", "last", "last_protected"
FEWEST = 5
"""Prompts below which a bootstrap says nothing."""
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
    advantage = _advantage(model, LAST)
    protected = _advantage(model, SAFE)
    random = _against_random(model)
    said = (
        f"Removing the last layers costs {advantage.value:+.2f} nat more than the spectral choice (mean over N = "
        f"{', '.join(map(str, _common(model, BEST, LAST, SAFE)))}); the layers before the last {protected.value:+.2f} "
        f"({protected.low:.2f} to {protected.high:.2f}). {random} {_perplexities(model)}"
    )
    if advantage.low > 0 and protected.low > 0:
        word = Word.positive
    elif advantage.high < 0:
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
        len(model.whole),
        None,
        "last layers but one; random removal; all subsets",
        advantage.high < 0,
        model.family,
    )


def _gap(model: Pruned) -> UnitVerdict:
    if why := _missing(model, BEST, WORST):
        return untestable(model.run, why, model.family)
    counts = _common(model, BEST, WORST)
    best, worst = (np.stack([model.of(rule, n) for n in counts]) for rule in (BEST, WORST))

    def ratio(rows: np.ndarray) -> float:
        low, high = best[:, rows].mean(axis=1), worst[:, rows].mean(axis=1)
        return float(np.mean(np.log(high / low))) if min(low.min(), high.min()) > 0 else math.nan

    found = _bootstrap(ratio, len(model.whole), model.rng)
    if not np.isfinite([found.value, found.low, found.high]).all():
        return UnitVerdict(
            model.run,
            Word.undecided,
            "A removal costs nothing or helps, so that there is no ratio.",
            family=model.family,
        )
    null = _random_gaps(model, counts)
    p = permutation_p(found.value, null) if len(null) else None
    told = f"p = {p:.2g} against gaps of random sets" if p is not None else "no random sets to compare with"
    said = (
        f"The worst layers cost e^{found.value:.2f} = {math.exp(found.value):.2f} times the loss of the best ({told})."
    )
    word = Word.positive if found.value > 0 and p is not None and p < LEVEL else Word.undecided
    word = Word.negative if found.high <= 0 else word
    return UnitVerdict(
        model.run,
        word,
        said,
        "ln(worst/best) of Δloss [1]",
        found,
        len(model.whole),
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
    if len(model.whole) < FEWEST:
        return f"{len(model.whole)} test prompts, and {FEWEST} are needed: gedanken prune MODEL --every --prompts 64."
    return (
        ""
        if _common(model, *rules)
        else f"The rules {', '.join(rules)} were not all measured: gedanken prune MODEL --every."
    )


def _advantage(model: Pruned, other: str) -> Estimate:
    counts = _common(model, BEST, LAST, SAFE)
    paired = np.mean([model.of(other, n) - model.of(BEST, n) for n in counts], axis=0)
    return _bootstrap(lambda rows: float(paired[rows].mean()), len(paired), model.rng)


def _bootstrap(statistic: Callable[[np.ndarray], float], n: int, rng: np.random.Generator) -> Estimate:
    drawn = np.array([statistic(rows) for rows in rng.integers(n, size=(BOOTSTRAPS, n))])
    value = statistic(np.arange(n))
    # a ratio that some resamples do not have has no interval
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


def _random_gaps(model: Pruned, counts: list[int], draws: int = 9_999) -> Float[np.ndarray, " draw"]:
    """Mean over N of ln of the ratio of two random sets of N layers (of one layer: of any two)."""
    total, rng = np.zeros(draws), model.rng
    for n in counts:
        sets = [x for x in model.removals.get(("random", n), ()) if x in model.losses]
        costs = model.importance[model.interior] if n == 1 else np.array([model.increase(x).mean() for x in sets])
        costs = costs[costs > 0]
        if len(costs) < 3:
            return np.empty(0)
        one, other = _pairs(len(costs), draws, rng)
        total += np.log(costs[one] / costs[other])
    return total / len(counts)


def _pairs(size: int, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two different places out of `size`, many times."""
    one = rng.integers(size, size=draws)
    return one, (one + rng.integers(1, size, size=draws)) % size
