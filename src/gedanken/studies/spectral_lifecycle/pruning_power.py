"""Power of the tests of pruning: how often they find the paper's effect, planted into what neither claim is about.

SL12    the increases of random sets of layers give the noise between documents; the last layers are made to cost CLAIMED_RATIO
        times the ΔPPL of the rule's choice at every N
SL13    layers whose costs are log-normal and add up, with a rank exponent that has the paper's rank correlation with them
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from gedanken.analysis.document_weights import document_weights
from gedanken.analysis.p_values import permutation_p
from gedanken.studies.spectral_lifecycle.power import CLAIMED_RHO, SIMULATIONS
from gedanken.studies.spectral_lifecycle.pruned import Layers, Pruned
from gedanken.studies.spectral_lifecycle.verdicts import LEVEL

CLAIMED_RATIO = 2.0
"""Geometric middle of the ratios of ΔPPL that the paper prints, 1.1 to 3.6 [@liu2026lifecycle]."""
RESAMPLES = 400
"""Of each simulated bootstrap: the ends of its interval are then the tenth values from either side."""
GAPS = 9_999
"""Pairs of random sets that stand for chance."""


def advantage(model: Pruned, counts: Sequence[int]) -> float:
    """Of SL12: against the last layers and against those before the last. 0 without two random sets of each size."""
    sets = {n: [model.increase(layers) for layers in _measured(model, n)] for n in counts}
    if min(map(len, sets.values())) < 2:
        return 0.0
    size = {n: max(float(np.mean(found)), 0.0) for n, found in sets.items()}
    effect = float(np.mean([math.log1p(CLAIMED_RATIO * math.expm1(cost)) - cost for cost in size.values()]))
    rng, found = model.rng, 0
    for _ in range(SIMULATIONS):
        found += all(_found(effect, _noise(sets, rng), model, rng) for _ in range(2))
    return found / SIMULATIONS


def _noise(sets: dict[int, list[np.ndarray]], rng: np.random.Generator) -> Float[np.ndarray, " prompt"]:
    """What two random sets of each size differ by, prompt by prompt; mean over the sizes, centred."""
    pairs = [(found, *rng.choice(len(found), 2, replace=False)) for found in sets.values()]
    paired = np.mean([found[i] - found[j] for found, i, j in pairs], axis=0)
    return paired - paired.mean()


def _found(effect: float, noise: np.ndarray, model: Pruned, rng: np.random.Generator) -> bool:
    """Whether the interval of the effect with noise of resampled documents is above 0."""
    drawn = document_weights(model.documents, rng, RESAMPLES + 1) @ noise
    # the first resample is the data, about which the others lie as they lie about the truth
    return bool(effect + drawn[0] + np.quantile(drawn[1:], 0.025) > 0)


def random_sets(model: Pruned, counts: Sequence[int]) -> int:
    """How many random sets of each size were measured, the fewest."""
    return min((len(_measured(model, n)) for n in counts if n > 1), default=0)


@lru_cache
def gap(layers: int, counts: tuple[int, ...], sets: int) -> float:
    """Of SL13, with so many random sets of each size."""
    rng = np.random.default_rng(0)
    return float(np.mean([_planted_gap(layers, counts, sets, rng) for _ in range(SIMULATIONS)]))


def _planted_gap(layers: int, counts: tuple[int, ...], sets: int, rng: np.random.Generator) -> bool:
    pearson = 2 * math.sin(math.pi * CLAIMED_RHO / 6)
    z, rest = rng.standard_normal((2, layers))
    cost, inner = np.exp(z), np.arange(1, layers - 1)
    order = inner[np.argsort(pearson * z[inner] + math.sqrt(1 - pearson**2) * rest[inner])]
    ratio = np.mean([math.log(cost[order[-n:]].sum() / cost[order[:n]].sum()) for n in counts])
    drawn = {n: [cost[rng.choice(inner, n, replace=False)].sum() for _ in range(sets)] for n in counts if n > 1}
    null = _gaps([cost[inner] if n == 1 else np.array(drawn[n]) for n in counts], rng)
    return len(null) > 0 and permutation_p(float(ratio), null) < LEVEL


def gap_p(value: float, model: Pruned, counts: Sequence[int]) -> float | None:
    """One-sided p of SL13's mean over N of ln(worst/best), where both are random sets (of one layer: any two layers).

    None without three of each size that cost something.
    """
    costs = [
        model.importance[model.interior]
        if n == 1
        else np.array([model.increase(x).mean() for x in _measured(model, n)])
        for n in counts
    ]
    null = _gaps(costs, model.rng)
    return permutation_p(value, null) if len(null) else None


def _gaps(costs: Sequence[Float[np.ndarray, " set"]], rng: np.random.Generator) -> Float[np.ndarray, " draw"]:
    """Mean over N of ln of the ratio of the costs of two different random sets; empty with fewer than three of any N."""
    total = np.zeros(GAPS)
    for found in costs:
        positive = np.log(found[found > 0])
        if len(positive) < 3:
            return np.empty(0)
        one = rng.integers(len(positive), size=GAPS)
        other = (one + rng.integers(1, len(positive), size=GAPS)) % len(positive)
        total += positive[one] - positive[other]
    return total / len(costs)


def _measured(model: Pruned, count: int) -> list[Layers]:
    return [layers for layers in model.removals.get(("random", count), ()) if layers in model.losses]
