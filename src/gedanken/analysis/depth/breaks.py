"""Change points of one profile: any number of levels with a penalty, and a change of distribution with a kernel."""

import numpy as np
from jaxtyping import Float


def levels(profile: Float[np.ndarray, " state"], shortest: int = 2, penalty: float | None = None) -> list[int]:
    """First index of each new level, by exact minimisation of squared error plus `penalty` per change.

    Dynamic programme over all segmentations [@bai1998estimating, §3]. By default the penalty is that of BIC, 2σ² ln n
    (a place and a level each), σ² half the mean squared difference of neighbours (median-based, so that a few jumps do
    not count).
    """
    n = len(profile)
    if penalty is None:
        # The median of |N(0, 2σ²)| is 0.6745·√2 σ.
        penalty = 2 * (float(np.median(np.abs(np.diff(profile)))) / (0.6745 * np.sqrt(2))) ** 2 * np.log(n)
    level = profile - profile.mean()
    sums, squares = (np.concatenate([[0.0], np.cumsum(part)]) for part in (level, level**2))
    cost, last = np.full(n + 1, np.inf), np.zeros(n + 1, int)
    cost[0] = -penalty
    for stop in range(shortest, n + 1):
        starts = np.arange(0, stop - shortest + 1)
        error = squares[stop] - squares[starts] - (sums[stop] - sums[starts]) ** 2 / (stop - starts)
        total = cost[starts] + error + penalty
        last[stop] = starts[np.argmin(total)]
        cost[stop] = total.min()
    found, stop = [], n
    while stop > 0 and last[stop] > 0:
        stop = int(last[stop])
        found.append(stop)
    return found[::-1]


def kernel(profile: Float[np.ndarray, " state"], shortest: int = 2) -> int:
    """First index of the second of two segments whose distributions differ most, by a Gaussian kernel.

    Least within-segment scatter in feature space [@arlot2019kernel, eq. 4]; bandwidth from the median squared distance.
    Raises ValueError if two segments of `shortest` states do not fit.
    """
    n = len(profile)
    if n < 2 * shortest:
        raise ValueError(f"{n} states hold no two segments of {shortest}")
    square = np.subtract.outer(profile, profile) ** 2
    apart = np.median(square[np.triu_indices(n, 1)])
    gram = np.exp(-square / (apart or 1.0))
    sums = np.zeros((n + 1, n + 1))
    sums[1:, 1:] = gram.cumsum(axis=0).cumsum(axis=1)
    breaks = np.arange(shortest, n - shortest + 1)
    second = sums[n, n] - sums[breaks, n] - sums[n, breaks] + sums[breaks, breaks]
    return int(breaks[np.argmax(sums[breaks, breaks] / breaks + second / (n - breaks))])
