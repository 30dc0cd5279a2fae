"""How far a set of directions leans to one side.

What. polarization R = ‖Σu‖/n ∈ [0, 1] (the Kuramoto order parameter of the rows); anisotropy = mean cosine over pairs
of distinct rows minus its null mean, which is 0 for independent directions, so (nR² − 1)/(n − 1) ∈ [−1/(n−1), 1]: the
"cone effect". No unit.

Reads. Moments of unit rows.

Null. n independent normal rows: R follows χ_d/√(nd), the anisotropy (χ²_d/d − 1)/√(n(n−1)). The
coordinate shuffle is none: it keeps the mean direction by construction.

Fails when. There are fewer than two rows or coordinates. Neither tells one tight group of rows from a small lean of
all.

Reference. Mean cosine as a measure of anisotropy, [@ethayarajh2019contextual].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import OF_DIRECTIONS, Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.moments.cosine_edge import errors_of, flags_of, pairs_of
from gedanken.instruments.nulls import law_band
from gedanken.kinds import Kind, Moments
from gedanken.theory import cosines


@final
@dataclass(frozen=True)
class Polarization(Instrument):
    """R = ‖Σu‖/n, and the mean pairwise cosine that goes with it."""

    reads = Kind.moments
    variables = (
        Variable("polarization", "R", "1", "norm of the mean unit row", (0, 1), aliases=("kuramoto_order_parameter",)),
        Variable("anisotropy", "A", "1", "mean pairwise cosine minus its null mean", (-1, 1), aliases=("cone_effect",)),
    )
    symmetries = OF_DIRECTIONS
    exchangeable = "point"

    @property
    def preparation(self) -> str:
        return "unit"

    def measure(self, array: Moments, rng: np.random.Generator) -> Reading:
        mean, error, n = pairs_of(array).mean, errors_of(array).mean(), array.n
        norm = float(np.linalg.norm(array.total)) / n
        # R² = (1 + (n−1)μ)/n, so dR = (n−1)/(2nR) dμ; below its null value 1/√n, R is no smoother than there
        slope = (n - 1) / (2 * n * max(norm, 1 / math.sqrt(n)))
        flags = flags_of(array)
        return {
            "polarization": Value(norm, slope * error, n=n, flags=flags),
            "anisotropy": Value(mean, error, n=n, flags=flags),
        }

    def null(self, array: Moments, reading: Reading) -> dict[str, NullBand]:
        twin = cosines.GaussianTwin(array.n, array.dimension)
        return {
            "polarization": law_band(reading["polarization"].value, twin.polarization()),
            "anisotropy": law_band(reading["anisotropy"].value, twin.mean()),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        d = 16
        basis, exact = np.eye(d), 1e-12
        yield KnownCase(
            "orthonormal rows",
            Moments.of(basis),
            {"polarization": (1 / math.sqrt(d), exact), "anisotropy": (0.0, exact)},
            "‖Σe‖ = √d; every cosine is 0",
        )
        yield KnownCase(
            "equal rows",
            Moments.of(np.tile(basis[0], (d, 1))),
            {"polarization": (1.0, exact), "anisotropy": (1.0, exact)},
            "every cosine is 1",
        )
        yield KnownCase(
            "opposite rows",
            Moments.of(np.concatenate([basis, -basis])),
            {"polarization": (0.0, exact), "anisotropy": (-1 / (2 * d - 1), exact)},
            "the rows cancel, and μ = −1/(n − 1)",
        )
