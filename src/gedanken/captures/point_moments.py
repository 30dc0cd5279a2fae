"""Reduction of points: points → moments, streamed over row blocks in float64, at the price of one Gram product.

Preparations of the rows: `raw` as they are; `unit` drops rows of norm zero and divides each other row by its norm;
`centred` drops rows of norm zero, subtracts the mean of the others, then goes on as `unit` (two passes).

The second moment grows by symmetric rank-k updates in place (theory/lapack.py), which need no temporary and a third
less time than adding numpy's `block.T @ block` (0.69 s against 1.05 s for 4096 rows of 4096 in blocks of 2048).
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from jaxtyping import Float

from gedanken.kinds import Moments
from gedanken.status import Flag, Refusal
from gedanken.theory.lapack import add_gram, mirror

PREPARATIONS = ("raw", "unit", "centred")
BLOCK_ENTRIES = 1 << 23
"""Entries converted to float64 at a time (64 MB): enough rows per update to hide the traffic of a wide d × d sum."""
SAMPLE = 2048
"""Rows kept for what needs rows."""
GROUPS = 8
"""Consecutive stretches of rows whose own sums are kept."""

TILE = 64
"""Rows of a d × d sum handled together: 2 MB at d = 4096."""

Blocks = Callable[[], Iterable[np.ndarray]]
"""A fresh pass over the table: consecutive row blocks of any floating type."""


def accumulate(
    blocks: Blocks, rows: int, preparation: str = "unit", *,
    sample: int = SAMPLE, groups: int = GROUPS, quantised: bool = False,
) -> Moments:  # fmt: skip
    """Moments of the `rows` rows that `blocks()` yields in order.

    Raises Refusal: `non_finite`; `zero_rows` if no row is left; `empty` if there is none.
    """
    if preparation not in PREPARATIONS:
        raise ValueError(f"preparation {preparation!r} is none of {', '.join(PREPARATIONS)}")
    if rows == 0:
        raise Refusal(Flag.empty)
    mean, least = _mean(blocks) if preparation == "centred" else (None, 0.0)
    sums = _Sums(rows, min(groups, max(rows // 2, 1)), min(sample, rows))
    for start, block in _in_float64(blocks()):
        norms = row_norms(block)
        kept = norms > 0 if preparation != "raw" else np.ones(len(block), bool)
        if mean is not None:
            block -= mean
            centred = row_norms(block)
            kept &= centred > least
            norms = centred
        if preparation != "raw":
            np.multiply(block, np.divide(1.0, norms, out=np.zeros_like(norms), where=kept)[:, None], out=block)
        sums.add(start, block, norms, kept)
    return sums.finish(quantised)


def merge(first: Moments, second: Moments, sample: int = SAMPLE) -> Moments:
    """Moments of two sets of points together, prepared alike (`centred` only if about the same mean).

    Exact but for `smallest_norm`, which stays relative to the median of its own part. The samples are thinned evenly
    and in proportion to what they stand for.
    """
    if first.dimension != second.dimension:
        raise ValueError(f"points in {first.dimension} and in {second.dimension} dimensions do not merge")
    share = first.n / (first.n + second.n)
    most = min(sample, len(first.sample) / share, len(second.sample) / (1 - share))
    parts = [_thin(first.sample, round(most * share)), _thin(second.sample, round(most * (1 - share)))]
    return Moments(
        n=first.n + second.n,
        total=first.total + second.total,
        second=first.second + second.second,
        sample=np.concatenate(parts),
        dropped=first.dropped + second.dropped,
        smallest_norm=min(first.smallest_norm, second.smallest_norm),
        groups=first.groups + second.groups,
        quantised=first.quantised or second.quantised,
    )


def row_norms(block: Float[np.ndarray, "rows d"]) -> Float[np.ndarray, " rows"]:
    """Euclidean norms, safe where squares overflow or vanish. Raises Refusal(non_finite)."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", block, block)
    doubtful = np.flatnonzero(~((squares > 1e-280) & (squares < np.inf)))
    norms = np.sqrt(np.where(np.isfinite(squares), squares, 0.0))
    if len(doubtful):
        peak = np.abs(block[doubtful]).max(axis=1, initial=0.0)
        if not np.isfinite(peak).all():
            raise Refusal(Flag.non_finite)
        scaled = block[doubtful] / np.where(peak > 0, peak, 1.0)[:, None]
        norms[doubtful] = peak * np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    return norms


