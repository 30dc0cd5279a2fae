"""The entries of a matrix as one population: their spread, their tails, and the largest.

What. entry_std: standard deviation of the entries (unit: weight). entry_kurtosis: fourth central moment over the
squared variance, minus 3; at least −2, no unit, 0 for normal entries. largest_entry: max |w − mean| in units of
entry_std. Divisor N, the number of entries.

Reads. A matrix, in row blocks.

Null. N independent normal entries: kurtosis 0 ± √(24/N); the largest |z| of N. The standard deviation sets the scale
and has none.

Fails when. All entries are equal. Heavy-tailed entries can come from a few large rows or columns of normal entries:
look at the outlier coordinates.

Reference. Variance of the sample kurtosis under normality [@fisher1930moments]; largest of N [@gumbel1958statistics,
§1.2].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Instrument, KnownCase, NullBand, Reading, Symmetry, Value, Variable
from gedanken.instruments.matrix._blocks import range_and_mean, row_blocks
from gedanken.instruments.nulls import law_band
from gedanken.kinds import Factors, Kind
from gedanken.status import Flag, Refusal
from gedanken.theory.laws import HalfNormal, LargestOf, Normal

ROUNDING = 1e-12
"""Range of the entries over the largest, below which they count as equal; the mean of 10⁹ entries is known to 1e-13."""


@final
@dataclass(frozen=True)
class EntryStatistics(Instrument):
    """Standard deviation, excess kurtosis and largest entry."""

    reads = Kind.matrix
    variables = (
        Variable(
            "entry_std",
            "s",
            "weight",
            "standard deviation of the entries",
            (0, None),
            degree=1,
            scale="log",
            no_null="it sets the scale of the null",
        ),
        Variable("entry_kurtosis", "γ₂", "1", "excess kurtosis of the entries", (-2, None)),
        Variable("largest_entry", "max|w|/s", "1", "largest |entry − mean| over entry_std", (1, None)),
    )
    symmetries = frozenset(
        {Symmetry.scale, Symmetry.sign, Symmetry.transpose, Symmetry.row_permutation, Symmetry.col_permutation}
    )

    def measure(self, array: Float[np.ndarray, "out in"] | Factors, rng: np.random.Generator) -> Reading:
        lowest, highest, mean = range_and_mean(array)
        peak = max(highest, -lowest)
        if highest - lowest <= ROUNDING * peak:
            raise Refusal(Flag.constant)
        n, second, fourth, largest = array.shape[0] * array.shape[1], 0.0, 0.0, 0.0
        for block in row_blocks(array):
            square = np.square((block - mean) / peak)  # in units of the peak: no square overflows or vanishes
            second += float(square.sum())
            largest = max(largest, float(square.max()))
            fourth += float(np.vdot(square, square))
        variance = second / n
        return {
            "entry_std": Value(peak * variance**0.5, n=n),
            "entry_kurtosis": Value(fourth / n / variance**2 - 3, n=n),
            "largest_entry": Value((largest / variance) ** 0.5, n=n),
        }

    def null(self, array: Float[np.ndarray, "out in"] | Factors, reading: Reading) -> dict[str, NullBand]:
        n = reading["entry_kurtosis"].n
        return {
            "entry_kurtosis": law_band(reading["entry_kurtosis"].value, Normal(0.0, (24 / n) ** 0.5)),
            "largest_entry": law_band(reading["largest_entry"].value, LargestOf(HalfNormal(), n)),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        signs = np.where(np.indices((12, 8)).sum(axis=0) % 2, 1.0, -1.0)
        expected = {"entry_std": (3.0, 1e-12), "entry_kurtosis": (-2.0, 1e-12), "largest_entry": (1.0, 1e-12)}
        yield KnownCase("a chessboard of ±3", 3 * signs, expected, "all distances from the mean are equal")
        one = np.zeros((10, 10))
        one[3, 4] = 1.0
        p = 0.01  # Bernoulli(p): variance p(1−p), excess kurtosis (1 − 6p(1−p))/(p(1−p)) [@johnson2005univariate]
        v = p * (1 - p)
        expected = {"entry_kurtosis": ((1 - 6 * v) / v, 1e-9), "largest_entry": ((1 - p) / v**0.5, 1e-12)}
        yield KnownCase("one entry", one, expected, "entries of a Bernoulli law with p = 1 %")
        n = 200 * 300
        expected = {"entry_std": (2.0, 10 / (2 * n) ** 0.5), "entry_kurtosis": (0.0, 5 * (24 / n) ** 0.5)}
        why = "five standard deviations: 2/√(2N) and √(24/N)"
        yield KnownCase("normal entries", 2 * rng.standard_normal((200, 300)), expected, why)
