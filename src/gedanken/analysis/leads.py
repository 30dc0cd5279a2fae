"""Leads: which of two variables moves first, from the correlation of their increments at shifted steps.

r(k) = mean over series of corr(Δa(t), Δb(t + k)). A lag k > 0 says that a moves k snapshots before b. Null: blocks of b's
increments in another order [@kunsch1989], which keeps each variable's own memory and breaks what ties the two; p is that of
the largest |r| over all lags, so that the search for the best lag is paid for.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gedanken.analysis.intervals import Estimate
from gedanken.analysis.p_values import permutation_p


@dataclass(frozen=True)
class Lead:
    """The lag (in snapshots) of the largest |r|, with its interval over series; r there; the p of that |r|; all r."""

    lag: Estimate
    correlation: float
    p: float
    lags: np.ndarray
    correlations: np.ndarray


def lead(
    first: Float[np.ndarray, "series step"],
    second: Float[np.ndarray, "series step"],
    largest: int,
    rng: np.random.Generator,
    *,
    block: int | None = None,
    draws: int = 999,
) -> Lead:
    """Lead of `first` over `second`; series are layers or seeds, all on the same steps.

    largest: the longest lag tried. block: increments that stay together, by default n^(1/3) rounded up and at least
    `largest`. Raises ValueError if fewer than four blocks fit.
    """
    a, b = np.diff(first, axis=1), np.diff(second, axis=1)
    n = a.shape[1]
    block = block or max(largest, math.ceil(n ** (1 / 3)))
    if n < 4 * block:
        raise ValueError(f"{n} increments hold fewer than four blocks of {block}: fewer lags, or more snapshots")
    lags = np.arange(-largest, largest + 1)
    of_series = _correlations(a, b, lags)
    mean = of_series.mean(axis=0)
    best = int(np.argmax(np.abs(mean)))
    null = np.array([np.abs(_correlations(a, _shuffled(b, block, rng), lags).mean(axis=0)).max() for _ in range(draws)])
    return Lead(
        _interval(of_series, lags, rng), float(mean[best]), permutation_p(float(abs(mean[best])), null), lags, mean
    )


def _correlations(a: np.ndarray, b: np.ndarray, lags: np.ndarray) -> Float[np.ndarray, "series lag"]:
    """corr(a(t), b(t + k)); 0 where one of them is constant."""
    n = a.shape[1]
    found = []
    for lag in lags:
        x = a[:, max(0, -lag) : n - max(0, lag)]
        y = b[:, max(0, lag) : n - max(0, -lag)]
        x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
        scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
        found.append(np.divide((x * y).sum(axis=1), scale, out=np.zeros(len(a)), where=scale > 0))
    return np.stack(found, axis=1)


def _shuffled(b: np.ndarray, block: int, rng: np.random.Generator) -> np.ndarray:
    """Blocks of increments, drawn anew with replacement, the same for every series."""
    n = b.shape[1]
    starts = rng.integers(n, size=math.ceil(n / block))
    return b[:, ((starts[:, None] + np.arange(block)) % n).ravel()[:n]]


def _interval(of_series: np.ndarray, lags: np.ndarray, rng: np.random.Generator, draws: int = 1_000) -> Estimate:
    """The best lag, and its 95 % interval when series are drawn anew."""
    value = float(lags[np.argmax(np.abs(of_series.mean(axis=0)))])
    if len(of_series) < 2:
        return Estimate(value, math.nan, math.nan)
    chosen = rng.integers(len(of_series), size=(draws, len(of_series)))
    best = lags[np.argmax(np.abs(of_series[chosen].mean(axis=1)), axis=1)]
    low, high = np.quantile(best, [0.025, 0.975])
    return Estimate(value, float(low), float(high))
