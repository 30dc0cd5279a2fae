"""Null models: inputs without structure, and the band in which a value of such inputs lies.

A null that depends only on a shape is drawn once per shape and kept in the lab, at unit Frobenius norm; a variable
of degree k is brought to the measured matrix by norm**k. A null that needs the data is drawn when asked for.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import NullBand, NullModel
from gedanken.kinds import Factors, Spectrum
from gedanken.theory import ensembles
from gedanken.theory.laws import Law

NORMAL_975 = 1.959963984540054
"""97.5 % point of the standard normal law."""


@final
class GaussianTwin(NullModel):
    """Spectra of matrices of the same shape with independent normal entries, drawn from the bidiagonal chi model.

    A product of thin factors has as twin the product of two Gaussian factors with the same inner width.
    """

    name = "gaussian_twin"

    def shape_key(self, array: Spectrum) -> str:
        long, short = max(array.rows, array.cols), min(array.rows, array.cols)
        return f"{long}x{short}" if array.rank_bound is None else f"{long}x{array.rank_bound}x{short}"

    def draws(self, array: Spectrum, count: int, rng: np.random.Generator) -> Iterator[Spectrum]:
        for _ in range(count):
            yield _unit_spectrum(array, rng)

    def norm(self, array: Spectrum) -> float:
        return float(np.linalg.norm(array.singular_values))


def _unit_spectrum(like: Spectrum, rng: np.random.Generator) -> Spectrum:
    """A Gaussian spectrum of `like`'s shape and inner width, with Frobenius norm 1."""
    if like.rank_bound is None:
        values = ensembles.gaussian_singular_values(like.rows, like.cols, rng)
    else:
        values = ensembles.gaussian_product_singular_values(like.rows, like.rank_bound, like.cols, rng)
    values /= np.linalg.norm(values)
    # Square roots of eigenvalues, as for a measured spectrum: rounding noise of order λ₁·eps in λ.
    resolution = float(values[0] * math.sqrt(len(values) * np.finfo(float).eps))
    return Spectrum(values, like.rows, like.cols, resolution, like.rank_bound)


@final
class EntryShuffle(NullModel):
    """The matrix's own entries in random order: keeps heavy-tailed entries, removes every pattern.

    Reads the raw matrix whatever the instrument reads; who draws from it reduces each draw with the function that
    reduced the matrix (`shuffled = reduce(draw)`). A product of factors has no entries to shuffle: it is formed.
    """

    name = "entry_shuffle"

    def shape_key(self, array: Float[np.ndarray, "out in"] | Factors) -> None:
        return None

    def draws(
        self, array: Float[np.ndarray, "out in"] | Factors, count: int, rng: np.random.Generator
    ) -> Iterator[Float[np.ndarray, "out in"]]:
        entries = _dense(array)
        for _ in range(count):
            yield rng.permutation(entries.ravel()).reshape(entries.shape)

    def norm(self, array: Float[np.ndarray, "out in"] | Factors) -> float:
        return float(np.linalg.norm(_dense(array)))


def _dense(array: Float[np.ndarray, "out in"] | Factors) -> Float[np.ndarray, "out in"]:
    return array.left @ array.right if isinstance(array, Factors) else np.asarray(array)


