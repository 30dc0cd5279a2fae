"""Fits to many profiles at once: logistic curves, broken lines and levels. Linear parts are solved, the rest searched."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

TEN_TO_NINETY = 2 * np.log(9)
"""Layers between 10 % and 90 % of a logistic of unit scale, 4.394."""

NARROWEST = 0.02
"""Least scale w of a logistic in layers (latent-object-permanence, §3.1): steeper ones are one step to any data."""

SPACING = 0.25
"""Layers between the centres of the first search; halving steps go on from there."""

_CHUNK = 64
"""Profiles fitted at a time, so that a grid of some 10⁴ curves stays within 10 MB."""

_GAIN = 1e-9
"""Relative improvement below which a search stays where it is: rounding."""


@dataclass(frozen=True)
class Logistic:
    """y = low + step/(1 + exp(−(s − centre)/scale)), one of each per profile; `error` the sum of squares left."""

    low: Float[np.ndarray, " k"]
    step: Float[np.ndarray, " k"]
    centre: Float[np.ndarray, " k"]
    scale: Float[np.ndarray, " k"]
    error: Float[np.ndarray, " k"]

    @property
    def width(self) -> Float[np.ndarray, " k"]:
        """From 10 % to 90 %, in layers."""
        return TEN_TO_NINETY * self.scale

    def at(self, states: Float[np.ndarray, " state"]) -> Float[np.ndarray, "k state"]:
        return self.low[:, None] + self.step[:, None] * _sigmoid(states, self.centre[:, None], self.scale[:, None])


def logistic(
    profiles: Float[np.ndarray, "k state"], states: Float[np.ndarray, " state"], narrowest: float = NARROWEST
) -> Logistic:
    """Least squares over centre within the states and scale from `narrowest` to four times their span.

    A grid over centre and scale, then halving steps around the best; low and step in closed form. Where any centre
    between two states fits as well, the middle is taken.
    """
    span = float(np.ptp(states))
    fine = np.arange(states[0], states[-1], SPACING)
    centres = np.concatenate([(states[1:] + states[:-1]) / 2, fine])
    scales = np.geomspace(narrowest, max(4 * span, 2 * narrowest), 32)
    grid_centre, grid_scale = (part.ravel() for part in np.meshgrid(centres, scales, indexing="ij"))
    curves = _normed(_sigmoid(states, grid_centre[:, None], grid_scale[:, None]))
    level = profiles - profiles.mean(axis=1, keepdims=True)
    best = np.concatenate([_first_best(level[i : i + _CHUNK] @ curves.T) for i in range(0, len(level), _CHUNK)])
    centre, log_scale = grid_centre[best], np.log(grid_scale[best])
    bounds = (states[0], states[-1]), (np.log(narrowest), np.log(scales[-1]))
    centre, log_scale = _refined(level, states, centre, log_scale, bounds, (SPACING, np.log(scales[1] / scales[0])))
    shape = _sigmoid(states, centre[:, None], np.exp(log_scale)[:, None])
    offset = shape - shape.mean(axis=1, keepdims=True)
    square = np.maximum(np.einsum("ij,ij->i", offset, offset), np.finfo(float).tiny)
    step = np.einsum("ij,ij->i", offset, level) / square
    low = profiles.mean(axis=1) - step * shape.mean(axis=1)
    error = np.sum((level - step[:, None] * offset) ** 2, axis=1)
    return Logistic(low, step, centre, np.exp(log_scale), error)


def _sigmoid(states, centre, scale):
    return 0.5 * (1 + np.tanh((states - centre) / (2 * scale)))


def _normed(curves: Float[np.ndarray, "*k state"]) -> Float[np.ndarray, "*k state"]:
    curves = curves - curves.mean(axis=-1, keepdims=True)
    norm = np.linalg.norm(curves, axis=-1, keepdims=True)
    # A curve that is flat over the states explains nothing.
    return curves / np.where(norm > 1e-9, norm, np.inf)


def _first_best(overlap: Float[np.ndarray, "k curve"]) -> Int[np.ndarray, " k"]:
    """The first curve that explains as much as the best, up to rounding."""
    explained = overlap**2
    return np.argmax(explained >= (1 - _GAIN) * explained.max(axis=1, keepdims=True), axis=1)


def _refined(level, states, centre, log_scale, bounds, steps, rounds: int = 14):
    """The best of nine neighbours again and again, steps halved each time."""
    offsets = np.array([(i, j) for i in (0, -1, 1) for j in (0, -1, 1)])
    rows = np.arange(len(level))
    for halving in range(rounds):
        size = 0.5**halving
        near_centre = np.clip(centre[:, None] + size * steps[0] * offsets[:, 0], *bounds[0])
        near_scale = np.clip(log_scale[:, None] + size * steps[1] * offsets[:, 1], *bounds[1])
        curves = _normed(_sigmoid(states, near_centre[..., None], np.exp(near_scale)[..., None]))
        best = _first_best(np.einsum("ijk,ik->ij", curves, level))
        centre, log_scale = near_centre[rows, best], near_scale[rows, best]
    return centre, log_scale


def two_levels(
    profiles: Float[np.ndarray, "k state"], shortest: int = 2
) -> tuple[Int[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """First index of the second segment and the sum of squares left, for two constant segments: exact.

    Raises ValueError if two segments of `shortest` states do not fit.
    """
    count = profiles.shape[1]
    if count < 2 * shortest:
        raise ValueError(f"{count} states hold no two segments of {shortest}")
    level = profiles - profiles.mean(axis=1, keepdims=True)
    breaks = np.arange(shortest, count - shortest + 1)
    # Both segments' squared means times their lengths: n·s²/(b(n − b)) with s the sum of the first b.
    gain = np.cumsum(level, axis=1)[:, breaks - 1] ** 2 * count / (breaks * (count - breaks))
    best = _first_best(np.sqrt(gain))
    return breaks[best], np.sum(level**2, axis=1) - gain[np.arange(len(level)), best]


def kink(
    profiles: Float[np.ndarray, "k state"], states: Float[np.ndarray, " state"]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Where a continuous line of two pieces bends, to 0.05 layers, and the sum of squares left."""
    knots = np.arange(states[0] + 1, states[-1] - 1 + 1e-9, 0.05)
    straight = np.stack([np.ones_like(states), states], axis=1)
    basis = np.linalg.qr(straight)[0]
    level = profiles - profiles @ basis @ basis.T
    bends = np.maximum(states - knots[:, None], 0.0)
    bends = bends - bends @ basis @ basis.T
    bends /= np.linalg.norm(bends, axis=1, keepdims=True)
    overlap = level @ bends.T
    best = _first_best(overlap)
    return knots[best], np.sum(level**2, axis=1) - overlap[np.arange(len(level)), best] ** 2
