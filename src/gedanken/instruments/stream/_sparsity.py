"""Ω of every token of a stream, in one of several bases."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from gedanken.instruments.stream import _bases
from gedanken.instruments.stream._prompts import Rows, rows_of, shared
from gedanken.kinds import Stream
from gedanken.status import Flag, Refusal
from gedanken.theory import hoyer

MOST_REMOVED = 16
"""Of largest coordinates in any standard setting."""

SMALLEST_SQUARE = 1e-280
"""Below, ‖h‖² has lost digits; entries are at most 1."""

BLOCK_ENTRIES = 2**17
"""Entries handled at a time: a megabyte."""

BASES = ("coordinates", "standardised", "whitened")


@dataclass(frozen=True)
class Basis:
    """In which coordinates: one of BASES, with the `removed` largest taken out; `first` keeps the first positions."""

    basis: str = "coordinates"
    removed: int = 0
    first: bool = False


def check_basis(name: str) -> None:
    """Raises ValueError for a name that is none of BASES."""
    if name not in BASES:
        raise ValueError(f"basis is one of {', '.join(BASES)}, not {name!r}")


def sparsity(stream: Stream, basis: Basis) -> tuple[Rows, Float[np.ndarray, " n"], int]:
    """The rows, Ω of each, and the number of coordinates it was taken over. Raises Refusal."""
    return shared(stream, ("sparsity", basis), lambda: _sparsity(stream, basis))


def _sparsity(stream: Stream, basis: Basis) -> tuple[Rows, Float[np.ndarray, " n"], int]:
    rows = rows_of(stream, first=basis.first)
    if rows.points.shape[1] < 2:
        raise Refusal(Flag.too_small, "a token has fewer than two coordinates")
    if basis.basis == "coordinates":
        length, square, d = _lengths(stream, basis)
    else:
        fitted = _bases.standardised if basis.basis == "standardised" else _bases.whitened
        change, d = fitted(stream, rows.scale)
        length, square = _sums(rows.points, change)
    alive = length > 0
    if not alive.all():
        rows, length, square = _without(rows, alive), length[alive], square[alive]
    if len(length) < 2:
        raise Refusal(Flag.zero_rows)
    if square.min() < SMALLEST_SQUARE:
        raise Refusal(Flag.below_resolution, "a token is so short that its square vanishes")
    return rows, hoyer.omega_of(length, square, d), d


def _lengths(stream: Stream, basis: Basis) -> tuple[np.ndarray, np.ndarray, int]:
    """‖h‖₁ and ‖h‖₂² of each row without its `removed` largest coordinates, and how many are left.

    All depths of removal share one pass: sums without the most, to which the others are added back one by one.
    """
    d, points = stream.dimension, rows_of(stream, first=basis.first).points
    if not basis.removed:
        return *_sums(points), d
    top = _bases.massive(stream, basis.removed)
    most = shared(stream, ("massive", basis.first), lambda: _bases.massive(stream, min(MOST_REMOVED, d - 2)))
    if len(top) > len(most):
        return *_sums(points, lambda rows: np.delete(rows, top, axis=1)), d - len(top)
    length, square = shared(stream, ("lengths", basis.first), lambda: _by_removal(stream, basis.first, most))
    return length[:, len(top)], square[:, len(top)], d - len(top)


def _by_removal(stream: Stream, first: bool, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = rows_of(stream, first=first).points
    rest = _sums(points, lambda rows: np.delete(rows, most, axis=1))
    out = np.abs(points[:, most])
    return tuple(
        np.cumsum(np.column_stack([base, parts[:, ::-1]]), axis=1)[:, ::-1]
        for base, parts in zip(rest, (out, out**2), strict=True)
    )


def _sums(
    points: Float[np.ndarray, "n d"], change: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> Float[np.ndarray, "2 n"]:
    """‖h‖₁ and ‖h‖₂² of each changed row; a few rows at a time, which stay in the cache."""
    found, step = np.empty((2, len(points))), max(1, BLOCK_ENTRIES // points.shape[1])
    for start in range(0, len(points), step):
        rows = change(points[start : start + step])
        found[:, start : start + step] = np.abs(rows).sum(axis=1), np.einsum("ij,ij->i", rows, rows)
    return found


def dimension(stream: Stream, basis: Basis) -> int:
    """The number of coordinates that `sparsity` takes."""
    return stream.dimension - basis.removed if basis.basis == "coordinates" else sparsity(stream, basis)[2]


def _without(rows: Rows, alive: np.ndarray) -> Rows:
    group = np.unique(rows.group[alive], return_inverse=True)[1]
    found = replace(rows, points=rows.points[alive], group=group, prompt=rows.prompt[alive])
    return replace(found, groups=int(group.max(initial=-1)) + 1, flags=(Flag.zero_rows,))
