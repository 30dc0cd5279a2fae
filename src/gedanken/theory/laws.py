"""A few laws of one variable, from scipy's special functions: frozen scipy distributions cost a hundred times a value.

Each has ppf and isf (quantiles by lower and upper tail), cdf and sf, and compares by its parameters.
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from scipy.special import gammainc, gammaincc, gammainccinv, gammaincinv, ndtr, ndtri


@runtime_checkable
class Law(Protocol):
    """What a null band needs of a distribution; frozen scipy distributions have it too."""

    def ppf(self, q: float) -> float: ...

    def isf(self, q: float) -> float: ...

    def cdf(self, x: float) -> float: ...

    def sf(self, x: float) -> float: ...


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal law of the given mean and standard deviation."""

    mean: float
    sd: float

    def ppf(self, q: float) -> float:
        return self.mean + self.sd * float(ndtri(q))

    def isf(self, q: float) -> float:
        return self.mean - self.sd * float(ndtri(q))

    def cdf(self, x: float) -> float:
        return float(ndtr((x - self.mean) / self.sd))

    def sf(self, x: float) -> float:
        return float(ndtr((self.mean - x) / self.sd))


@dataclass(frozen=True, slots=True)
class HalfNormal:
    """Law of |x| for a standard normal x."""

    def ppf(self, q: float) -> float:
        return float(ndtri((1 + q) / 2))

    def isf(self, q: float) -> float:
        return -float(ndtri(q / 2))

    def cdf(self, x: float) -> float:
        return 1 - self.sf(x)

    def sf(self, x: float) -> float:
        return 2 * float(ndtr(-max(x, 0.0)))


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """Law of the sum of `degrees` squared standard normal variables."""

    degrees: float

    def ppf(self, q: float) -> float:
        return 2 * float(gammaincinv(self.degrees / 2, q))

    def isf(self, q: float) -> float:
        return 2 * float(gammainccinv(self.degrees / 2, q))

    def cdf(self, x: float) -> float:
        return float(gammainc(self.degrees / 2, max(x, 0.0) / 2))

    def sf(self, x: float) -> float:
        return float(gammaincc(self.degrees / 2, max(x, 0.0) / 2))

    @property
    def median(self) -> float:
        return self.ppf(0.5)


@dataclass(frozen=True, slots=True)
class LargestOf:
    """Law of the largest of `count` independent draws from `law`: F(x)^count, computed from its upper tail."""

    law: Law
    count: float

    def ppf(self, q: float) -> float:
        return float(self.law.isf(-math.expm1(math.log(q) / self.count)))

    def isf(self, q: float) -> float:
        return float(self.law.isf(-math.expm1(math.log1p(-q) / self.count)))

    def cdf(self, x: float) -> float:
        return math.exp(self._log_cdf(x))

    def sf(self, x: float) -> float:
        return -math.expm1(self._log_cdf(x))

    def _log_cdf(self, x: float) -> float:
        tail = float(self.law.sf(x))
        return self.count * math.log1p(-tail) if tail < 1 else -math.inf
