"""The optimiser: Adam on k raw vectors, renormalised inside the loss, as a state that can be stopped and taken up.

Adam as in [@kingma2015adam, algorithm 1] with β = (0.9, 0.999), eps = 10⁻⁸ and no weight decay, in float32.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from gedanken.sources.packing.overlaps import VANISHING, Overlaps, library
from gedanken.sources.packing.recipe import Recipe

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
"""[@kingma2015adam, algorithm 1], and what the published experiment used [@guha2026representational]."""


@dataclass
class State:
    """Where an optimisation stands after `step` evaluations: raw vectors, Adam's two moments, and the result so far.

    `result` holds the unit vectors with the largest overlap `overlap`: the best so far or the last evaluated, by recipe.
    `scale` is the largest overlap at the last evaluation, `loss` its ln(L)/p.
    """

    raw: Any
    first: Any
    second: Any
    result: Any
    overlap: float = np.inf
    scale: float = 1.0
    loss: float = np.nan
    step: int = 0

    ARRAYS = ("raw", "first", "second", "result")
    NUMBERS = ("overlap", "scale", "loss", "step")

    def saved(self) -> dict[str, np.ndarray]:
        """As numpy arrays, from wherever they are."""
        arrays = {name: _numpy(getattr(self, name)) for name in self.ARRAYS}
        return arrays | {name: np.asarray(getattr(self, name)) for name in self.NUMBERS}

    @classmethod
    def restored(cls, arrays: dict[str, np.ndarray], device: str = "cpu") -> "State":
        to = library(device)[1]
        return cls(
            **{name: to(arrays[name]) for name in cls.ARRAYS}, **{name: arrays[name].item() for name in cls.NUMBERS}
        )


def start(k: int, d: int, recipe: Recipe, device: str = "cpu") -> State:
    """Before the first evaluation: independent normal rows of unit length [@guha2026representational]."""
    rows = np.random.default_rng(recipe.seed).standard_normal((k, d), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    to = library(device)[1]
    return State(to(rows), to(np.zeros_like(rows)), to(np.zeros_like(rows)), to(rows.copy()))


def advance(state: State, recipe: Recipe, overlaps: Overlaps) -> None:
    """One evaluation of the loss, and one step against its gradient, in place."""
    xp = overlaps.xp
    lengths = xp.sqrt((state.raw * state.raw).sum(1)).reshape(-1, 1)
    unit = state.raw / lengths
    found = overlaps.sweep(unit, state.scale)
    if found.peak < state.overlap or not recipe.keep_best:
        state.result, state.overlap = unit, found.peak
    state.loss = found.loss
    state.scale = max(found.peak, VANISHING)
    gradient = found.gradient
    if recipe.loss == "plain":  # ∂L = p L ∂(ln L / p)
        gradient *= recipe.p * math.exp(recipe.p * found.loss)
    gradient -= (gradient * unit).sum(1).reshape(-1, 1) * unit
    gradient /= lengths
    _adam(state, gradient, recipe.rate_at(state.step), xp)
    state.step += 1


def _adam(state: State, gradient: Any, rate: float, xp: Any) -> None:
    t = state.step + 1
    state.first *= BETA1
    state.first += (1 - BETA1) * gradient
    state.second *= BETA2
    state.second += (1 - BETA2) * gradient * gradient
    root = xp.sqrt(state.second / (1 - BETA2**t))
    root += EPS
    state.raw -= state.first / root * (rate / (1 - BETA1**t))


def _numpy(array: Any) -> Float[np.ndarray, "k d"]:
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()
