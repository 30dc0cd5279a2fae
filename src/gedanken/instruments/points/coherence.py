"""The largest overlap between two of the points.

What. coherence = max over pairs i < j of |cos|, in [0, 1], no unit: the statistic that packing formulas are fitted on.
On a sample it is a lower bound for the whole set and grows with the sample; n is the number of rows it was taken over.

Reads. Points, of which at most a bounded even sample is used (flag `sampled`), or with sample = 0 every one, at the
price of all pairs by blocks; rows of norm zero are left out (flag `zero_rows`).

Null. The largest of N = n(n−1)/2 independent pairs of directions, each cos² following Beta(½, (d−1)/2).

Fails when. There are fewer than two rows or coordinates. One pair of near-duplicate rows decides it.

Reference. Mutual coherence [@welch1974lower]; law of the angle [@cai2013distributions].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
from jaxtyping import Float
from scipy import stats

from gedanken.instruments.base import OF_DIRECTIONS, Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.nulls import law_band
from gedanken.instruments.points._pairs import MOST, cosines_of, directions
from gedanken.kinds import Kind
from gedanken.theory.coherence import largest_overlap
from gedanken.theory.laws import LargestOf

# Freezing a distribution takes a millisecond, and the places of a scan share their dimension.
_beta = lru_cache(maxsize=256)(stats.beta)


@final
@dataclass(frozen=True)
class Coherence(Instrument):
    """max |cos| over the pairs of a sample."""

    sample: int = MOST
    """Rows used at most; 0 for all."""

    reads = Kind.points
    variables = (
        Variable("coherence", "max|c|", "1", "largest |cos| of a sampled pair", (0, 1), aliases=("mutual_coherence",)),
    )
    symmetries = OF_DIRECTIONS

    def measure(self, array: Float[np.ndarray, "n d"], rng: np.random.Generator) -> Reading:
        if self.sample:
            cosines = cosines_of(array, self.sample)
            largest = float(max(cosines.pairs[-1], -cosines.pairs[0]))
            return {"coherence": Value(largest, n=len(cosines.square), flags=cosines.flags)}
        rows, flags = directions(array, None)
        return {"coherence": Value(min(largest_overlap(rows), 1.0), n=len(rows), flags=flags)}

    def null(self, array: Float[np.ndarray, "n d"], reading: Reading) -> dict[str, NullBand]:
        found = reading["coherence"]
        square = LargestOf(_beta(0.5, (array.shape[1] - 1) / 2), found.n * (found.n - 1) / 2)
        return {"coherence": law_band(found.value**2, square, np.sqrt)}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        d = 16
        simplex = np.eye(d + 1) - 1 / (d + 1)
        yield KnownCase("simplex", simplex, {"coherence": (1 / d, 1e-12)}, "every cosine is −1/d")
        yield KnownCase("opposite rows", np.array([[1.0, 2.0], [-2.0, -4.0]]), {"coherence": (1.0, 1e-12)}, "cos = −1")
        yield KnownCase("orthonormal rows", np.eye(d), {"coherence": (0.0, 0.0)}, "every cosine is 0")
