"""The histogram of the pairwise cosines of a set of points, with that of random directions.

What. Per cent of pairs in each of 300 equal bins of the cosine on [−1, 1], against the middle of the bin. Drawn are the
bins between the 0.01 % and the 99.99 % point of the points or of the null, whichever reaches further; more than 60 are
averaged in neighbouring groups, so y stays the per cent of pairs per bin of 1/150.

Reads. Points, of which at most a bounded even sample is used (flag `sampled`); rows of norm zero are left out.

Null. Independent directions: (1 + c)/2 follows Beta((d−1)/2, (d−1)/2), and a bin's share p has variance p(1 − p)/N.

Fails when. There are fewer than two rows or coordinates.

Reference. Bins of the repository of [@guha2026representational]; law of the angle [@cai2013distributions, eq. 5].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float
from scipy import stats

from gedanken.instruments.base import OF_DIRECTIONS, Curve, Instrument, KnownCase, Reading, Variable
from gedanken.instruments.closed_nulls import NORMAL_975
from gedanken.instruments.points._pairs import MOST, cosine_matrix, upper
from gedanken.kinds import Kind

BINS = 300
DRAWN = 60
ENDS = (1e-4, 1 - 1e-4)


@final
@dataclass(frozen=True)
class CosineHistogram(Instrument):
    """Histogram of the pairwise cosines of a sample."""

    sample: int = MOST

    reads = Kind.points
    variables = (
        Variable(
            "cosine_histogram", "h(c)", "%", "per cent of pairs per 1/150 of the cosine, against the cosine", (0, 100), curve=True
        ),
    )
    symmetries = OF_DIRECTIONS

    def measure(self, array: Float[np.ndarray, "n d"], rng: np.random.Generator) -> Reading:
        cosines, flags = cosine_matrix(array, self.sample)
        n, pairs = len(cosines), upper(cosines)
        half = (array.shape[1] - 1) / 2
        edges = np.linspace(-1, 1, BINS + 1)
        # A cosine on a bin edge (0, ±1 exactly) must not fall to either side by rounding.
        shares = np.histogram(np.round(pairs, 12), edges)[0] / len(pairs)
        expected = np.diff(stats.beta.cdf((1 + edges) / 2, half, half))
        bins = _drawn(shares, expected)
        centres, shares, expected = (_thinned(part[bins]) for part in ((edges[1:] + edges[:-1]) / 2, shares, expected))
        merged = np.ceil((bins.stop - bins.start) / len(centres))
        wobble = NORMAL_975 * np.sqrt(expected * (1 - expected) / (len(pairs) * merged))
        low, high = np.maximum(expected - wobble, 0), expected + wobble
        curve = Curve(centres, 100 * shares, null_low=100 * low, null_high=100 * high, n=n, flags=flags)
        return {"cosine_histogram": curve}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        d = 3000
        # The null reaches 4/√d to either side of 0, the rows' cosines are all 0: eleven bins on each side.
        reach = int(np.ceil(stats.beta.isf(1e-4, (d - 1) / 2, (d - 1) / 2) * BINS - BINS / 2))
        heights = np.zeros(2 * reach)
        heights[reach] = 100.0
        yield KnownCase("orthonormal rows", np.eye(8, d), {"cosine_histogram": (heights, 1e-12)}, "every cosine is 0")


def _drawn(*shares: Float[np.ndarray, " bins"]) -> slice:
    """The bins between the end points of whichever histogram reaches further."""
    sums = [np.cumsum(each) for each in shares]
    first = min(int(np.searchsorted(total, ENDS[0])) for total in sums)
    last = max(int(np.searchsorted(total, ENDS[1])) for total in sums)
    return slice(first, min(last, BINS - 1) + 1)


def _thinned(values: Float[np.ndarray, " bins"]) -> Float[np.ndarray, " drawn"]:
    """Means over neighbouring groups, as few to a group as leave at most DRAWN; a short last group is averaged as it is."""
    size = -(-len(values) // DRAWN)
    return np.array([values[start : start + size].mean() for start in range(0, len(values), size)])
