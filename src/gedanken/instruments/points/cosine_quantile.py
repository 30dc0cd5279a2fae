"""Where the pairwise cosines of a set of points lie: quantiles, shares beyond the edge, asymmetry.

What. Quantiles of c = cos and of |c| over all pairs, as curves against the level p. Shares of the pairs with c > ε and
with |c| > ε, ε = μ + 2σ of the same pairs (2.28 % and 4.55 % for a normal law). cosine_asymmetry A = q₀.₉₉₉ + q₀.₀₀₁ −
2q₀.₅, positive if the right tail is the longer. No unit. Errors mean "another draw of such rows": from the spread over
rows of each row's own share F_i(q) of cosines below q, sd(2F_i)/(√n f(q)).

Reads. Points, of which at most a bounded even sample is used (flag `sampled`); rows of norm zero are left out.

Null. Independent directions: c² follows Beta(½, (d−1)/2) and pairs are uncorrelated, so a share p has variance p(1 −
p)/N, N = n(n−1)/2; for the shares beyond ε this is an upper bound, since ε moves with them.

Fails when. There are fewer than ten rows. Fewer than ten pairs beyond a level leave it to chance (flag `short_tail`).

Reference. Quantiles of pair statistics [@serfling1984generalized]; law of the angle [@cai2013distributions].
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from gedanken.instruments.base import OF_DIRECTIONS, Curve, Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.nulls import NORMAL_975, law_band
from gedanken.instruments.points._pairs import MOST, Cosines, cosines_of
from gedanken.kinds import Kind
from gedanken.status import Flag, Refusal
from gedanken.theory.laws import Normal
from gedanken.theory.quantiles import absolute_quantiles, quantiles

TAILS = (0.001, 0.5, 0.999)
"""Levels of the asymmetry."""
WEIGHTS = np.array([1.0, -2.0, 1.0])

TILE = 32
"""Rows of pairs handled together: half a megabyte of 2,048."""

LEAST = 10
"""Rows below which a quantile's error is no number."""


@final
@dataclass(frozen=True)
class CosineQuantile(Instrument):
    """Quantiles of the pairwise cosines of a sample."""

    levels: tuple[float, ...] = (0.5, 0.977, 0.99, 0.999)
    """Median; the level of ε under a normal law; two tails."""
    sample: int = MOST

    reads = Kind.points
    variables = (
        Variable("cosine_quantile", "q_p(c)", "1", "quantile of cos, against its level", (-1, 1), curve=True),
        Variable(
            "absolute_cosine_quantile", "q_p(|c|)", "1", "quantile of |cos|, against its level", (0, 1), curve=True
        ),
        Variable("cosine_exceedance", "P(c > ε)", "1", "share of pairs with a cosine above μ + 2σ", (0, 1)),
        Variable("absolute_cosine_exceedance", "P(|c| > ε)", "1", "share of pairs with |cos| above μ + 2σ", (0, 1)),
        Variable("cosine_asymmetry", "A", "1", "q₀.₉₉₉ + q₀.₀₀₁ − 2q₀.₅ of the cosine over pairs", (-4, 4)),
    )
    symmetries = OF_DIRECTIONS
    exchangeable = "point"

    def measure(self, array: Float[np.ndarray, "n d"], rng: np.random.Generator) -> Reading:
        cosines = cosines_of(array, self.sample)
        n, d, flags = len(cosines.square), array.shape[1], cosines.flags
        if n < LEAST:
            raise Refusal(Flag.too_small, f"{n} rows that are not zero, where {LEAST} are needed")
        levels, edge = np.array(self.levels), float(cosines.pairs.mean() + 2 * cosines.pairs.std())
        signed = _Statistic.of(cosines, np.positive, quantiles, np.array([*self.levels, *TAILS]), edge)
        absolute = _Statistic.of(cosines, np.abs, absolute_quantiles, levels, edge)
        thin = len(cosines.pairs) * min(levels.min(), 1 - levels.max()) < 10
        tail = flags + ((Flag.short_tail,) if thin else ())
        asymmetry, error = signed.combination(np.array(TAILS), WEIGHTS)
        return {
            "cosine_quantile": _curve(signed, levels, _signed_quantile, d, tail),
            "absolute_cosine_quantile": _curve(absolute, levels, _absolute_quantile, d, tail),
            "cosine_exceedance": signed.exceedance(flags),
            "absolute_cosine_exceedance": absolute.exceedance(flags),
            "cosine_asymmetry": Value(asymmetry, error, n=n, flags=flags),
        }

    def null(self, array: Float[np.ndarray, "n d"], reading: Reading) -> dict[str, NullBand]:
        d, n = array.shape[1], reading["cosine_asymmetry"].n
        pairs = n * (n - 1) / 2
        beyond = float(stats.beta.sf(min(4 / d, 1.0), 0.5, (d - 1) / 2))  # P(|c| > 2/√d)
        shares = {"cosine_exceedance": beyond / 2, "absolute_cosine_exceedance": beyond}
        bands = {
            name: law_band(reading[name].value, Normal(share, math.sqrt(share * (1 - share) / pairs)))
            for name, share in shares.items()
            if share > 0
        }
        sd = _null_asymmetry_sd(d) / math.sqrt(pairs)
        return bands | {"cosine_asymmetry": law_band(reading["cosine_asymmetry"].value, Normal(0.0, sd))}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        r, d = 5, 16
        share = (r - 1) / (r * d - 1)  # of the cosines are 1, the others 0
        quantiles = np.array([float(level > 1 - share) for level in self.levels])
        expected = {
            "cosine_quantile": (quantiles, 1e-12),
            "absolute_cosine_quantile": (quantiles, 1e-12),
            "cosine_exceedance": (share, 1e-12),
            "absolute_cosine_exceedance": (share, 1e-12),
            "cosine_asymmetry": (1.0, 1e-12),
        }
        rows = np.tile(np.eye(d), (r, 1))
        yield KnownCase("copies of orthonormal rows", rows, expected, "5 % of the cosines are 1, the others are 0")