def _in_float64(blocks: Iterable[np.ndarray]) -> Iterator[tuple[int, Float[np.ndarray, "rows d"]]]:
    """(first row, stretch of rows), copied into one buffer that is used again for the next."""
    buffer, start = np.empty((0, 0)), 0
    for block in blocks:
        step = max(1, BLOCK_ENTRIES // max(block.shape[1], 1))
        for first in range(0, len(block), step):
            piece = block[first : first + step]
            if len(buffer) < len(piece):
                buffer = np.empty(piece.shape)
            stretch = buffer[: len(piece)]
            np.copyto(stretch, piece, casting="same_kind")
            yield start, stretch
            start += len(piece)


def _mean(blocks: Blocks) -> tuple[Float[np.ndarray, " d"], float]:
    """The mean of the rows that are not zero, and its rounding: a row no further from it has no direction."""
    total, n, largest = 0.0, 0, 0.0
    for _, block in _in_float64(blocks()):
        norms = row_norms(block)
        total = total + block.sum(axis=0)
        n += int(np.count_nonzero(norms))
        largest = max(largest, float(norms.max()))
    if n == 0:
        raise Refusal(Flag.zero_rows, "every row is zero, so none has a direction")
    return total / n, n * np.finfo(float).eps * largest


class _Sums:
    """The running sums of one pass: of the stretch in hand, and of all before it."""

    def __init__(self, rows: int, groups: int, sample: int):
        self.ends = [rows * (g + 1) // groups for g in range(groups)]
        self.picks = np.arange(sample) * rows // sample
        self.n = self.seen = self.sampled = 0
        self.norms, self.groups = [], []
        self.sample = self.total = self.second = None

    def add(self, start: int, block: np.ndarray, norms: np.ndarray, kept: np.ndarray) -> None:
        """A block whose rows are prepared; rows not kept are zero in it, and count nowhere."""
        if self.total is None:
            d = block.shape[1]
            self.total, self.second, self.stretch_second = np.zeros(d), np.zeros((d, d)), np.zeros((d, d))
            self.sample = np.empty((len(self.picks), d))
            self._open()
        low, high = np.searchsorted(self.picks, [start, start + len(block)])
        picked = self.picks[low:high] - start
        picked = picked[kept[picked]]
        self.sample[self.sampled : self.sampled + len(picked)] = block[picked]
        self.sampled += len(picked)
        self.norms.append(norms[kept])
        self.seen = start + len(block)
        while start < self.seen:
            stop = min(self.ends[0], self.seen)
            piece, count = block[: stop - start], int(np.count_nonzero(kept[: stop - start]))
            self.stretch_n += count
            self.stretch_total += np.ones(len(piece)) @ piece
            add_gram(self.stretch_second, piece)
            block, kept, start = block[stop - start :], kept[stop - start :], stop
            if stop == self.ends[0]:
                self._close()

    def _open(self) -> None:
        self.stretch_n, self.stretch_total = 0, np.zeros_like(self.total)

    def _close(self) -> None:
        """Add the finished stretch to the whole and clear it, a few rows at a time that stay in cache.

        Only the upper triangles of the second moments are filled.
        """
        square = -float(np.sum(np.square(np.diagonal(self.stretch_second))))
        for first in range(0, len(self.total), TILE):
            upper = self.stretch_second[first : first + TILE, first:]
            square += 2 * float(np.einsum("ij,ij->", upper, upper))
            self.second[first : first + TILE, first:] += upper
            upper[:] = 0
        self.groups.append((int(self.stretch_n), self.stretch_total, square))
        self.n += self.stretch_n
        self.total += self.stretch_total
        self.ends.pop(0)
        if self.ends:
            self._open()

    def finish(self, quantised: bool) -> Moments:
        if self.ends:
            raise ValueError(f"the blocks end at row {self.seen} of {self.ends[-1]}")
        if self.n == 0:
            raise Refusal(Flag.zero_rows, "no row has a direction: all are zero, or all are equal after centring")
        mirror(self.second)
        norms = np.concatenate(self.norms)
        median = float(np.median(norms))
        return Moments(
            n=int(self.n),
            total=self.total,
            second=self.second,
            sample=self.sample[: self.sampled],
            dropped=int(self.seen - self.n),
            smallest_norm=float(norms.min()) / median if median > 0 else 0.0,
            groups=tuple(self.groups),
            quantised=quantised,
        )


def _thin(rows: np.ndarray, count: int) -> np.ndarray:
    """`count` of the rows, evenly."""
    return rows[np.arange(count) * len(rows) // max(count, 1)]
