"""One depth of several models: do they agree, and if so on what?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

AGREE = 0.05
"""p of Cochran's Q from which depths are pooled (latent-object-permanence, §3.2)."""


@dataclass(frozen=True)
class Pooled:
    """Cochran's Q with its p; the inverse-variance mean and its 95 % interval, None where the depths disagree."""

    q: float
    p: float
    depth: float | None
    low: float | None
    high: float | None


def pooled(depths: Sequence[float], errors: Sequence[float]) -> Pooled:
    """Depths γ with their standard errors [@cochran1954combination, §3]. Raises ValueError for fewer than two."""
    depth, weight = np.asarray(depths, float), np.asarray(errors, float) ** -2.0
    if len(depth) < 2:
        raise ValueError("one depth cannot disagree with itself")
    mean = float(weight @ depth / weight.sum())
    q = float(weight @ (depth - mean) ** 2)
    p = float(stats.chi2.sf(q, len(depth) - 1))
    if p < AGREE:
        return Pooled(q, p, None, None, None)
    half = float(stats.norm.ppf(0.975) / np.sqrt(weight.sum()))
    return Pooled(q, p, mean, mean - half, mean + half)