@dataclass(frozen=True)
class _Statistic:
    """A symmetric function of all pairs of n rows: its quantiles at some levels, what each row does to them, and each
    row's share of pairs above a bound."""

    levels: Float[np.ndarray, " k"]
    quantiles: Float[np.ndarray, " k"]
    influence: Float[np.ndarray, "k n"]
    """2(p − F_i(q_p))/f(q_p), the density f from quantiles half-way to the nearer end."""
    above: Float[np.ndarray, " n"]

    @classmethod
    def of(
        cls, cosines: Cosines, change: np.ufunc, quantiles_of: Callable, levels: Float[np.ndarray, " k"], bound: float
    ) -> "_Statistic":
        """Of `change` of the cosines, whose quantiles `quantiles_of` finds."""
        levels = np.unique(levels)
        step = np.minimum(levels, 1 - levels) / 2
        wanted, others = np.concatenate([levels, levels - step, levels + step]), len(cosines.square) - 1
        found, low, high = quantiles_of(cosines.pairs, wanted).reshape(3, -1)
        # The diagonal is infinite: never below a quantile, and once above a bound.
        counts = _counts(cosines.square, change, [*found.tolist(), bound])
        shares, inverse_density = counts[:-1] / others, (high - low) / (2 * step)
        influence = 2 * (shares.mean(axis=1, keepdims=True) - shares) * inverse_density[:, None]
        return cls(levels, found, influence, 1 - counts[-1] / others)

    def combination(self, levels: Float[np.ndarray, " k"], weights: Float[np.ndarray, " k"]) -> tuple[float, float]:
        """A weighted sum of quantiles, and its standard error."""
        at = np.searchsorted(self.levels, levels)
        influence = weights @ self.influence[at]
        return float(weights @ self.quantiles[at]), float(influence.std(ddof=1) / np.sqrt(len(influence)))

    def exceedance(self, flags: tuple[Flag, ...]) -> Value:
        """Share of pairs above the bound, with its standard error at a fixed bound."""
        n = len(self.above)
        return Value(float(self.above.mean()), float(2 * self.above.std(ddof=1) / np.sqrt(n)), n=n, flags=flags)


def _counts(square: Float[np.ndarray, "n n"], change: np.ufunc, bounds: list[float]) -> Int[np.ndarray, "k n"]:
    """How many entries of each row are at most each bound; a few rows at a time, which stay in the cache."""
    found = np.empty((len(bounds), len(square)), int)
    for start in range(0, len(square), TILE):
        rows = change(square[start : start + TILE])
        for at, bound in enumerate(bounds):
            # Nobody has the 34 GB for rows of 2¹⁶ pairs, and to count in 16 bits takes half the time.
            found[at, start : start + TILE] = np.add.reduce((rows <= bound).view(np.uint8), axis=1, dtype=np.uint16)
    return found


def _curve(found: _Statistic, levels: Float[np.ndarray, " k"], law, d: int, flags: tuple[Flag, ...]) -> Curve:
    at, n = np.searchsorted(found.levels, levels), len(found.above)
    values = found.quantiles[at]
    spare = NORMAL_975 * found.influence[at].std(axis=1, ddof=1) / np.sqrt(n)
    wobble = NORMAL_975 * np.sqrt(levels * (1 - levels) / (n * (n - 1) / 2))
    null_low, null_high = (law(np.clip(levels + side * wobble, 0, 1), d) for side in (-1, 1))
    return Curve(levels, values, values - spare, values + spare, null_low, null_high, n, flags)


def _absolute_quantile(levels: Float[np.ndarray, " k"], d: int) -> Float[np.ndarray, " k"]:
    """Quantiles of |cos| of independent directions."""
    return np.sqrt(stats.beta.ppf(levels, 0.5, (d - 1) / 2))


def _signed_quantile(levels: Float[np.ndarray, " k"], d: int) -> Float[np.ndarray, " k"]:
    """Quantiles of cos of independent directions: a symmetric law."""
    return np.sign(levels - 0.5) * _absolute_quantile(np.abs(2 * levels - 1), d)


@lru_cache(maxsize=256)
def _null_asymmetry_sd(d: int) -> float:
    """√N times the standard deviation of A for independent directions: var Σw q = Σ w w' p(1 − p')/(f f')/N, p ≤ p'."""
    levels = np.array(TAILS)
    places = _signed_quantile(levels, d)
    density = stats.beta.pdf((1 + places) / 2, (d - 1) / 2, (d - 1) / 2) / 2  # (1 + cos)/2 is a symmetric Beta
    covariance = np.minimum.outer(levels, levels) - np.outer(levels, levels)
    gain = WEIGHTS / density
    return float(np.sqrt(gain @ covariance @ gain))
