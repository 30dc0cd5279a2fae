"""The overlap that a set of directions tolerates: mean, spread and edge of all pairwise cosines, exactly.

What. Over the n(n−1)/2 pairs of unit rows: μ = mean cosine, σ = its standard deviation, ε = μ + zσ (the paper's
"accepted deviation", z = 2). Between −1 and 1 + z, no unit. From ‖Σu‖² and ‖Σuuᵀ‖_F² alone, so no pair is formed. For n
≫ P, ε ≈ R² + z√(1/P − R⁴) with R the polarization and P the participation ratio of the second moment. The standard
error means "another draw of such rows"; for quantised weights the interval also covers the storage noise.
smallest_row_norm is the least norm of the rows used over the median one: near zero, some direction is rounding noise.

Reads. Moments of unit rows; with `centred`, the mean row is subtracted first, which separates a common direction from
spread. Rows of norm zero are left out (flag `zero_rows`).

Null. n independent normal rows in the same dimension: μ = 0 ± 1/√(Nd), σ = 1/√d ± 1/√(2dN), ε = z/√d, N = n(n−1)/2.
Every trained table differs significantly; the ratio to the null is what to look at. On request, the coordinate
shuffle, which keeps the mean direction and the coordinates' scales: what is left of ε there is not about single rows.
It keeps μ by construction, up to bringing rows back to length 1, so the p of μ there says nothing.

Fails when. There are fewer than two rows or coordinates. A large mean comes from one common direction, not from many
related rows: look at the centred setting. μ + 2σ is the 97.7 % point only for a normal law.

Reference. ε as defined in [@guha2026representational]; error from the row and pair terms of [@hoeffding1948class,
§5].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, NullBand, Reading, Symmetry, Value, Variable
from gedanken.instruments.nulls import COORDINATE_SHUFFLE, NORMAL_975, law_band
from gedanken.kinds import Kind, Moments
from gedanken.status import Flag, Refusal
from gedanken.theory import cosines


@final
@dataclass(frozen=True)
class CosineEdge(Instrument):
    """ε = μ + zσ of the pairwise cosines."""

    z: float = 2.0
    """Multiplier of the spread: 2 in the paper, 3 in its code as exaggerated value [@guha2026representational]."""
    centred: bool = False

    reads = Kind.moments
    variables = (
        Variable("cosine_mean", "μ", "1", "mean cosine over all pairs of rows", (-1, 1)),
        Variable("cosine_spread", "σ", "1", "standard deviation of the cosine over all pairs of rows", (0, 1)),
        Variable("cosine_edge", "ε", "1", "mean cosine plus z spreads of it", aliases=("accepted_deviation",)),
        Variable(
            "smallest_row_norm",
            "min‖x‖/med‖x‖",
            "1",
            "smallest norm of a row that was used, over the median norm",
            (0, 1),
            scale="log",
            no_null="a property of the rows' lengths, not of their directions",
        ),
    )
    symmetries = frozenset(
        {Symmetry.scale, Symmetry.sign, Symmetry.right_rotation, Symmetry.row_permutation, Symmetry.col_permutation}
    )
    exchangeable = "point"
    data_null = COORDINATE_SHUFFLE

    @property
    def preparation(self) -> str:
        return "centred" if self.centred else "unit"

    @classmethod
    def standard(cls) -> tuple["CosineEdge", ...]:
        return cls(), cls(centred=True), cls(z=3.0)

    def measure(self, array: Moments, rng: np.random.Generator) -> Reading:
        pairs, errors, n, flags = pairs_of(array), errors_of(array), array.n, flags_of(array)
        return {
            "cosine_mean": Value(pairs.mean, errors.mean(), n=n, flags=flags),
            "cosine_spread": Value(pairs.spread, errors.spread(), n=n, flags=flags),
            "cosine_edge": edge_of(array, self.z),
            "smallest_row_norm": Value(array.smallest_norm, n=n, flags=flags),
        }

    def null(self, array: Moments, reading: Reading) -> dict[str, NullBand]:
        twin = cosines.GaussianTwin(array.n, array.dimension)
        laws = {"cosine_mean": twin.mean(), "cosine_spread": twin.spread(), "cosine_edge": twin.edge(self.z)}
        return {name: law_band(reading[name].value, law) for name, law in laws.items()}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        d, exact = 16, 1e-12
        basis = np.eye(d)
        yield self._case("orthonormal rows", basis, 0.0, 0.0, exact, "every cosine is 0")
        if self.centred:
            return
        yield self._case("equal rows", np.tile(basis[0], (d, 1)), 1.0, 0.0, exact, "every cosine is 1")
        simplex = np.eye(d + 1) - 1 / (d + 1)
        simplex /= np.linalg.norm(simplex, axis=1, keepdims=True)
        yield self._case("simplex", simplex, -1 / d, 0.0, exact, "every cosine is −1/d")
        copies = 5
        mean = (copies - 1) / (copies * d - 1)
        spread = math.sqrt(mean * (1 - mean))
        why = "each row has r − 1 cosines equal to 1, the rest are 0"
        yield self._case("copies of orthonormal rows", np.tile(basis, (copies, 1)), mean, spread, exact, why)
        n, d = 2000, 256
        twin = cosines.GaussianTwin(n, d)
        rows = rng.standard_normal((n, d))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        laws = {"cosine_mean": twin.mean(), "cosine_spread": twin.spread(), "cosine_edge": twin.edge(self.z)}
        expected = {name: (law.mean(), 5 * law.std()) for name, law in laws.items()}
        yield KnownCase("Gaussian rows", Moments.of(rows), expected, "five standard deviations of the closed-form null")

    def _case(self, name: str, rows, mean: float, spread: float, tolerance: float, why: str) -> KnownCase:
        values = {"cosine_mean": mean, "cosine_spread": spread, "cosine_edge": mean + self.z * spread}
        values |= {"smallest_row_norm": 1.0}
        return KnownCase(name, Moments.of(rows), {key: (value, tolerance) for key, value in values.items()}, why)


def pairs_of(moments: Moments) -> cosines.PairCosines:
    """Mean and mean square of cosines between unit rows. Raises Refusal(too_small) below 2 rows or coordinates."""
    n, d = moments.n, moments.dimension
    if n < 2 or d < 2:
        raise Refusal(Flag.too_small, f"{n} rows of {d} coordinates: pairwise cosines need at least two of each")
    second = moments.second.ravel(order="K")
    return cosines.pair_cosines(n, float(moments.total @ moments.total), float(second @ second))


def errors_of(moments: Moments) -> cosines.Errors:
    """Standard errors of functions of the pairwise cosines, from the probed rows. Raises as `pairs_of`."""
    pairs = pairs_of(moments)
    if len(moments.sample) < 2:
        raise Refusal(Flag.too_small, f"of {moments.n} rows that are not zero, fewer than two are in the even sample")
    return cosines.errors(pairs, *moments.probes)


def flags_of(moments: Moments) -> tuple[Flag, ...]:
    """What must be said beside every value of these moments."""
    return (Flag.zero_rows,) if moments.dropped else ()


def edge_of(moments: Moments, z: float) -> Value:
    """ε with its interval, also for the instruments that are functions of it.

    For quantised weights the interval reaches to the value without the largest storage noise. Raises as `pairs_of`.
    """
    pairs, error = pairs_of(moments), errors_of(moments).edge(z)
    ends = [pairs.edge(z)]
    if moments.quantised:
        ends.append(cosines.without_quantisation_noise(pairs, moments.dimension).edge(z))
    spare = NORMAL_975 * error
    return Value(pairs.edge(z), error, min(ends) - spare, max(ends) + spare, moments.n, flags_of(moments))
