"""Relations between the rows of a token table: nearest neighbours, hubs, pairs, analogies. By blocks, no V × V array."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from gedanken.captures import point_moments
from gedanken.captures.reduce import row_blocks
from gedanken.status import Flag, Refusal
from gedanken.theory.cosines import PairCosines, pair_cosines

BLOCK_ENTRIES = 1 << 25
"""Cosines held at a time: 128 MB in float32."""
NEAR_DUPLICATE = 0.99
"""A cosine above which two rows count as one: what tokens that were never trained show."""
WITHIN = 1000
"""How far the ids of a matched pair may be from those of the pair: tokens of similar rank in a vocabulary that is
ordered by frequency, as byte-pair merges are."""


@dataclass(frozen=True)
class Directions:
    """The unit rows of a token table in float32; rows of norm zero stay zero, and `there` is False for them."""

    unit: Float[np.ndarray, "V d"]
    there: Bool[np.ndarray, " V"]

    @classmethod
    def of(cls, table: Float[np.ndarray, "V d"]) -> "Directions":
        """Of a table as stored. Raises Refusal: `empty`, `non_finite`, `too_small` below two rows that are not zero."""
        if 0 in table.shape:
            raise Refusal(Flag.empty)
        unit, there, start = np.empty(table.shape, np.float32), np.empty(len(table), bool), 0
        for block in row_blocks(table):
            rows = block.astype(np.float64)
            norms = point_moments.row_norms(rows)
            part = slice(start, start + len(rows))
            there[part] = norms > 0
            unit[part] = rows / np.where(norms > 0, norms, 1.0)[:, None]
            start += len(rows)
        if np.count_nonzero(there) < 2:
            raise Refusal(Flag.too_small, "Fewer than two rows of the table are not zero, so there is no pair.")
        return cls(unit, there)

    @cached_property
    def pairs(self) -> PairCosines:
        """Mean and mean square of the cosines of all pairs; `pairs.edge()` is ε."""
        sums = point_moments.accumulate(lambda: row_blocks(self.unit), len(self.unit), "unit", sample=0, groups=1)
        return pair_cosines(
            sums.n, float(sums.total @ sums.total), float(np.einsum("ij,ij->", sums.second, sums.second))
        )

    def cosines(self, vector: Float[np.ndarray, " d"]) -> Float[np.ndarray, " V"]:
        """Of every row with a vector of any length > 0; −2 for rows of norm zero, so that they come last."""
        found = self.unit @ (vector / np.linalg.norm(vector)).astype(np.float32)
        return np.where(self.there, np.clip(found, -1, 1), np.float32(-2))

    def nearest(
        self, vector: Float[np.ndarray, " d"], count: int, leave_out: Collection[int] = ()
    ) -> list[tuple[int, float]]:
        """The rows with the largest cosine with a vector, and it, the largest first; `leave_out` are none of them."""
        cosines = self.cosines(vector)
        cosines[list(leave_out)] = -2
        count = min(count, int(np.count_nonzero(cosines > -2)))
        first = np.argpartition(-cosines, count - 1)[:count] if count else np.empty(0, int)
        return [(int(row), float(cosines[row])) for row in first[np.lexsort((first, -cosines[first]))]]

    def neighbours(self, row: int, count: int) -> list[tuple[int, float]]:
        """`nearest` of a row itself, which is left out. Raises Refusal(zero_rows) if it is zero."""
        return self.nearest(self._row(row), count, (row,))

    def cosine(self, one: int, other: int) -> float:
        """Between two rows, in float64. Raises Refusal(zero_rows) if one is zero."""
        a, b = (self._row(row).astype(np.float64) for row in (one, other))
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))

    def analogy(self, a: int, b: int, c: int) -> Float[np.ndarray, " d"]:
        """The direction of a − b + c of unit rows: `b` is to `a` as `c` is to what lies there [@guha2026representational]."""
        found = self._row(a).astype(np.float64) - self._row(b) + self._row(c)
        length = np.linalg.norm(found)
        if length < 1e-6:  # float32's rounding of unit rows
            raise Refusal(Flag.zero_rows, "The three rows cancel, so there is no direction to look along.")
        return found / length

    def rank(self, vector: Float[np.ndarray, " d"], row: int, leave_out: Collection[int] = ()) -> int:
        """The place of a row among `nearest`, from 1."""
        cosines = self.cosines(vector)
        of_row = cosines[row]
        cosines[list(leave_out)] = -2
        return 1 + int(np.count_nonzero(cosines > of_row))

    def matched_cosines(
        self, one: int, other: int, count: int, rng: np.random.Generator, within: int | None = WITHIN
    ) -> Float[np.ndarray, " n"]:
        """Cosines of random pairs whose ids are at most `within` from those of a pair (None: of any two rows).

        Pairs of a row with itself or with a zero row are left out.
        """
        V = len(self.unit)
        ends = []
        for row in (one, other):
            low, high = (0, V) if within is None else (max(row - within, 0), min(row + within + 1, V))
            ends.append(rng.integers(low, high, size=count))
        kept = (ends[0] != ends[1]) & self.there[ends[0]] & self.there[ends[1]]
        return np.einsum("ij,ij->i", self.unit[ends[0][kept]], self.unit[ends[1][kept]]).astype(np.float64)

    def blocks(self) -> Iterator[tuple[int, Float[np.ndarray, "rows V"]]]:
        """By blocks of rows: the first row, and the cosines of each with every row. Costs 2V²d.

        −2 stands for a row with itself, and with rows of norm zero.
        """
        step = max(1, BLOCK_ENTRIES // len(self.unit))
        absent = np.flatnonzero(~self.there)
        for start in range(0, len(self.unit), step):
            product = self.unit[start : start + step] @ self.unit.T
            product[np.arange(len(product)), start + np.arange(len(product))] = -2
            product[:, absent] = -2
            yield start, product

    def followers(self, progress=None) -> Int[np.ndarray, " V"]:
        """How many rows have each row as their nearest neighbour: the in-degrees, which add up to the rows not zero.

        progress: called with rows done and in all.
        """
        counts = np.zeros(len(self.unit), np.int64)
        for start, product in self.blocks():
            followed = product.argmax(axis=1)[self.there[start : start + len(product)]]
            counts += np.bincount(followed, minlength=len(counts))
            if progress:
                progress(start + len(product), len(self.unit))
        return counts

    def distinct(self, most: float = NEAR_DUPLICATE, progress=None) -> Bool[np.ndarray, " V"]:
        """Which rows are not zero and have no earlier row nearer than `most`: one of each near-duplicate group stays.

        progress: called with rows done and in all.
        """
        kept = self.there.copy()
        for start, product in self.blocks():
            rows = np.arange(start, start + len(product))
            earlier = np.arange(len(self.unit)) < rows[:, None]
            kept[rows] &= ~((product > most) & earlier).any(axis=1)
            if progress:
                progress(start + len(product), len(self.unit))
        return kept

    def _row(self, row: int) -> Float[np.ndarray, " d"]:
        if not self.there[row]:
            raise Refusal(Flag.zero_rows, f"Row {row} of the table is zero and has no direction.")
        return self.unit[row]
