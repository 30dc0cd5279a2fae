"""How many directions certainly exist at the overlap that a table tolerates.

What. log₁₀ ⌈1/p⌉, p = P(|cos| > ε) for two independent directions in d dimensions, ε = μ + zσ. Each chosen direction
rules out a share p of the sphere, so a further one fits while the shares add up to less than the whole: so many
directions with |cos| ≤ ε exist. At least 0, no unit.

Reads. Moments of unit rows.

Null. The same at the edge ε of n independent normal rows; at ε₀ = 2/√d it is about 22 directions for any large d.

Fails when. ε ≥ 1, where nothing is ruled out. It holds in any dimension; it says nothing of the table's own rows.

Reference. The argument is that of the Gilbert–Varshamov bound, with caps on the sphere [@shannon1959probability]; their
sizes follow from the Beta law of cos² [@cai2013distributions].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import OF_DIRECTIONS, Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.moments.cosine_edge import edge_of
from gedanken.instruments.nulls import law_band
from gedanken.kinds import Kind, Moments
from gedanken.status import Flag, Refusal
from gedanken.theory import cosines, packing


@final
@dataclass(frozen=True)
class GreedyGuarantee(Instrument):
    """log₁₀ ⌈1/P(|cos| > ε)⌉."""

    z: float = 2.0

    reads = Kind.moments
    of_tables = True
    variables = (
        Variable(
            "greedy_guarantee",
            "log₁₀ ⌈1/p⌉",
            "1",
            "decimal logarithm of the number of directions with |cos| ≤ ε that greedy choice is sure to find",
            (0, None),
        ),
    )
    symmetries = OF_DIRECTIONS
    exchangeable = "point"

    @property
    def preparation(self) -> str:
        return "unit"

    def measure(self, array: Moments, rng: np.random.Generator) -> Reading:
        edge, d = edge_of(array, self.z), array.dimension
        if edge.value >= 1:
            raise Refusal(Flag.at_bound, f"ε = {edge.value:.3f} is at least 1: no direction rules out another")
        high = _log10(edge.high, d) if edge.high < 1 else None
        return {"greedy_guarantee": Value(_log10(edge.value, d), None, _log10(edge.low, d), high, array.n, edge.flags)}

    def null(self, array: Moments, reading: Reading) -> dict[str, NullBand]:
        d, law = array.dimension, cosines.GaussianTwin(array.n, array.dimension).edge(self.z)
        if law.ppf(0.975) >= 1:
            return {}
        edge = edge_of(array, self.z).value
        return {"greedy_guarantee": law_band(edge, law, lambda overlap: _log10(overlap, d))}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        yield KnownCase(
            "orthonormal rows", Moments.of(np.eye(16)), {"greedy_guarantee": (0.0, 0.0)}, "ε = 0: p = 1, one direction"
        )
        rows = np.eye(3)[[0, 0, 1, 2]]
        overlap = 1 / 6 + self.z * math.sqrt(5) / 6
        sure = (math.log10(math.ceil(1 / (1 - overlap))), 1e-12) if overlap < 1 else Flag.at_bound
        why = "one of six cosines is 1, the others 0; on the sphere in three dimensions P(|cos| > ε) = 1 − ε"
        yield KnownCase("two equal rows of four", Moments.of(rows), {"greedy_guarantee": sure}, why)


def _log10(overlap: float, d: int) -> float:
    return packing.log_greedy_guarantee(overlap, d) / math.log(10)
