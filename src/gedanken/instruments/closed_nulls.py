"""Null bands whose law is a closed form."""

from collections.abc import Callable

from gedanken.instruments.base import NullBand

GAUSSIAN_TWIN = "gaussian_twin"


def law_band(value: float, law, change: Callable[[float], float] = float, null: str = GAUSSIAN_TWIN) -> NullBand:
    """The band of a variable that is an increasing function `change` of a quantity with the (frozen scipy) `law`.

    `value` is the measured quantity itself, before `change`; p is two-sided, twice the smaller tail.
    """
    low, median, high = (change(float(law.ppf(q))) for q in (0.025, 0.5, 0.975))
    p = min(1.0, 2 * float(min(law.cdf(value), law.sf(value))))
    return NullBand(null, median, low, high, p, 0)
