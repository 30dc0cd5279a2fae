"""The Marchenko–Pastur law: eigenvalues of white noise, and the noise scale fitted to the bulk of a spectrum.

For a matrix of n × d independent entries of variance s², the eigenvalues of XᵀX/n follow, for large n and d with
d/n = a fixed, a law on s²(1 ± √a)² [@marchenko1967distribution; @bai2010spectral, §3.1]. For a > 1 it has an atom 1 − 1/a at
zero. `aspect` is a and `variance` s² throughout. A weight matrix has the eigenvalues λ = σ² of WᵀW = n·(XᵀX/n) with
n = max(rows, cols) and a = min/max.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq

ROUNDS = 20
"""Most rounds of the bulk fit (latent-object-permanence, §2.2)."""


def edges(aspect: float, variance: float = 1.0) -> tuple[float, float]:
    """Lower and upper end of the continuous part, variance·(1 ∓ √aspect)². Raises ValueError unless both are positive."""
    if not (aspect > 0 and variance > 0):
        raise ValueError(f"aspect and variance must be positive, got {aspect} and {variance}")
    root = math.sqrt(aspect)
    return variance * (1 - root) ** 2, variance * (1 + root) ** 2


def density(x: Float[np.ndarray, "*k"], aspect: float, variance: float = 1.0) -> Float[np.ndarray, "*k"]:
    """Density of the continuous part, of mass min(1, 1/aspect) [@bai2010spectral, eq. 3.1.1]."""
    low, high = edges(aspect, variance)
    inside = np.maximum((high - x) * (x - low), 0.0)
    return np.divide(np.sqrt(inside), 2 * np.pi * aspect * variance * x, out=np.zeros_like(inside), where=inside > 0)


def cdf(x: Float[np.ndarray, "*k"], aspect: float, variance: float = 1.0) -> Float[np.ndarray, "*k"]:
    """Share of eigenvalues at or below x, the atom at zero included for aspect > 1.

    The integral of the density in closed form; every arctangent is taken of two lengths, so that the ends of the
    support need no care.
    """
    x = np.asarray(x, dtype=float)
    if aspect > 1:
        # The non-zero eigenvalues are those of the transposed matrix, rescaled.
        return np.where(x < 0, 0.0, 1 - (1 - cdf(x, 1 / aspect, aspect * variance)) / aspect)
    low, high = edges(aspect, variance)
    inner = np.clip(x, low, high)
    above, below = high - inner, inner - low
    root = np.sqrt(above * below)
    angle = np.arctan2(above - below, 2 * root)
    area = root / variance + np.pi * aspect - (1 + aspect) * angle
    if aspect < 1:
        area += (1 - aspect) * np.arctan2(low * above - high * below, 2 * variance * (1 - aspect) * root)
    else:
        area += 0.0
    return np.clip(area / (2 * np.pi * aspect), 0.0, 1.0)


def quantile(p: Float[np.ndarray, "*k"], aspect: float, variance: float = 1.0) -> Float[np.ndarray, "*k"]:
    """x with cdf(x) = p among the *positive* eigenvalues (for aspect > 1, without the atom), by bisection."""
    p = np.asarray(p, dtype=float)
    if aspect > 1:
        return quantile(p, 1 / aspect, aspect * variance)
    ends = edges(aspect, variance)
    low, high = np.full(p.shape, ends[0]), np.full(p.shape, ends[1])
    # Each halving gains one bit; 60 exhaust a double over the width of the support.
    for _ in range(60):
        middle = (low + high) / 2
        smaller = cdf(middle, aspect, variance) < p
        low, high = np.where(smaller, middle, low), np.where(smaller, high, middle)
    return (low + high) / 2


@lru_cache(maxsize=4096)
def median(aspect: float) -> float:
    """Median of the positive eigenvalues at unit variance."""
    if aspect > 1:
        return aspect * median(1 / aspect)
    return brentq(lambda x: float(cdf(np.array([x]), aspect)[0]) - 0.5, *edges(aspect), xtol=1e-14)


@dataclass(frozen=True, slots=True)
class BulkFit:
    """Noise fitted to a spectrum: variance of an entry, upper edge of λ, number of values above it, rounds taken."""

    variance: float
    edge: float
    outliers: int
    rounds: int


def fit_bulk(eigenvalues: Float[np.ndarray, " k"], rows: int, cols: int) -> BulkFit:
    """Entry variance of the noise under a spectrum, from the median of its bulk.

    `eigenvalues` are the positive λ = σ² of a rows × cols matrix, in any order. The median of the bulk over the
    law's median gives the variance; values above the edge are dropped and the fit repeated until their number
    repeats, at most ROUNDS times (latent-object-permanence, §2.2). Dropped values bias the median down slightly.
    Raises ValueError without positive eigenvalues.
    """
    ascending = np.sort(eigenvalues)
    if not len(ascending) or ascending[0] <= 0:
        raise ValueError("a bulk is fitted to positive eigenvalues")
    long, short = max(rows, cols), min(rows, cols)
    aspect = short / long
    kept = len(ascending)
    for taken in range(1, ROUNDS + 1):
        middle = (ascending[(kept - 1) // 2] + ascending[kept // 2]) / 2
        variance = float(middle) / (long * median(aspect))
        edge = long * edges(aspect, variance)[1]
        below = int(np.searchsorted(ascending, edge, side="right"))
        if below == kept or below == 0:
            break
        kept = below
    return BulkFit(variance, edge, len(ascending) - below, taken)


def ks_distance(eigenvalues: Float[np.ndarray, " k"], rows: int, cols: int, variance: float) -> float:
    """sup |empirical CDF − law| of the eigenvalues at or below the upper edge, the law being that of all of them.

    Both sides of each step count. Raises ValueError if no eigenvalue lies below the edge.
    """
    long, short = max(rows, cols), min(rows, cols)
    aspect = short / long
    bulk = np.sort(eigenvalues)
    bulk = bulk[bulk <= long * edges(aspect, variance)[1]]
    if not len(bulk):
        raise ValueError("no eigenvalue lies below the edge")
    law = cdf(bulk / long, aspect, variance)
    steps = np.arange(len(bulk) + 1) / len(bulk)
    return float(max(np.max(law - steps[:-1]), np.max(steps[1:] - law)))


def singular_value_density(
    sigma: Float[np.ndarray, " k"], rows: int, cols: int, variance: float
) -> Float[np.ndarray, " k"]:
    """Density in σ of the singular values of a rows × cols matrix with entry variance `variance`; unit 1/weight."""
    long, short = max(rows, cols), min(rows, cols)
    return density(sigma**2 / long, short / long, variance) * 2 * sigma / long


def singular_value_cdf(
    sigma: Float[np.ndarray, " k"], rows: int, cols: int, variance: float
) -> Float[np.ndarray, " k"]:
    """Share of the singular values of such a matrix at or below σ."""
    long, short = max(rows, cols), min(rows, cols)
    return cdf(np.asarray(sigma) ** 2 / long, short / long, variance)


def hard_threshold(rows: int, cols: int) -> float:
    """The optimal cut ω(β) on singular values, in units of their median, for unknown noise [@gavish2014optimal, eq. 5].

    The published cubic, within 0.02 of the exact value for every aspect β = min/max.
    """
    beta = min(rows, cols) / max(rows, cols)
    return 0.56 * beta**3 - 0.95 * beta**2 + 1.82 * beta + 1.43
