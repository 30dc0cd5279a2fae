"""Cut: how a matrix is taken from a stored tensor. Piece: a matrix of a checkpoint, with its site and its cut."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Float

from gedanken.kinds import Kind
from gedanken.site import Site
from gedanken.sources.tensor_files.base import TensorInfo

_TABLES = ("W_E", "W_U")


@dataclass(frozen=True, slots=True)
class Cut:
    """How one out × in matrix is taken from a stored tensor, in this order.

    `expert` picks one matrix of a stack along the first axis; further axes are flattened behind the first (a
    convolution kernel is out × rest); `transposed` exchanges the two; then the rows are seen as `groups` equal periods
    and rows start:stop of each period are kept. One group is a plain slice; many are heads that lie interleaved.
    """

    transposed: bool = False
    expert: int | None = None
    groups: int = 1
    start: int = 0
    stop: int | None = None

    def shape(self, stored: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns of the matrix, from the stored tensor's shape."""
        rows, cols = self._whole(stored)
        start, stop = self._period(rows)[1:]
        return self.groups * (stop - start), cols

    def apply(
        self,
        read: Callable[[int, int], np.ndarray],
        stored: tuple[int, ...],
        start: int = 0,
        stop: int | None = None,
    ) -> Float[np.ndarray, "rows cols"]:
        """Rows start:stop of the matrix. `read(a, b)` gives a:b of the stored first axis; no more is read than needed.

        A transposed tensor must be read whole whatever rows are asked.
        """
        rows = self.shape(stored)[0]
        stop = rows if stop is None else min(stop, rows)
        if start >= stop:
            return np.zeros((0, self.shape(stored)[1]), np.float32)
        places = self._places(start, stop, self._whole(stored)[0])
        if self.expert is not None:
            matrix, first = read(self.expert, self.expert + 1)[0], 0
        elif self.transposed:
            matrix, first = read(0, stored[0]), 0
        else:
            first = int(places[0])
            matrix = read(first, int(places[-1]) + 1)
        matrix = matrix.reshape(len(matrix), prod(matrix.shape[1:]))
        return self._take(matrix.T if self.transposed else matrix, places - first)

    def rows_of(self, matrix: Float[np.ndarray, "whole k"]) -> Float[np.ndarray, "rows k"]:
        """The rows that the cut keeps of a matrix that is already out × in (a thin factor of the whole, say)."""
        start, stop = self._period(matrix.shape[0])[1:]
        return self._take(matrix, self._places(0, self.groups * (stop - start), matrix.shape[0]))

    def _whole(self, stored: tuple[int, ...]) -> tuple[int, int]:
        shape = stored if self.expert is None else stored[1:]
        shape = (shape[0], prod(shape[1:]))
        return shape[::-1] if self.transposed else shape

    def _period(self, rows: int) -> tuple[int, int, int]:
        period = rows // self.groups
        return period, self.start, period if self.stop is None else self.stop

    def _places(self, start: int, stop: int, whole: int) -> np.ndarray:
        """Where rows start:stop of the cut matrix lie among the whole one's rows."""
        period, low, high = self._period(whole)
        group, row = np.divmod(np.arange(start, stop), high - low)
        return group * period + low + row

    @staticmethod
    def _take(matrix: np.ndarray, places: np.ndarray) -> np.ndarray:
        if len(places) == 0:
            return matrix[:0]
        contiguous = places[-1] - places[0] == len(places) - 1
        return matrix[places[0] : places[-1] + 1] if contiguous else matrix[places]


@dataclass(frozen=True, slots=True)
class Piece:
    """One matrix of a checkpoint: where it belongs, the stored tensor that holds it, and how to cut it out.

    `notes` in one word each: fused, tied, shared, generic, kernel, quantised, permuted, unsplit, scaled, factors …
    `kind` is points for the tables with one row per token, else matrix.
    """

    site: Site
    tensor: str
    rows: int
    cols: int
    cut: Cut = Cut()
    notes: tuple[str, ...] = ()
    kind: Kind = Kind.matrix
    factored: bool = False
    """It is read as Factors, never as one array."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A tensor that gives no piece, and why."""

    tensor: str
    reason: str


def piece(site: Site, info: TensorInfo, cut: Cut, notes: tuple[str, ...]) -> Piece:
    """The piece that `cut` takes from a stored tensor."""
    rows, cols = cut.shape(info.shape)
    kind = Kind.points if site.part in _TABLES and site.block in ("embed", "unembed") else Kind.matrix
    return Piece(site, info.name, rows, cols, cut, (*notes, "quantised") if info.quantised else notes, kind)
