"""How many directions a published formula allows at the overlap that a table tolerates: an estimate, not a bound.

What. log₁₀ k(d, ε) with ε = μ + zσ, by one named form: `full` k = (d·exp((d^c ε²/C)^{1/b}))^{1/a}, `ratio` k =
d·exp(dε²/C), `jl` and `jl_random` k = exp(dε²/C) with C = 8 (proven) and 3.029 (fitted to random vectors). Beside it
the excess log₁₀(k/k₀) over the same formula at ε₀ = z/√d, the overlap of a random table. Larger means more spread
cosines, not a better packing.

Reads. Moments of unit rows.

Null. The formula at the edge ε of n independent normal rows: about 21 d at d = 4096 by `full`, 22 d by `ratio`.

Fails when. μ + 2σ ≥ 0.1: the table is not nearly orthogonal, and the formula's value is vacuous (refused). The
constants come from k ≤ 32,000 and d ≤ 4096, beyond which the forms disagree by orders of magnitude (`extrapolated`). A
value below what greedy choice guarantees is no bound of any sort (`below_guarantee`). One per cent of ε is 8 to 20 per
cent of k.

Reference. Forms and constants [@guha2026representational]; greedy bound and null are of this project.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import OF_DIRECTIONS, Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.moments.cosine_edge import edge_of, pairs_of
from gedanken.instruments.nulls import law_band
from gedanken.kinds import Kind, Moments
from gedanken.status import Flag, Refusal
from gedanken.theory import cosines, packing

LN10 = math.log(10)


@final
@dataclass(frozen=True)
class PackingCapacity(Instrument):
    """log₁₀ k(d, ε) by one of the published forms."""

    form: str = "full"
    """A name in theory.packing.FORMS; `full` is what the published table uses [@guha2026representational]."""
    z: float = 2.0

    reads = Kind.moments
    of_tables = True
    variables = (
        Variable(
            "packing_capacity",
            "log₁₀ k",
            "1",
            "decimal logarithm of the number of directions that the form allows at (d, ε)",
            (0, None),
            aliases=("representational_capacity",),
        ),
        Variable(
            "packing_capacity_excess",
            "log₁₀ k/k₀",
            "1",
            "decimal logarithm of the capacity over that of a random table, at ε₀ = z/√d",
        ),
    )
    symmetries = OF_DIRECTIONS
    exchangeable = "point"

    def __post_init__(self):
        if self.form not in packing.FORMS:
            raise ValueError(f"there is no capacity form {self.form!r}; there are {', '.join(packing.FORMS)}")

    @property
    def preparation(self) -> str:
        return "unit"

    @classmethod
    def standard(cls) -> tuple["PackingCapacity", ...]:
        return cls(), cls("ratio"), cls("jl"), cls("jl_random"), cls(z=3.0)

    def measure(self, array: Moments, rng: np.random.Generator) -> Reading:
        edge, d = edge_of(array, self.z), array.dimension
        refuse_unless_near_orthogonal(pairs_of(array).edge())
        value, low, high = (self._log10(d, overlap) for overlap in (edge.value, edge.low, edge.high))
        null, flags = self._log10(d, self.z / math.sqrt(d)), edge.flags + self._flags(d, edge.value)
        return {
            "packing_capacity": Value(value, None, low, high, array.n, flags),
            "packing_capacity_excess": Value(value - null, None, low - null, high - null, array.n, flags),
        }

    def null(self, array: Moments, reading: Reading) -> dict[str, NullBand]:
        d, law = array.dimension, cosines.GaussianTwin(array.n, array.dimension).edge(self.z)
        edge, null = edge_of(array, self.z).value, self._log10(d, self.z / math.sqrt(d))
        return {
            "packing_capacity": law_band(edge, law, lambda overlap: self._log10(d, overlap)),
            "packing_capacity_excess": law_band(edge, law, lambda overlap: self._log10(d, overlap) - null),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        d = 1024
        at_zero = math.log10(d) if packing.FORMS[self.form].relative else 0.0
        expected = {
            "packing_capacity": (at_zero, 1e-12),
            "packing_capacity_excess": (at_zero - self._log10(d, self.z / math.sqrt(d)), 1e-12),
        }
        why = "ε = 0: d directions, or for the forms without d a single one"
        yield KnownCase("orthonormal rows", Moments.of(np.eye(d)), expected, why)
        refused = dict.fromkeys(expected, Flag.not_near_orthogonal)
        yield KnownCase("equal rows", Moments.of(np.tile(np.eye(8)[0], (8, 1))), refused, "ε = 1")

    def _log10(self, d: int, overlap: float) -> float:
        return packing.FORMS[self.form].log_capacity(d, overlap) / LN10

    def _flags(self, d: int, overlap: float) -> tuple[Flag, ...]:
        form = packing.FORMS[self.form]
        said = {
            Flag.clamped: form.is_clamped(d, overlap),
            Flag.extrapolated: form.is_extrapolated(d, overlap),
            Flag.below_guarantee: form.log_capacity(d, overlap) < packing.log_greedy_guarantee(overlap, d),
        }
        return tuple(flag for flag, applies in said.items() if applies)


def refuse_unless_near_orthogonal(edge: float) -> None:
    """Raises Refusal(not_near_orthogonal) if ε = μ + 2σ, whose classes the paper defines, is 0.1 or more."""
    if packing.orthogonality_class(edge) != "near_orthogonal":
        place = "lies in the gap from 0.1 to 0.2" if packing.orthogonality_class(edge) == "gap" else "is above 0.2"
        raise Refusal(
            Flag.not_near_orthogonal,
            f"ε = {edge:.3f} {place}: the rows are not nearly orthogonal, and a packing formula would be vacuous",
        )
