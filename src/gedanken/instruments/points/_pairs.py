"""The pairwise cosines of a bounded sample of points, shared by the instruments of this folder."""

import weakref
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from gedanken.status import Flag, Refusal
from gedanken.theory.lapack import gram, mirror

MOST = 2048
"""Rows used at most, evenly: 2.1 million pairs, 33 MB."""


@dataclass(frozen=True)
class Cosines:
    """Cosines of all pairs of some rows, in [−1, 1]; infinite on the diagonal. Shared: not to be written to.

    `index`: which rows of the points they are, ascending; `lengths`: their norms.
    """

    square: Float[np.ndarray, "s s"]
    flags: tuple[Flag, ...]
    index: Int[np.ndarray, " s"]
    lengths: Float[np.ndarray, " s"]

    @cached_property
    def pairs(self) -> Float[np.ndarray, " pairs"]:
        """Each pair once, ascending."""
        found = np.concatenate([row[i + 1 :] for i, row in enumerate(self.square)])
        found.sort()
        return found


_made: dict[int, dict[int, Cosines]] = {}
"""By identity of the points and number of rows, for as long as the points live: several instruments read them."""


def cosines_of(points: Float[np.ndarray, "n d"], most: int) -> Cosines:
    """Cosines among at most `most` rows, made once for an array; with the flags and refusals of `directions`."""
    if id(points) not in _made:
        _made[id(points)] = {}
        weakref.finalize(points, _made.pop, id(points), None).atexit = False
    found = _made[id(points)]
    if most not in found:
        rows, flags, index, lengths = _directions(points, most, 2)
        square = gram(rows.T)
        mirror(square)
        np.clip(square, -1.0, 1.0, out=square)
        np.fill_diagonal(square, np.inf)
        found[most] = Cosines(square, flags, index, lengths)
    return found[most]


def directions(
    points: Float[np.ndarray, "n d"], most: int | None, least: int = 2
) -> tuple[Float[np.ndarray, "s d"], tuple[Flag, ...]]:
    """At most `most` rows (all: None) as unit rows in float64, those of norm zero left out; and the flags to say.

    `sampled` if `most` rows or more were given: then they are a part of the table, drawn here or by the capture;
    `zero_rows` if some were left out. Raises Refusal: `non_finite`, `too_small` below `least` rows or 2 coordinates.
    """
    return _directions(points, most, least)[:2]


def _directions(points: np.ndarray, most: int | None, least: int) -> tuple[np.ndarray, tuple, np.ndarray, np.ndarray]:
    """`directions`, and which rows these are and their norms."""
    n, d = points.shape
    count = n if most is None else min(n, most)
    index = np.arange(count) * n // max(count, 1)
    rows = np.array(points if count == n else points[index], dtype=np.float64)
    if not np.isfinite(rows).all():
        raise Refusal(Flag.non_finite)
    peak = np.maximum(rows.max(axis=1, initial=0.0), -rows.min(axis=1, initial=0.0))
    if not peak.all():
        rows, index, peak = rows[peak > 0], index[peak > 0], peak[peak > 0]
    rows /= peak[:, None]  # squares of the largest entry neither overflow nor vanish
    if len(rows) < least or d < 2:
        raise Refusal(Flag.too_small, f"{len(rows)} rows that are not zero, of {d} coordinates: too few for this")
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    rows /= norms[:, None]
    said = {Flag.sampled: most is not None and n >= most, Flag.zero_rows: len(rows) < count}
    return rows, tuple(flag for flag, applies in said.items() if applies), index, peak * norms
