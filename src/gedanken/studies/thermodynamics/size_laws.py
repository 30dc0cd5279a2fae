"""Laws of a quantity against model size: constant, power, logarithmic, saturating, compared by AICc on one scale."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gedanken.analysis.depth_scaling import aicc

EXPONENTS = np.concatenate([np.arange(0.02, 0.5, 0.01), np.arange(0.5, 3.01, 0.05)])
"""Searched for γ (either sign) and ω: over the sizes of a ladder (two decades) 0.02 is nearly a logarithm, 3 nearly a step."""


@dataclass(frozen=True)
class Law:
    """A law by name, its AICc, and its exponent (0 where it has none)."""

    name: str
    aicc: float
    exponent: float = 0.0


def laws(size: Float[np.ndarray, " n"], value: Float[np.ndarray, " n"]) -> list[Law]:
    """Constant, A s^γ, A + B ln s and A − B s^−ω fitted by least squares to the values themselves, best AICc first."""
    s, n = size / np.exp(np.log(size).mean()), len(value)
    one = np.ones(n)
    powers = [(g, _residual(s[:, None] ** g, value)) for e in EXPONENTS for g in (e, -e)]
    bends = [(w, _residual(np.stack([one, s**-w], axis=1), value)) for w in EXPONENTS]
    power, bend = (min(tried, key=lambda pair: pair[1]) for tried in (powers, bends))
    found = [
        Law("constant", aicc(_residual(one[:, None], value), n, 2)),
        Law("power", aicc(power[1], n, 3), float(power[0])),
        Law("logarithmic", aicc(_residual(np.stack([one, np.log(s)], axis=1), value), n, 3)),
        Law("saturating", aicc(bend[1], n, 4), float(bend[0])),
    ]
    return sorted(found, key=lambda law: law.aicc)


def _residual(columns: Float[np.ndarray, "n k"], value: Float[np.ndarray, " n"]) -> float:
    """Sum of squares left by the best combination of columns."""
    fitted = columns @ np.linalg.lstsq(columns, value, rcond=None)[0]
    return float(np.sum((value - fitted) ** 2))
