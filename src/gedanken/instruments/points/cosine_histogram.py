"""The histogram of the pairwise cosines of a set of points, with that of random directions.

What. Per cent of pairs in each of 300 equal bins of the cosine on [−1, 1], against the middle of the bin. Drawn are the
bins between the 0.01 % and the 99.99 % point of the points or of the null, whichever reaches further; more than 60 are
averaged in neighbouring groups, so y stays the per cent of pairs per bin of 1/150.

Reads. Points, of which at most a bounded even sample is used (flag `sampled`); rows of norm zero are left out.

Null. Independent directions: (1 + c)/2 follows Beta((d−1)/2, (d−1)/2), and a bin's share p has variance p(1 − p)/N.

Fails when. There are fewer than two rows or coordinates.

Reference. Bins of the repository of [@guha2026representational]; law of the angle [@cai2013distributions].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float
from scipy import stats

from gedanken.instruments.base import OF_DIRECTIONS, Curve, Instrument, KnownCase, Reading, Variable
from gedanken.instruments.nulls import NORMAL_975
from gedanken.instruments.points._pairs import MOST, cosines_of
from gedanken.kinds import Kind

BINS = 300
"""On [−1, 1], as in the paper's code."""
DRAWN = 60
"""At most so many are kept, so that a page of them stays small."""
ENDS = (1e-4, 1 - 1e-4)
"""Shares of the pairs at which the drawn range ends."""


@final
@dataclass(frozen=True)
class CosineHistogram(Instrument):
    """Histogram of the pairwise cosines of a sample."""

    sample: int = MOST

    reads = Kind.points
    variables = (
        Variable(
            "cosine_histogram",
            "h(c)",
            "%",
            "per cent of pairs per 1/150 of the cosine, against the cosine",
            (0, 100),
            curve=True,
        ),
    )
    symmetries = OF_DIRECTIONS

    def measure(self, array: Float[np.ndarray, "n d"], rng: np.random.Generator) -> Reading:
        cosines = cosines_of(array, self.sample)
        n, pairs, flags = len(cosines.square), cosines.pairs, cosines.flags
        half = (array.shape[1] - 1) / 2
        edges = np.linspace(-1, 1, BINS + 1)
        # A cosine on a bin edge (0, ±1 exactly) must not fall to either side by rounding.
        below = np.searchsorted(pairs, edges[1:-1] - 1e-12)
        shares = np.diff(below, prepend=0, append=len(pairs)) / len(pairs)
        expected = np.diff(stats.beta.cdf((1 + edges) / 2, half, half))
        bins, size = _drawn(shares, expected)
        centres, shares, expected = (
            part[bins].reshape(-1, size).mean(axis=1) for part in ((edges[1:] + edges[:-1]) / 2, shares, expected)
        )
        wobble = NORMAL_975 * np.sqrt(expected * (1 - size * expected) / (len(pairs) * size))
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


def _drawn(*shares: Float[np.ndarray, " bins"]) -> tuple[slice, int]:
    """The bins between the end points of whichever histogram reaches further, and how many of them make one drawn bin.

    The slice begins and ends on drawn bins: 300 is a multiple of 1 to 5, and groups of 5 always suffice.
    """
    sums = [np.cumsum(each) for each in shares]
    first = min(int(np.searchsorted(total, ENDS[0])) for total in sums)
    last = min(max(int(np.searchsorted(total, ENDS[1])) for total in sums), BINS - 1)
    for size in range(1, 6):
        start, stop = first // size, last // size + 1
        if stop - start <= DRAWN:
            break
    return slice(start * size, stop * size), size
