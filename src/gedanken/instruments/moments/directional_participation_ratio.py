"""How many dimensions a set of directions spreads over.

What. P = (Σλ)²/Σλ² of the second moment Σuuᵀ/n of unit rows, not centred; in [1, min(n, d)], no unit. It is the inverse
mean squared cosine: n/P = 1 + (n − 1)·mean c². Every row counts alike, whatever its norm, unlike in the participation
ratio of the matrix's own spectrum.

Reads. Moments of unit rows.

Null. n independent normal rows: mean c² is 1/d ± √(2(d−1)/(d²(d+2)N)), so P = nd/(n + d − 1). On request, the
coordinate shuffle, which keeps each coordinate's scale.

Fails when. There are fewer than two rows or coordinates. One common direction alone lowers it: compare the
polarization.

Reference. Participation ratio of a covariance, [@gao2017theory]; its identity with the mean squared cosine is the
first-order Welch relation [@welch1974lower].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import OF_DIRECTIONS, Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.moments.cosine_edge import errors_of, flags_of, pairs_of
from gedanken.instruments.nulls import COORDINATE_SHUFFLE, law_band
from gedanken.kinds import Kind, Moments
from gedanken.theory import cosines


@final
@dataclass(frozen=True)
class DirectionalParticipationRatio(Instrument):
    """P = n²/‖Σuuᵀ‖_F² of unit rows."""

    reads = Kind.moments
    variables = (
        Variable(
            "directional_participation_ratio",
            "P",
            "1",
            "participation ratio of the eigenvalues of the uncentred second moment of unit rows",
            (1, None),
            scale="log",
        ),
    )
    symmetries = OF_DIRECTIONS
    exchangeable = "point"
    data_null = COORDINATE_SHUFFLE

    @property
    def preparation(self) -> str:
        return "unit"

    def measure(self, array: Moments, rng: np.random.Generator) -> Reading:
        ratio, n = _ratio(pairs_of(array).square, array.n), array.n
        error = ratio**2 * (n - 1) / n * errors_of(array).square()  # dP = −P² (n−1)/n dq
        return {"directional_participation_ratio": Value(ratio, error, n=n, flags=flags_of(array))}

    def null(self, array: Moments, reading: Reading) -> dict[str, NullBand]:
        n, law = array.n, cosines.GaussianTwin(array.n, array.dimension).square()
        band = law_band(pairs_of(array).square, law, lambda square: _ratio(square, n))
        return {"directional_participation_ratio": band}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        d, name = 16, "directional_participation_ratio"
        copies, equal = np.tile(np.eye(d), (5, 1)), np.tile(np.eye(d)[0], (d, 1))
        yield KnownCase("copies of orthonormal rows", Moments.of(copies), {name: (d, 1e-12 * d)}, "M ∝ I")
        yield KnownCase("equal rows", Moments.of(equal), {name: (1.0, 1e-12)}, "M has rank one")


def _ratio(square: float, n: int) -> float:
    return n / (1 + (n - 1) * max(square, 0.0))
