"""Null bands whose law is a closed form."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gedanken.instruments.base import NullBand

GAUSSIAN_TWIN = "gaussian_twin"
NORMAL_975 = 1.959963984540054
"""97.5 % point of the standard normal law."""


def law_band(value: float, law: Any, change: Callable[[float], float] = float, null: str = GAUSSIAN_TWIN) -> NullBand:
    """The band of a variable that is an increasing function `change` of a quantity with the (frozen scipy) `law`.

    `value` is the measured quantity itself, before `change`; p is two-sided, twice the smaller tail.
    """
    low, median, high = (change(float(law.ppf(q))) for q in (0.025, 0.5, 0.975))
    p = min(1.0, 2 * float(min(law.cdf(value), law.sf(value))))
    return NullBand(null, median, low, high, p, 0)


@dataclass(frozen=True, slots=True)
class LargestOf:
    """The law of the largest of `count` independent draws from a (frozen scipy) law: F(x)^count, from tails."""

    law: Any
    count: float

    def ppf(self, q: float) -> float:
        return float(self.law.isf(-math.expm1(math.log(q) / self.count)))

    def cdf(self, x: float) -> float:
        return math.exp(self._log_cdf(x))

    def sf(self, x: float) -> float:
        return -math.expm1(self._log_cdf(x))

    def _log_cdf(self, x: float) -> float:
        tail = float(self.law.sf(x))
        return self.count * math.log1p(-tail) if tail < 1 else -math.inf