@final
class CoordinateShuffle(NullModel):
    """Each coordinate of the points' directions in a random order of its own; points of norm zero are left out.

    Keeps the mean direction and every coordinate's distribution; removes what ties the coordinates of one point
    together, so what is left of a value is not about single points. Directions, not points: a point's length is one of
    those ties, and where long and short points look different ways, shuffling the points would move the mean direction.
    Raw points in, raw points (float32) out, as for `EntryShuffle`.
    """

    name = "coordinate_shuffle"

    def shape_key(self, array: np.ndarray | Factors) -> None:
        return None

    def draws(self, array: np.ndarray | Factors, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        points = _dense(array)
        lengths = _lengths(points)
        if not lengths.all():
            points, lengths = points[lengths > 0], lengths[lengths > 0]
        for _ in range(count):
            drawn = np.empty(points.shape, np.float32)
            for columns in _strips(points):
                # made contiguous: a shuffle along the columns themselves would miss the cache at every step
                strip = np.ascontiguousarray((points[:, columns] / lengths[:, None]).T, dtype=np.float32)
                drawn[:, columns] = rng.permuted(strip, axis=1, out=strip).T
            yield drawn

    def norm(self, array: np.ndarray | Factors) -> float:
        return float(np.linalg.norm(_lengths(_dense(array))))


def _lengths(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
    """Euclidean norms of the rows in float64, whatever their scale."""
    peak = np.abs(points).max(axis=1).astype(np.float64)
    unit, squares = np.where(peak > 0, peak, 1.0), np.zeros(len(points))
    for columns in _strips(points):
        squares += np.sum(np.square(points[:, columns] / unit[:, None]), axis=1)
    return peak * np.sqrt(squares)


def _strips(points: np.ndarray) -> Iterator[slice]:
    """64 columns at a time, so that no float64 copy of a whole table is made."""
    return (slice(start, start + 64) for start in range(0, points.shape[1], 64))


@final
class UniformPoints(NullModel):
    """As many independent uniform points on the sphere of the same dimension: directions without any structure.

    Depends on the shape only; drawn when asked for, because what reads it costs more than a spectrum does.
    """

    name = "uniform_points"

    def shape_key(self, array: np.ndarray | Factors) -> None:
        return None

    def draws(self, array: np.ndarray | Factors, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        for _ in range(count):
            points = rng.standard_normal(array.shape)
            yield points / np.linalg.norm(points, axis=1, keepdims=True)

    def norm(self, array: np.ndarray | Factors) -> float:
        return math.sqrt(array.shape[0])


GAUSSIAN_TWIN, ENTRY_SHUFFLE, COORDINATE_SHUFFLE = GaussianTwin(), EntryShuffle(), CoordinateShuffle()
UNIFORM_POINTS = UniformPoints()
"""One of each, so that instruments share draws."""


@dataclass(frozen=True)
class Draws:
    """Values of one variable on null draws, with what every band from them needs."""

    ascending: Float[np.ndarray, " draws"]
    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float] | Float[np.ndarray, " draws"]) -> "Draws":
        """Raises ValueError without values or with non-finite ones: draws that an instrument refused are left out."""
        ascending = np.sort(np.asarray(values, dtype=float))
        if ascending.size == 0 or not np.isfinite(ascending[[0, -1]]).all():
            raise ValueError(f"a null band needs finite draws, got {ascending.size}")
        low, median, high = np.quantile(ascending, [0.025, 0.5, 0.975])
        return cls(ascending, float(low), float(median), float(high))

    def band(self, value: float, null: str, scale: float = 1.0) -> NullBand:
        """2.5 %, 50 % and 97.5 % points of scale × draws, and the two-sided rank p of `value` among them.

        p = (1 + b)/(B + 1) [@phipson2010permutation, eq. 2], b of the B draws lying at least as far as the value from the
        median of all B + 1: exact, because that median treats them alike, and able to reach 1/(B + 1).
        """
        ascending, count, at = self.ascending, len(self.ascending), value / scale
        place = int(np.searchsorted(ascending, at))

        def pooled(rank: int) -> float:
            return at if rank == place else float(ascending[rank - (rank > place)])

        centre = (pooled(count // 2) + pooled((count + 1) // 2)) / 2
        # A draw equal to the value counts as being as far, whatever rounding does to the difference.
        distance = abs(at - centre) - 8 * np.finfo(float).eps * (abs(at) + abs(centre))
        nearer = np.searchsorted(ascending, [centre - distance, centre + distance], side="left")
        further = count - int(nearer[1] - nearer[0]) if distance > 0 else count
        p = (1 + further) / (count + 1)
        return NullBand(null, scale * self.median, scale * self.low, scale * self.high, p, count)


def law_band(
    value: float, law: Law, change: Callable[[float], float] = float, null: str = GaussianTwin.name
) -> NullBand:
    """The band of a variable that is a monotonic function `change` of a quantity with this law.

    `value` is the measured quantity itself, before `change`; p is two-sided, twice the smaller tail.
    """
    low, median, high = map(change, _quantiles(law))
    p = min(1.0, 2 * float(min(law.cdf(value), law.sf(value))))
    return NullBand(null, median, min(low, high), max(low, high), p, 0)


@lru_cache(maxsize=4096)
def _quantiles(law: Law) -> tuple[float, float, float]:
    """2.5 %, 50 % and 97.5 % points; the same for every matrix of a shape."""
    return float(law.ppf(0.025)), float(law.ppf(0.5)), float(law.ppf(0.975))
