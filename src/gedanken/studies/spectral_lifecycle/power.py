"""Power of the procedures: how often each finds the paper's effect, or one of 5 noise units a layer where it gives no size.

All are simulated through the code that judges, and depend on the numbers of layers and steps alone, so that they can be
known before the data are read (spectral-lifecycle, §4.1).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from gedanken.analysis import fronts
from gedanken.analysis.asymmetry import asymmetry
from gedanken.analysis.depth_profile import inverted_u, profile_p, relative_depth
from gedanken.studies.spectral_lifecycle.verdicts import LEVEL
from gedanken.theory.two_timescales import bump, fall

EFFECT = 5.0
"""Noise units a layer."""
SIMULATIONS, PERMUTATIONS = 100, 199
"""A power of 0.8 is then known to ± 0.08, and p < 0.05 can be reached."""
CLAIMED_RHO = 0.75
"""Middle of the rank correlations that the paper prints, 0.69 to 0.84 [@liu2026lifecycle]."""


def _share(passes: Callable[[np.random.Generator], bool], count: int = SIMULATIONS) -> float:
    rng = np.random.default_rng(0)
    return float(np.mean([passes(rng) for _ in range(count)]))


@lru_cache
def order(layers: int) -> float:
    """Arrivals 5 noise units apart from layer to layer, by their rank correlation with depth."""

    def passes(rng):
        arrival = EFFECT * np.arange(layers) + rng.standard_normal(layers)
        return fronts.arrival_order(arrival, rng, PERMUTATIONS)[1] < LEVEL

    return _share(passes)


@lru_cache
def turn(layers: int, snapshots: int) -> float:
    """A wave whose gradient peaks and ends 5 noise units from zero, by the test of its turn."""
    t = np.linspace(0, 1, snapshots)[:, None]
    x = relative_depth(layers)
    wave = fall(t, 1 + x, 0.15 * x, 0.08)
    k = max(1, layers // 3)
    end = abs(wave[-1, -k:].mean() - wave[-1, :k].mean())

    def passes(rng):
        noisy = EFFECT * wave / end + rng.standard_normal(layers)
        return fronts.turning(t[:, 0], noisy, rng, PERMUTATIONS)[1] < LEVEL

    return _share(passes)


@lru_cache
def profile(layers: int) -> float:
    """A bump of 5 noise units, by the range of its parabola under permutation."""
    shape = bump(relative_depth(layers), 0.0, EFFECT, 0.45, 0.25)
    return _share(lambda rng: profile_p(shape + rng.standard_normal(layers), rng, PERMUTATIONS)[1] < LEVEL)


@lru_cache
def bumped(layers: int) -> float:
    """The same bump, by both tests of an inverted U."""
    shape = bump(relative_depth(layers), 0.0, EFFECT, 0.45, 0.25)
    return _share(lambda rng: inverted_u(shape + rng.standard_normal(layers)).holds, 400)


@lru_cache
def asymmetric(layers: int) -> float:
    """Queries and keys that vary over depth by 5 noise units, values and outputs by noise, by the label permutation."""
    scale = np.array([EFFECT, EFFECT, 1.0, 1.0])[:, None, None]

    def passes(rng):
        drawn = scale * rng.standard_normal((1, 4, 1, layers))
        return asymmetry(drawn, rng, PERMUTATIONS).p < LEVEL

    return _share(passes)


@lru_cache
def correlation(count: int, rho: float = CLAIMED_RHO, *, two_sided: bool = False) -> float:
    """A true rank correlation between `count` layers, at the permutation test's 5 % point."""
    rng = np.random.default_rng(0)
    ranks = np.arange(count) - (count - 1) / 2
    scale = float(ranks @ ranks)
    null = rng.permuted(np.tile(ranks, (20_000, 1)), axis=1) @ ranks / scale
    limit = np.sort(np.abs(null) if two_sided else null)[::-1][round(LEVEL * len(null)) - 1]
    # the Pearson correlation of normals whose rank correlation is rho
    pearson = 2 * np.sin(np.pi * rho / 6)
    x, noise = rng.standard_normal((2, 4_000, count))
    y = pearson * x + np.sqrt(1 - pearson**2) * noise
    found = (_ranks(x) * _ranks(y)).sum(axis=1) / scale
    return float(np.mean((np.abs(found) if two_sided else found) > limit))


def _ranks(values: np.ndarray) -> np.ndarray:
    return values.argsort(axis=1).argsort(axis=1) - (values.shape[1] - 1) / 2
