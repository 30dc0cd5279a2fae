"""Intrinsic dimension from ratios of neighbour distances: the law of the ratio, and its maximum-likelihood dimension.

If density is uniform out to the 2k-th neighbour, μ = r_{2k}/r_k has density
D(μ^D − 1)^{k−1}/(μ^{(2k−1)D+1} B(k, k)) for μ ≥ 1 [@denti2022generalized, eq. 7]; for k = 1 it is Pareto, D μ^{−D−1}
[@facco2017estimating, eq. 3]. Everything is in terms of x = ln μ.
"""

import math

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import brentq

from gedanken.theory.lapack import gram, mirror

SCALES = (1, 2, 4, 8, 16, 32)
"""k: octaves of the number of neighbours."""

BLOCK = 64
"""Rows whose distances to all others are handled together: a megabyte for 2,048."""


def ball(n: int, d: int, rng: np.random.Generator) -> Float[np.ndarray, "n d"]:
    """n points uniform in the unit ball of d dimensions."""
    points = rng.standard_normal((n, d))
    return points * (rng.uniform(size=(n, 1)) ** (1 / d) / np.linalg.norm(points, axis=1, keepdims=True))


def neighbour_distances(
    points: Float[np.ndarray, "n d"], count: int, group: Int[np.ndarray, " n"] | None = None
) -> Float[np.ndarray, "n count"]:
    """Distances to the `count` nearest other points, ascending; with `group`, to those of other groups.

    From n × n products in float64: for a few thousand points. Squared distances are good to a float32 rounding, those
    below about 1e−16 of the largest squared norm are rounding: centre the points first. Raises ValueError if a point
    has fewer neighbours.
    """
    products = gram(np.ascontiguousarray(points).T)
    mirror(products)
    lengths = np.sqrt(np.diagonal(products))
    return distances_from(products, np.ones_like(lengths), lengths, count, group)


def distances_from(
    products: Float[np.ndarray, "n n"],
    factors: Float[np.ndarray, " n"],
    lengths: Float[np.ndarray, " n"],
    count: int,
    group: Int[np.ndarray, " n"] | None = None,
    chosen: Int[np.ndarray, " k"] | None = None,
) -> Float[np.ndarray, "k count"]:
    """`neighbour_distances` of points whose inner products are products_ij factors_i factors_j, the diagonal aside (cosines
    and lengths, or products and ones), and whose norms are `lengths`; of the chosen points among themselves."""
    scale = float(lengths.max(initial=0.0)) or 1.0
    norms, factors = (lengths / scale) ** 2, factors / scale
    group = np.arange(len(products)) if group is None else group
    chosen = np.arange(len(products)) if chosen is None else chosen
    left_out, found = np.delete(np.arange(len(products)), chosen), np.empty((len(chosen), count))
    for start in range(0, len(chosen), BLOCK):
        rows = chosen[start : start + BLOCK]
        square = products[rows]
        square *= -2 * factors[rows, None]
        square *= factors
        square += norms
        square += norms[rows, None]
        square[group[rows, None] == group] = np.inf
        square[:, left_out] = np.inf
        nearest = square.astype(np.float32)
        nearest = np.partition(nearest, count - 1, axis=1)[:, :count] if count <= len(products) else nearest
        nearest.sort(axis=1)
        if nearest.shape[1] < count or not np.isfinite(nearest[:, -1]).all():
            raise ValueError(f"a point has fewer than {count} neighbours")
        # Distinct points closer than rounding are set at its edge, so that ratios stay finite.
        least = np.finfo(float).eps * np.maximum(norms[rows, None], np.finfo(float).tiny)
        found[start : start + BLOCK] = scale * np.sqrt(np.maximum(nearest, least))
    return found


def two_nn(x: Float[np.ndarray, " n"]) -> float:
    """(N − 1)/Σ ln μ, without bias [@denti2022generalized, eq. 4]. Raises ValueError if no ratio exceeds 1."""
    total = float(np.sum(x))
    if total <= 0:
        raise ValueError("every neighbour is as far as the next")
    return (len(x) - 1) / total


def two_nn_slope(x: Float[np.ndarray, " n"], keep: float = 0.9) -> float:
    """Slope through the origin of −ln(1 − F(μ)) on ln μ without the top tenth [@facco2017estimating, §Methods]."""
    x = np.sort(x)
    kept = x[: int(keep * len(x))]
    y = -np.log1p(-np.arange(1, len(kept) + 1) / len(x))
    return float(kept @ y / (kept @ kept))


def gride(x: Float[np.ndarray, " n"], k: int) -> float:
    """Maximum-likelihood D from x = ln(r_{2k}/r_k). Raises ValueError if no ratio exceeds 1.

    The score falls from +∞ to −∞ in D: its root is sought in ln D.
    """
    if k == 1:
        return two_nn(x)
    if not np.any(x > 0):
        raise ValueError("every neighbour is as far as the next")
    # A zero ratio is a tie: below any resolution, not evidence of infinite dimension.
    x = np.maximum(x, np.finfo(float).eps)
    low, high = math.log(1e-3 / float(x.mean())), math.log(1e3 * k / float(x.mean()))
    return math.exp(brentq(lambda log: float(gride_score(x, k, math.exp(log))[0].sum()), low, high, xtol=1e-14))


def gride_score(x: Float[np.ndarray, " n"], k: int, d: float) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivative in D of each point's log-likelihood, at D = d.

    For k = 1 the score is that of which (N − 1)/Σx is the root.
    """
    n = len(x)
    if k == 1:
        return (n - 1) / n / d - x, np.full(n, -(n - 1) / n / d**2)
    x = np.maximum(x, np.finfo(float).eps)
    # μ^D/(μ^D − 1) = 1/(1 − e^{−Dx}).
    inverse = -1 / np.expm1(-d * x)
    first = 1 / d + x * ((k - 1) * inverse - (2 * k - 1))
    return first, -1 / d**2 - (k - 1) * x**2 * inverse * (inverse - 1)


def plateau(dimensions: Float[np.ndarray, " scale"], spread: float, least: int = 3) -> slice | None:
    """The first run of at least `least` successive scales whose values lie within a relative `spread` of each other,
    made as long as it goes; None if there is none."""
    logs = np.log(dimensions)
    for start in range(len(logs) - least + 1):
        stop = start + least
        if np.ptp(logs[start:stop]) > math.log1p(spread):
            continue
        while stop < len(logs) and np.ptp(logs[start : stop + 1]) <= math.log1p(spread):
            stop += 1
        return slice(start, stop)
    return None
