"""All pairwise cosines of n directions, without forming a pair.

For unit vectors u_i with S = Σ u_i and M = Σ u_i u_iᵀ, over the N = n(n−1)/2 pairs i < j:

    mean        μ = (‖S‖² − n) / (n(n−1))
    mean square q = (‖M‖_F² − n) / (n(n−1)),    spread σ = √(q − μ²),    edge ε = μ + zσ

because ‖S‖² and ‖M‖_F² are the sums of c_ij and c_ij² over all ordered pairs, the n pairs i = j included.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import stats


@dataclass(frozen=True, slots=True)
class PairCosines:
    """Mean and mean square of the cosines of all unordered pairs of n directions."""

    n: int
    mean: float
    square: float

    @property
    def spread(self) -> float:
        """Standard deviation over the pairs (divisor N); zero where q − μ² is within its rounding, 16 eps of each term.

        The terms are ‖S‖² and ‖M‖_F² with the n that is taken from them: without this, equal cosines would have a
        spread of √eps.
        """
        diagonal = 1 / (self.n - 1)
        terms = self.square + diagonal + 2 * abs(self.mean) * (abs(self.mean) + diagonal)
        variance = self.square - self.mean**2
        return math.sqrt(variance) if variance > 16 * np.finfo(float).eps * terms else 0.0

    def edge(self, z: float = 2.0) -> float:
        """ε = μ + zσ."""
        return self.mean + z * self.spread


def pair_cosines(n: int, sum_square: float, second_square: float) -> PairCosines:
    """From n ≥ 2, ‖S‖² and ‖M‖_F²."""
    return PairCosines(n, (sum_square - n) / (n * (n - 1)), (second_square - n) / (n * (n - 1)))


@dataclass(frozen=True, slots=True)
class Errors:
    """Standard errors of the statistics of all pairs, for another draw of such rows, from an even sample of s ≥ 2 rows.

    `a` and `b` are the means of row i's cosines and squared cosines with all others. The first-order influence of a
    row on μ is 2(a_i − μ), on q 2(b_i − q), and so on ε = μ + zσ it is h_i = 2[(a_i − μ)(1 − zμ/σ) + (z/2)(b_i − q)/σ].

    A mean over pairs has one term of variance per row, of order 1/n, and one per pair, of order 1/n²; var(h)/n holds the
    first once and the second twice [@hoeffding1948class, §5]. The second is all there is for isotropic random rows. It
    is taken here as if the cosines were normal; σ²/N for μ then is exact, N = n(n−1)/2. sd(h) from s rows has a
    relative error of about 1/√(2s).
    """

    pairs: PairCosines
    a: Float[np.ndarray, " s"]
    b: Float[np.ndarray, " s"]

    def mean(self) -> float:
        """of μ."""
        return self._error(2 * (self.a - self.pairs.mean), self.pairs.spread**2)

    def square(self) -> float:
        """of q; c² − q = 2μσt + σ²(t² − 1) for a standard normal t."""
        mu, sigma = self.pairs.mean, self.pairs.spread
        return self._error(2 * (self.b - self.pairs.square), 4 * mu**2 * sigma**2 + 2 * sigma**4)

    def spread(self) -> float:
        """of σ."""
        return self._combined(0.0, 1.0)

    def edge(self, z: float = 2.0) -> float:
        """of ε = μ + zσ."""
        return self._combined(1.0, z)

    def _combined(self, of_mean: float, of_spread: float) -> float:
        """of a weighted sum of μ and σ, whose normal pair term is (σt, σ(t² − 1)/2)."""
        mu, sigma = self.pairs.mean, self.pairs.spread
        if sigma == 0:
            return abs(of_mean) * self.mean()
        gain = (of_mean - of_spread * mu / sigma, of_spread / (2 * sigma))
        h = 2 * (gain[0] * (self.a - mu) + gain[1] * (self.b - self.pairs.square))
        return self._error(h, sigma**2 * (of_mean**2 + of_spread**2 / 2))

    def _error(self, h: Float[np.ndarray, " s"], of_a_pair: float) -> float:
        n = self.pairs.n
        per_pair = of_a_pair / (n * (n - 1) / 2)
        return math.sqrt(max(float(np.var(h, ddof=1)) / n - per_pair, per_pair))


def errors(pairs: PairCosines, along: Float[np.ndarray, " s"], quadratic: Float[np.ndarray, " s"]) -> Errors:
    """From u_i·S and u_iᵀ M u_i of s of the n rows."""
    return Errors(pairs, (along - 1) / (pairs.n - 1), (quadratic - 1) / (pairs.n - 1))


# Freezing a distribution takes a millisecond, and the places of a scan share their shape.
_norm, _chi, _chi2 = (lru_cache(maxsize=256)(law) for law in (stats.norm, stats.chi, stats.chi2))


@dataclass(frozen=True, slots=True)
class GaussianTwin:
    """The same statistics for n independent normal rows in d dimensions. Cosines of distinct pairs are uncorrelated.

    E c = 0, E c² = 1/d, E c⁴ = 3/(d(d+2)): moments of Beta(½, (d−1)/2) for c².
    """

    n: int
    d: int

    @property
    def pairs(self) -> float:
        return self.n * (self.n - 1) / 2

    def mean(self):
        """μ: (χ²_d/d − 1)/√(n(n−1)), the law of ‖S‖² for n ≫ 1, with the exact mean 0 and variance 1/(Nd)."""
        scale = 1 / math.sqrt(self.n * (self.n - 1))
        return _chi2(self.d, loc=-scale, scale=scale / self.d)

    def square(self):
        """q: normal, with the exact mean 1/d and variance 2(d−1)/(d²(d+2)N)."""
        d = self.d
        return _norm(1 / d, math.sqrt(2 * (d - 1) / (d**2 * (d + 2) * self.pairs)))

    def spread(self):
        """σ: normal about 1/√d, from q by the delta method: sd ≈ 1/√(2dN)."""
        return _norm(1 / math.sqrt(self.d), self.square().std() * math.sqrt(self.d) / 2)

    def edge(self, z: float = 2.0):
        """ε: normal about ε₀ = z/√d, with sd ≈ √(3/(Nd)) at z = 2."""
        return _norm(z / math.sqrt(self.d), math.hypot(self.mean().std(), z * self.spread().std()))

    def polarization(self):
        """R = ‖S‖/n: χ_d/√(nd)."""
        return _chi(self.d, scale=1 / math.sqrt(self.n * self.d))


QUANTISATION_NOISE = 0.08
"""Largest relative noise η of a row stored in the common 4-bit block formats (8-bit blocks: 0.006)."""


def without_quantisation_noise(pairs: PairCosines, d: int, noise: float = QUANTISATION_NOISE) -> PairCosines:
    """The cosines before isotropic noise of relative size η was added to every row.

    Inverts μ' = μ/(1+η²) and σ'² = (σ² + (2η² + η⁴)/d)/(1+η²)².
    """
    grown = 1 + noise**2
    mean = pairs.mean * grown
    variance = (pairs.spread * grown) ** 2 - (2 * noise**2 + noise**4) / d
    return PairCosines(pairs.n, mean, max(variance, 0.0) + mean**2)
