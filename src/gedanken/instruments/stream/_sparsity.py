"""Ω of every token of a stream, in one of several bases."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from gedanken.instruments.stream import _bases
from gedanken.instruments.stream._prompts import Rows, rows_of
from gedanken.kinds import Stream
from gedanken.status import Flag, Refusal
from gedanken.theory import hoyer

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
    rows = rows_of(stream, first=basis.first)
    points = rows.points
    if points.shape[1] < 2:
        raise Refusal(Flag.too_small, "a token has fewer than two coordinates")
    if basis.removed:
        points = np.delete(points, _bases.massive(stream, basis.removed), axis=1)
    elif basis.basis != "coordinates":
        change = _bases.standardised if basis.basis == "standardised" else _bases.whitened
        points = change(stream, points, rows.scale)
    largest = np.maximum(points.max(axis=1), -points.min(axis=1))
    if not largest.all():
        alive = largest > 0
        rows, points, largest = _without(rows, alive), points[alive], largest[alive]
    if len(points) < 2:
        raise Refusal(Flag.zero_rows)
    if largest.min() < 1e-100:
        # Squares would vanish.
        points = points / largest[:, None]
    return rows, hoyer.omega(points), points.shape[1]


def dimension(stream: Stream, basis: Basis) -> int:
    """The number of coordinates that `sparsity` takes, without its values."""
    if basis.basis == "coordinates":
        return stream.dimension - basis.removed
    scale = float(np.abs(stream.points).max())
    if basis.basis == "whitened":
        return int(np.count_nonzero(_bases.directions(np.linalg.eigvalsh(_bases.fitted(stream, scale)[1]))))
    return _bases.standardised(stream, stream.points[:1] / scale, scale).shape[1]


def _without(rows: Rows, alive: np.ndarray) -> Rows:
    group = np.unique(rows.group[alive], return_inverse=True)[1]
    found = replace(rows, points=rows.points[alive], group=group, prompt=rows.prompt[alive])
    return replace(found, groups=int(group.max(initial=-1)) + 1, flags=(Flag.zero_rows,))
