"""Step, crossover or unresolved: what a profile over depth can be called. Never a transition: see finite_size."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from gedanken.analysis.depth import fits
from gedanken.analysis.depth.locate import LEVEL, interior
from gedanken.analysis.depth.series import Series

ONE_LAYER = 1.0
"""A width at or below which a change is a step within the resolution of whole layers."""

RATIO = 5.0
"""How often the median increment a step must be (latent-object-permanence, §3.3)."""

SMOOTH = 4.0
"""Least width in layers of the smooth twin (§3.3)."""

BEATEN = 0.05
"""Largest p at which a null is beaten (§8)."""


class Shape(StrEnum):
    step = "step within resolution"
    crossover = "crossover"
    unresolved = "unresolved"


@dataclass(frozen=True)
class Judged:
    """The shape of a profile and what it rests on: the logistic's width W (layers) and step B with 95 % intervals, the
    largest increment over the median one, and the p of each null; `reason` is one sentence."""

    shape: Shape
    reason: str
    width: tuple[float, float, float]
    step: tuple[float, float, float]
    ratio: float
    nulls: Mapping[str, float] = field(default_factory=dict)


def judge(
    series: Series, rng: np.random.Generator, *, nulls: Mapping[str, float] | None = None, ends: bool = False
) -> Judged:
    """The discontinuity rule. `nulls`: p of every null that was drawn elsewhere (random weights, shuffled text …).

    Raises Refusal for too few states.
    """
    states = interior(series, ends)
    profiles = np.concatenate([series.values[None], series.replicates])[:, states.astype(int)]
    fit = fits.logistic(profiles, states)
    width, step = (_interval(values) for values in (fit.width, fit.step))
    ratio = float(increment_ratio(profiles[:1])[0])
    every = {"smooth_twin": smooth_twin(profiles, states, rng), **(nulls or {})}
    return _judged(width, step, ratio, every)


def _judged(width, step, ratio: float, nulls: Mapping[str, float]) -> Judged:
    unbeaten = [name for name, p in nulls.items() if p > BEATEN]
    moved = step[1] > 0 or step[2] < 0
    if width[2] <= ONE_LAYER and ratio > RATIO and not unbeaten and moved:
        shape, reason = Shape.step, f"the width is at most {width[2]:.2g} layers and every null is beaten"
    elif moved and width[1] > ONE_LAYER:
        shape, reason = Shape.crossover, f"the change takes {width[1]:.2g} to {width[2]:.2g} layers"
    elif not moved:
        shape, reason = Shape.unresolved, "the interval of the step contains 0"
    elif width[2] > ONE_LAYER:
        shape, reason = Shape.unresolved, f"the width lies between {width[1]:.2g} and {width[2]:.2g} layers"
    elif ratio <= RATIO:
        shape, reason = Shape.unresolved, f"the largest increment is only {ratio:.2g} times the median one"
    else:
        shape, reason = Shape.unresolved, f"not beaten: {', '.join(unbeaten)}"
    return Judged(shape, reason, width, step, ratio, dict(nulls))


def increment_ratio(profiles: np.ndarray) -> np.ndarray:
    """Largest |increment| over the median one, of each profile."""
    moves = np.abs(np.diff(profiles, axis=1))
    # Where more than half of the increments vanish, any step is infinitely many of them.
    return moves.max(axis=1) / np.maximum(np.median(moves, axis=1), np.finfo(float).tiny)


def smooth_twin(profiles: np.ndarray, states: np.ndarray, rng: np.random.Generator) -> float:
    """p of the increment ratio among profiles that change over at least SMOOTH layers.

    Each twin is the best such logistic plus the deviation of one replicate from the mean replicate, so it carries the
    noise that resampling prompts shows, with its correlation over depth. The profile's own p counts itself.
    """
    observed = increment_ratio(profiles[:1])[0]
    smooth = fits.logistic(profiles[:1], states, SMOOTH / fits.TEN_TO_NINETY).at(states)
    noise = profiles[1:] - profiles[1:].mean(axis=0)
    drawn = smooth + noise[rng.integers(len(noise), size=len(noise))]
    return float((1 + np.count_nonzero(increment_ratio(drawn) >= observed)) / (1 + len(drawn)))


def two_kinds(dip_p: float, bimodality: float) -> bool:
    """Whether tokens at the change are of two kinds: the dip beats its null and the coefficient exceeds 5/9 (§3.4)."""
    return dip_p <= BEATEN and bimodality > 5 / 9


def explained_by_massive(raw: np.ndarray, predicted: np.ndarray) -> float | None:
    """R²_MA = 1 − Var(raw − predicted)/Var(raw) over states, no free parameter; None if raw hardly varies (§2.10).

    Both on the scale of Ω.
    """
    spread = float(np.var(raw))
    return None if spread < 1e-6 else 1 - float(np.var(raw - predicted)) / spread


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    """The value, and the percentiles of its replicates."""
    low, high = np.quantile(values[1:], LEVEL)
    return float(values[0]), float(low), float(high)
