"""Single coordinates that carry much of a matrix.

What. outlier_column_ratio, outlier_row_ratio: the largest column (row) norm over the median one; at least 1.
top_column_share: the largest column's share of Σw². outlier_columns: norms over the median of the sixteen largest
columns, against their indices. No unit. For an out × in matrix, columns are inputs and rows outputs; for an embedding,
columns are coordinates and rows tokens.

Reads. A matrix, in row blocks.

Null. Independent normal entries of one variance: the squared norms are that times χ² of the column's (row's) length,
and the largest of them is taken over as many.

Fails when. There are fewer than three columns (rows), or more than half of them are zero. Every trained matrix lies
outside the narrow null: look at the size of the ratio.

Reference. Outlier dimensions of language models [@kovaleva2021bert; @dettmers2022llm].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
from jaxtyping import Float
from scipy import stats

from gedanken.instruments.base import Curve, Instrument, KnownCase, NullBand, Reading, Symmetry, Value, Variable
from gedanken.instruments.matrix._blocks import range_and_mean, row_blocks
from gedanken.instruments.nulls import law_band
from gedanken.kinds import Factors, Kind
from gedanken.status import Flag, Refusal
from gedanken.theory.laws import ChiSquare, LargestOf

LISTED = 16
"""Columns in the curve."""
LEAST = 3
"""Columns (rows) below which a median of their norms says nothing."""


@final
@dataclass(frozen=True)
class OutlierCoordinates(Instrument):
    """Largest column and row norms against the median."""

    reads = Kind.matrix
    variables = (
        Variable("outlier_column_ratio", "c₁/c̃", "1", "largest column norm over the median", (1, None), scale="log"),
        Variable("outlier_row_ratio", "r₁/r̃", "1", "largest row norm over the median", (1, None), scale="log"),
        Variable("top_column_share", "c₁²/‖W‖²", "1", "largest column's share of the squared Frobenius norm", (0, 1)),
        Variable("outlier_columns", "c/c̃", "1", "largest column norms over the median", (0, None), curve=True),
    )
    symmetries = frozenset({Symmetry.scale, Symmetry.sign, Symmetry.row_permutation, Symmetry.col_permutation})

    def measure(self, array: Float[np.ndarray, "out in"] | Factors, rng: np.random.Generator) -> Reading:
        columns, rows = _energies(array)
        ratios = _over_median(columns, "columns")
        read = {"outlier_row_ratio": _largest(_over_median(rows, "rows"), len(rows))}
        if isinstance(ratios, Refusal):
            return read | dict.fromkeys(("outlier_column_ratio", "top_column_share", "outlier_columns"), ratios)
        top = np.argsort(-ratios, kind="stable")[:LISTED]
        low, high = self._null_of_ranks(len(top), len(columns), len(rows))
        curve = Curve(top.astype(float), ratios[top], null_low=low, null_high=high, n=len(columns))
        return read | {
            "outlier_column_ratio": _largest(ratios, len(columns)),
            "top_column_share": Value(float(columns.max() / columns.sum()), n=len(columns)),
            "outlier_columns": curve,
        }

    @staticmethod
    @lru_cache(maxsize=1024)
    def _null_of_ranks(listed: int, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """95 % bands of the largest, second … of `count` norms of `length` normal entries, over the median norm.

        The upper tail at the k-th largest of m draws follows Beta(k, m − k + 1) [@david2003order, §2.1].
        """
        rank = np.arange(1, listed + 1)
        tails = (stats.beta.ppf(q, rank, count - rank + 1) for q in (0.975, 0.025))
        low, high = (np.sqrt(stats.chi2.isf(tail, length) / stats.chi2.median(length)) for tail in tails)
        return low, high

    def null(self, array: Float[np.ndarray, "out in"] | Factors, reading: Reading) -> dict[str, NullBand]:
        rows, cols = array.shape
        bands = {}
        for name, count, length in (("outlier_column_ratio", cols, rows), ("outlier_row_ratio", rows, cols)):
            if isinstance(reading[name], Value):
                law, middle = LargestOf(ChiSquare(length), count), ChiSquare(length).median
                square = reading[name].value ** 2 * middle
                bands[name] = law_band(square, law, lambda x, middle=middle: (x / middle) ** 0.5)
        if isinstance(reading["top_column_share"], Value):
            law, total = LargestOf(ChiSquare(rows), cols), rows * cols
            share = reading["top_column_share"].value
            bands["top_column_share"] = law_band(share * total, law, lambda x: min(x / total, 1.0))
        return bands

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        plain = np.ones((6, 5))
        plain[:, 2] = -4.0
        expected = {
            "outlier_column_ratio": (4.0, 1e-12),
            "outlier_row_ratio": (1.0, 1e-12),
            "top_column_share": (16 / 20, 1e-12),
            "outlier_columns": (np.array([4.0, 1, 1, 1, 1]), 1e-12),
        }
        yield KnownCase("one column four times as large", plain, expected, "by hand")
        lone = np.zeros((6, 5))
        lone[0] = 1.0
        expected = {"outlier_row_ratio": Flag.rank_deficient, "outlier_column_ratio": (1.0, 1e-12)}
        yield KnownCase("one row that is not zero", lone, expected, "the median row norm is zero")


def _energies(matrix: np.ndarray | Factors) -> tuple[Float[np.ndarray, " in"], Float[np.ndarray, " out"]]:
    """Squared column and row norms, in units of the squared largest entry."""
    lowest, highest, _ = range_and_mean(matrix)
    peak = max(highest, -lowest)
    columns, rows = np.zeros(matrix.shape[1]), []
    for block in row_blocks(matrix):
        square = np.square(block / peak)
        columns += square.sum(axis=0)
        rows.append(square.sum(axis=1))
    return columns, np.concatenate(rows)


def _over_median(energies: Float[np.ndarray, " k"], what: str) -> Float[np.ndarray, " k"] | Refusal:
    """Norms over their median."""
    if len(energies) < LEAST:
        return Refusal(Flag.too_small, f"{len(energies)} {what} have no meaningful median")
    median = np.median(energies)
    if median == 0:
        return Refusal(Flag.rank_deficient, f"more than half of the {what} are zero")
    return np.sqrt(energies / median)


def _largest(ratios: Float[np.ndarray, " k"] | Refusal, n: int) -> Value | Refusal:
    return ratios if isinstance(ratios, Refusal) else Value(max(float(ratios.max()), 1.0), n=n)
