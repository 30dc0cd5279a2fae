"""Quantiles of millions of values at a few levels, without sorting them."""

import numpy as np
from jaxtyping import Float

BINS = 4096
"""Of which a few dozen hold an order statistic that is sought: about one value in a hundred is sorted."""

STRETCH = 2**15
"""Values binned at a time, which stay in the cache."""


def quantiles(values: Float[np.ndarray, " n"], levels: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """Linear between order statistics, exactly: equal bins are counted, and those that hold one that is sought sorted.

    Values are finite. A third of the time of a partition at all levels at once, for two million values.
    """
    place = levels * (len(values) - 1)
    below = np.floor(place).astype(int)
    wanted = np.stack([below, np.minimum(below + 1, len(values) - 1)])
    low, high = values.min(), values.max()
    width = high - low if high > low else 1.0
    stretches = [values[start : start + STRETCH] for start in range(0, len(values), STRETCH)]
    # Rounding is monotonic: no value comes to stand in a lower bin than a smaller one.
    bins, counts = [], np.zeros(BINS + 1, int)
    for stretch in stretches:
        found = ((stretch - low) / width * BINS).astype(np.intp)
        bins.append(found.astype(np.int16))
        counts += np.bincount(found, minlength=BINS + 1)
    at = np.searchsorted(np.cumsum(counts), wanted, side="right")
    chosen = np.zeros(len(counts), bool)
    chosen[at] = True
    skipped = np.cumsum(np.where(chosen, 0, counts))[at]
    kept = np.concatenate([stretch[chosen[found]] for stretch, found in zip(stretches, bins, strict=True)])
    first, second = np.sort(kept)[wanted - skipped]
    return first + (place - below) * (second - first)
