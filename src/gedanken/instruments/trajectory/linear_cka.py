"""Similarity of the states of a trajectory: does the geometry of the points change from one to the next?

What. Linear CKA of two states X, Y of the same points, HSIC(X, Y)/√(HSIC(X, X)·HSIC(Y, Y)) with the debiased estimator of
HSIC for linear kernels, ≤ 1, unit 1: 1 if one is the other turned and scaled, about 0 for unrelated ones.
linear_cka_next is that of successive states, linear_cka_first that of each state with the first; linear_cka_least the
smallest of the successive ones, and linear_cka_least_at where it lies.

Reads. trajectory: at most 1,024 of its points, evenly; the first positions of prompts are left out.

Null. Unrelated points: mean 0 and standard deviation √2/G for G exchangeable units (prompts, or points).

Fails when. There are fewer than four points, or a state in which all points are one. Residual streams change little at
a time, so only the excess over a random model counts. A few massive coordinates decide it.

Reference. CKA [@kornblith2019similarity, eq. 4]; debiased HSIC [@song2012feature, eq. 5].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Symmetry, Value, Variable
from gedanken.instruments.nulls import NORMAL_975
from gedanken.kinds import FIRST_POSITIONS, Kind, Trajectory
from gedanken.status import Flag, Refusal
from gedanken.theory import hsic, jackknife

MOST_GROUPS = 64
"""Groups left out one at a time, as for streams."""

MOST = 1024
"""Points used; the error of a debiased CKA of unrelated points is √2/n, far below that of a few dozen prompts."""


@final
@dataclass(frozen=True)
class LinearCka(Instrument):
    """Debiased linear CKA along a trajectory."""

    reads = Kind.trajectory
    variables = (
        Variable("linear_cka_next", "CKA(s, s+1)", "1", "debiased linear CKA of successive states, by depth or time",
                 (None, 1), curve=True),
        Variable("linear_cka_first", "CKA(0, s)", "1", "debiased linear CKA with the first state, by depth or time",
                 (None, 1), curve=True),
        Variable("linear_cka_least", "min CKA", "1", "smallest debiased linear CKA of successive states", (None, 1),
                 no_null="the curve carries it"),
        Variable("linear_cka_least_at", "s_min", "1", "depth or time half way between the two least similar states",
                 no_null="it is a place"),
    )  # fmt: skip
    symmetries = frozenset({Symmetry.scale, Symmetry.sign, Symmetry.right_rotation, Symmetry.col_permutation})
    exchangeable = "prompt"
    version = 2

    def measure(self, array: Trajectory, rng: np.random.Generator) -> Reading:
        if len(array.states) < 2:
            raise Refusal(Flag.too_small, "one state has no successor")
        kept, group, units = _points(array)
        after, first = [], []
        origin = before = None
        for state in array.states:
            state = _state(state, kept, group)
            if before is not None:
                after.append(hsic.cka(before, state))
                first.append(after[0] if before is origin else hsic.cka(origin, state))
            origin, before = origin or state, state
        at = np.asarray(array.at, dtype=float)
        middle, n = (at[1:] + at[:-1]) / 2, len(kept)
        next_curve = _curve(middle, np.array(after), n, units)
        least = int(np.argmin(next_curve.y))
        left_out = after[least][:-1]
        return {
            "linear_cka_next": next_curve,
            "linear_cka_first": _curve(at[1:], np.array(first), n, units),
            "linear_cka_least": Value(float(next_curve.y[least]), jackknife.stderr(left_out) or None, n=n),
            "linear_cka_least_at": Value(float(middle[least]), n=n),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        at, points = np.array([0.0, 1.0]), rng.standard_normal((400, 20))
        turned = 3 * points @ np.linalg.qr(rng.standard_normal((20, 20)))[0] + 1
        one = {
            "linear_cka_next": (1.0, 1e-9),
            "linear_cka_first": (1.0, 1e-9),
            "linear_cka_least": (1.0, 1e-9),
            "linear_cka_least_at": (0.5, 0.0),
        }
        yield KnownCase("turned and scaled", Trajectory((points, turned), at), one, "CKA is 1 exactly")
        other = rng.standard_normal((400, 30))
        none = {"linear_cka_next": (0.0, 4 * math.sqrt(2) / 400)}
        yield KnownCase("unrelated", Trajectory((points, other), at), none, "four standard deviations √2/n")


def _points(array: Trajectory) -> tuple[np.ndarray, np.ndarray, int]:
    """Indices of the points used, sorted by group; the number of each one's left-out group; exchangeable units."""
    count = len(array.states[0])
    unit = np.arange(count) if array.group is None else np.asarray(array.group)
    kept = np.arange(count) if array.position is None else np.flatnonzero(np.asarray(array.position) >= FIRST_POSITIONS)
    kept = kept[np.argsort(unit[kept], kind="stable")]
    if len(kept) > MOST:
        kept = kept[np.arange(MOST) * len(kept) // MOST]
    if len(kept) < 4:
        raise Refusal(Flag.too_small, f"{len(kept)} points, where four are needed")
    number = np.unique(unit[kept], return_inverse=True)[1]
    units = int(number[-1]) + 1
    return kept, number * min(units, MOST_GROUPS) // units, units


def _state(state: Float[np.ndarray, "point coordinate"], kept: np.ndarray, group: np.ndarray) -> hsic.Sample:
    points = np.asarray(state)[kept].astype(np.float64)
    scale = float(np.abs(points).max(initial=0.0))
    if not np.isfinite(scale):
        raise Refusal(Flag.non_finite)
    points = points / (scale or 1.0)
    points -= points.mean(axis=0)
    # Means of numbers of size 1 are known to n·eps.
    if np.abs(points).max(initial=0.0) <= len(points) * np.finfo(float).eps:
        raise Refusal(Flag.constant, "all points of a state are one")
    sample = hsic.Sample(points, group)
    if sample.own[-1] <= 0:
        raise Refusal(Flag.too_small, "too few points for the spread of a state")
    return sample


def _curve(x: np.ndarray, values: Float[np.ndarray, "pair left"], n: int, units: int) -> Curve:
    y = np.minimum(values[:, -1], 1.0)
    null = np.full(len(y), NORMAL_975 * math.sqrt(2) / units)
    if values.shape[1] < 3 or not np.isfinite(values).all():
        return Curve(x, y, null_low=-null, null_high=null, n=n)
    error = NORMAL_975 * np.array([jackknife.stderr(row[:-1]) for row in values])
    return Curve(x, y, y - error, y + error, -null, null, n)
