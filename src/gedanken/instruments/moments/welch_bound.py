"""The least overlap that so many directions in so many dimensions must have.

What. welch_bound: no n unit rows in d dimensions have a smaller largest |cos|, max over s of ((n/C(d+s−1, s) − 1)/(n −
1))^{1/(2s)}. cosine_edge_floor: with zero mean cosine no table has a smaller ε than z√((n − d)/(d(n − 1))), its value
at first order. Both in [0, z], 0 for n ≤ d, no unit.

Reads. Moments of unit rows, of which only n and d matter.

Null. None: both are properties of the shape.

Fails when. There are fewer than two rows or coordinates. The bound is loose for n ≫ d²: best known packings lie 1.3 to
3 times above it.

Reference. [@welch1974lower].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import OF_DIRECTIONS, Instrument, KnownCase, Reading, Value, Variable
from gedanken.kinds import Kind, Moments
from gedanken.status import Flag, Refusal
from gedanken.theory import packing

NO_NULL = "it depends on the shape alone"


@final
@dataclass(frozen=True)
class WelchBound(Instrument):
    """Welch's bound on the coherence, and what it says of ε."""

    z: float = 2.0

    reads = Kind.moments
    of_tables = True
    variables = (
        Variable(
            "welch_bound", "W", "1", "least possible largest |cos| of n rows in d dimensions", (0, 1), no_null=NO_NULL
        ),
        Variable("cosine_edge_floor", "ε_W", "1", "least possible ε at zero mean cosine", (0, None), no_null=NO_NULL),
    )
    symmetries = OF_DIRECTIONS

    @property
    def preparation(self) -> str:
        return "unit"

    def measure(self, array: Moments, rng: np.random.Generator) -> Reading:
        n, d = array.n, array.dimension
        if n < 2 or d < 2:
            raise Refusal(Flag.too_small, f"{n} rows of {d} coordinates: a largest cosine needs at least two of each")
        floor = self.z * (max(n - d, 0) / (d * (n - 1))) ** 0.5
        return {
            "welch_bound": Value(packing.welch_bound(n, d), n=n),
            "cosine_edge_floor": Value(floor, n=n),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        d = 16
        simplex = Moments.of(np.eye(d + 1)[:, :d])  # only its shape is read
        expected = {"welch_bound": (1 / d, 1e-12), "cosine_edge_floor": (self.z / d, 1e-12)}
        yield KnownCase("d + 1 rows", simplex, expected, "the simplex has largest |cos| 1/d and meets the bound")
        expected = {"welch_bound": (0.0, 0.0), "cosine_edge_floor": (0.0, 0.0)}
        yield KnownCase("d rows", Moments.of(np.eye(d)), expected, "orthonormal rows exist")
