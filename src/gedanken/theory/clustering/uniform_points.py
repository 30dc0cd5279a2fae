"""Interaction energy and mode power of n independent uniform points on S^{d−1}: the state without structure.

Off-diagonal sums over pairs are degenerate U-statistics: one point alone says nothing of another, so their variance is
of order 1/n² and their law a weighted sum of χ² [@hoeffding1948class, §5; @serfling1984generalized]. The first three
moments are exact sums over degrees of the kernel; a shifted χ² that has them stands for the law.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from gedanken.theory.gegenbauer import log_coefficients, log_harmonic_dimension, log_mean_kernel
from gedanken.theory.laws import ChiSquare, Law, Normal

MANY = 1e7
"""Degrees of freedom beyond which χ² is normal to 1/√m = 3e−4 of its spread."""


@dataclass(frozen=True, slots=True)
class ShiftedChiSquare:
    """Law of mean + sd·(χ²_m − m)/√(2m)."""

    mean: float
    sd: float
    degrees: float

    def ppf(self, q: float) -> float:
        return self._value(ChiSquare(self.degrees).ppf(q))

    def isf(self, q: float) -> float:
        return self._value(ChiSquare(self.degrees).isf(q))

    def cdf(self, x: float) -> float:
        return ChiSquare(self.degrees).cdf(self._chi(x))

    def sf(self, x: float) -> float:
        return ChiSquare(self.degrees).sf(self._chi(x))

    def _value(self, chi: float) -> float:
        return self.mean + self.sd * (chi - self.degrees) / math.sqrt(2 * self.degrees)

    def _chi(self, value: float) -> float:
        return self.degrees + (value - self.mean) / self.sd * math.sqrt(2 * self.degrees)


@dataclass(frozen=True)
class UniformEnergy:
    """2βe^{−β}E = (1/n²) Σ_ij e^{β(x_i·x_j − 1)} of n ≥ 2 uniform points on S^{d−1}, β > 0."""

    beta: float
    d: int
    n: int

    @property
    def mean(self) -> float:
        """1/n + (1 − 1/n) e^{−β} a_0, exact."""
        return 1 / self.n + (1 - 1 / self.n) * math.exp(log_mean_kernel(self.beta, self.d) - self.beta)

    @cached_property
    def sd(self) -> float:
        """√(2(n−1)/n³ · e^{−2β}(a_0(2β) − a_0(β)²)), exact."""
        return math.sqrt(2 * (self.n - 1) / self.n**3 * self._kernel_variance)

    @property
    def law(self) -> Law:
        """χ² shifted to the exact mean, variance and third moment; normal in many dimensions."""
        degrees = 8 / self._skewness**2 if self._skewness > 0 else math.inf
        return ShiftedChiSquare(self.mean, self.sd, degrees) if degrees < MANY else Normal(self.mean, self.sd)

    @cached_property
    def _kernel_variance(self) -> float:
        """of e^{β(c − 1)} over c."""
        double = log_mean_kernel(2 * self.beta, self.d)
        gap = 2 * log_mean_kernel(self.beta, self.d) - double
        return -math.expm1(min(gap, 0.0)) * math.exp(double - 2 * self.beta)

    @cached_property
    def _skewness(self) -> float:
        """8[n(n−1)/2 E h³ + n(n−1)(n−2) Σ_ℓ dim_ℓ a_ℓ³]/(n²sd)³, h = e^{β(c−1)} less its mean, a_ℓ in units of e^β."""
        first, second, third = (math.exp(log_mean_kernel(k * self.beta, self.d) - k * self.beta) for k in (1, 2, 3))
        cube = third - 3 * first * second + 2 * first**3
        most = 6 + int(math.sqrt(74 * self.beta))  # a_ℓ < 1e−16 a_0 beyond
        dimensions = np.array([log_harmonic_dimension(k, self.d) for k in range(1, most + 1)])
        loop = np.sum(np.exp(3 * (log_coefficients(self.beta, self.d, most)[1:] - self.beta) + dimensions))
        n = self.n
        moment = 8 * (n * (n - 1) / 2 * cube + n * (n - 1) * (n - 2) * loop)
        scale = (n**2 * self.sd) ** 3
        return float(moment / scale) if scale > 0 else 0.0


def power_law(degree: int, d: int, n: int) -> Law:
    """The power per component of one degree, (1/n²) Σ_ij G_ℓ(x_i·x_j): mean 1/n and variance 2(n−1)/(n³ dim_ℓ), exact.

    A χ² of dim_ℓ degrees of freedom: the squared norm of dim_ℓ nearly normal means.
    """
    log = log_harmonic_dimension(degree, d)
    sd = math.sqrt(2 * (n - 1) / n**3) * math.exp(-log / 2)
    return ShiftedChiSquare(1 / n, sd, math.exp(log)) if log < math.log(MANY) else Normal(1 / n, sd)


def power_band(most: int, d: int, n: int) -> tuple[Float[np.ndarray, " degrees"], Float[np.ndarray, " degrees"]]:
    """2.5 % and 97.5 % points of the power of degrees 1 … most; never below 0."""
    laws = [power_law(degree, d, n) for degree in range(1, most + 1)]
    low, high = (np.array([law.ppf(q) for law in laws]) for q in (0.025, 0.975))
    return np.maximum(low, 0.0), high
