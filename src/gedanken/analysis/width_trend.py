"""Does ε fall with the width of a model? Correlations over models, with and without the published exclusions.

Pearson's r and Spearman's ρ of (d, ε) with intervals by Fisher's z, of variance 1/(n − 3) and (1 + ρ²/2)/(n − 3)
[@bonett2000sample], p by permutation; slope of ln ε on ln d with its t interval, to be held against −½, that
of random tables. Models of one family are not independent, so each family is left out in turn.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from scipy import stats

from gedanken.status import Failure
from gedanken.theory.packing import NEAR_ORTHOGONAL

FEWEST = 5
"""Models below which an interval by Fisher's z says nothing: its half-width is then above 1.4 in z."""
PERMUTATIONS = 9999
NORMAL_975 = 1.959963984540054
NULL_SLOPE = -0.5
"""Of ε₀ = 2/√d."""


@dataclass(frozen=True, slots=True)
class WidthTrend:
    """Of n models: correlations of ε with d, and the slope of ln ε on ln d, each with a 95 % interval."""

    n: int
    pearson: float
    pearson_low: float
    pearson_high: float
    pearson_p: float
    spearman: float
    spearman_low: float
    spearman_high: float
    spearman_p: float
    slope: float
    slope_low: float
    slope_high: float


def width_trend(models: pl.DataFrame, rng: np.random.Generator) -> WidthTrend:
    """Over the rows of a frame of models. Raises Failure for fewer than FEWEST models or two widths."""
    d, epsilon = models["d"].to_numpy().astype(float), models["epsilon"].to_numpy()
    if len(d) < FEWEST or len(set(d)) < 2 or len(set(epsilon)) < 2:
        raise Failure(
            f"A trend of ε with the width needs at least {FEWEST} models of two widths; there are {len(d)}"
            f" of {len(set(d))}."
        )
    n, r, rho = len(d), float(stats.pearsonr(d, epsilon)[0]), float(stats.spearmanr(d, epsilon)[0])
    line = stats.linregress(np.log(d), np.log(epsilon))
    spare = float(stats.t.ppf(0.975, n - 2)) * line.stderr
    return WidthTrend(
        n,
        r,
        *_fisher(r, 1 / (n - 3)),
        _permutation_p(d, epsilon, r, rng),
        rho,
        *_fisher(rho, (1 + rho**2 / 2) / (n - 3)),
        _permutation_p(stats.rankdata(d), stats.rankdata(epsilon), rho, rng),
        float(line.slope),
        float(line.slope - spare),
        float(line.slope + spare),
    )


def width_trends(models: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """`width_trend` of the nearly orthogonal models (ε < 0.1): all, without the excluded, without each family.

    Columns variant, then those of WidthTrend. Variants with too few models are left out; raises Failure if all are.
    """
    near = models.filter(pl.col("epsilon") < NEAR_ORTHOGONAL)
    variants = {"all": near, "without the published exclusions": near.filter(~pl.col("excluded"))}
    variants |= {f"without {f}": near.filter(pl.col("family") != f) for f in near["family"].unique().sort()}
    rows = []
    for variant, part in variants.items():
        if len(part) >= FEWEST and part["d"].n_unique() > 1:
            rows.append({"variant": variant} | asdict(width_trend(part, rng)))
    if not rows:
        raise Failure(f"{len(near)} models are nearly orthogonal; a trend of ε with the width needs {FEWEST}.")
    return pl.DataFrame(rows)


def _fisher(correlation: float, variance: float) -> tuple[float, float]:
    held = math.atanh(max(min(correlation, 1 - 1e-12), -1 + 1e-12))
    spare = NORMAL_975 * math.sqrt(variance)
    return math.tanh(held - spare), math.tanh(held + spare)


def _permutation_p(x: np.ndarray, y: np.ndarray, found: float, rng: np.random.Generator) -> float:
    """Two-sided rank p of a correlation, the observed order counted among the permutations [@phipson2010permutation]."""
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    drawn = np.array([x @ rng.permutation(y) for _ in range(PERMUTATIONS)]) / len(x)
    return float(1 + np.count_nonzero(np.abs(drawn) >= abs(found) - 1e-12)) / (PERMUTATIONS + 1)
