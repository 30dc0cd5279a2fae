"""The states of a trajectory as unit rows: the same points at each, those that are zero anywhere left out."""

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import OF_DIRECTIONS, Symmetry
from gedanken.kinds import Trajectory
from gedanken.status import Flag, Refusal

OF_POINTS = OF_DIRECTIONS - {Symmetry.row_scale}
"""What may happen to the points of all states at once. Lengths do not count either, but to scale each point by its own
factor is no such change: what made the next state from this one need not commute with it."""


def state_directions(
    trajectory: Trajectory, most: int | None, least: int = 2
) -> tuple[list[Float[np.ndarray, "s d"]], tuple[Flag, ...]]:
    """Unit rows in float64 of at most `most` points (evenly; all: None) at each state; and the flags to say.

    Raises Refusal: `non_finite`, `too_small` (fewer than two states, `least` points or two coordinates).
    """
    n, d = trajectory.states[0].shape if len(trajectory.states) else (0, 0)
    count = n if most is None else min(n, most)
    chosen = np.arange(count) * n // max(count, 1)
    found, usable = [], np.ones(count, bool)
    for state in trajectory.states:
        rows = np.array(state[chosen], dtype=np.float64)
        if not np.isfinite(rows).all():
            raise Refusal(Flag.non_finite)
        peak = np.abs(rows).max(axis=1, initial=0.0)
        usable &= peak > 0
        rows /= np.where(peak > 0, peak, 1.0)[:, None]
        found.append(rows)
    kept = int(usable.sum())
    if len(found) < 2 or kept < least or d < 2:
        raise Refusal(Flag.too_small, f"{len(found)} states of {kept} points with {d} coordinates: too few for this")
    unit = [rows[usable] / np.linalg.norm(rows[usable], axis=1, keepdims=True) for rows in found]
    said = {Flag.sampled: most is not None and n >= most, Flag.zero_rows: kept < count}
    return unit, tuple(flag for flag, applies in said.items() if applies)


def strictly_ascending(at: Float[np.ndarray, " state"]) -> Float[np.ndarray, " state"]:
    """`at` as float64. Raises Refusal(constant) unless every state stands after the one before it."""
    at = np.asarray(at, dtype=np.float64)
    if not np.all(np.diff(at) > 0):
        raise Refusal(Flag.constant, "the states do not stand in ascending order of time or depth")
    return at
