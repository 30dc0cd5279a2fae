"""What a vocabulary leaves of the directions that a packing formula allows.

What. feature_budget = k − mV and vocabulary_share = mV/k, with k the packing capacity, V the rows kept and m the number
of such tables that share the space: 1 if W_E is W_U or there is no W_U, 2 if they are separate. A negative budget is
reported as such. Both inherit the interval of k.

Reads. Moments of unit rows.

Null. The same with k at the edge ε of n independent normal rows.

Fails when. The capacity does (ε ≥ 0.1). V counts the tensor's rows, which may be more than the tokenizer's tokens.

Reference. [@guha2026representational].
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from gedanken.instruments.base import OF_DIRECTIONS, Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.moments.cosine_edge import edge_of
from gedanken.instruments.moments.packing_capacity import PackingCapacity
from gedanken.instruments.nulls import law_band
from gedanken.kinds import Kind, Moments
from gedanken.status import Flag
from gedanken.theory import cosines, packing


@final
@dataclass(frozen=True)
class VocabularyBudget(Instrument):
    """k − mV and mV/k."""

    form: str = "full"
    z: float = 2.0

    reads = Kind.moments
    of_tables = True
    variables = (
        Variable("feature_budget", "k − mV", "direction", "capacity minus the directions that the vocabulary takes"),
        Variable("vocabulary_share", "mV/k", "1", "the vocabulary's share of the capacity", (0, None), scale="log"),
    )
    symmetries = OF_DIRECTIONS
    exchangeable = "point"

    @property
    def preparation(self) -> str:
        return "unit"

    def measure(self, array: Moments, rng: np.random.Generator) -> Reading:
        capacity = PackingCapacity(self.form, self.z).measure(array, rng)["packing_capacity"]
        taken = array.tables * array.n
        value, low, high = (10**log_k for log_k in (capacity.value, capacity.low, capacity.high))
        return {
            "feature_budget": Value(value - taken, None, low - taken, high - taken, array.n, capacity.flags),
            "vocabulary_share": Value(taken / value, None, taken / high, taken / low, array.n, capacity.flags),
        }

    def null(self, array: Moments, reading: Reading) -> dict[str, NullBand]:
        d, taken, form = array.dimension, array.tables * array.n, packing.FORMS[self.form]
        edge, law = edge_of(array, self.z).value, cosines.GaussianTwin(array.n, d).edge(self.z)

        def capacity(overlap: float) -> float:
            return float(np.exp(form.log_capacity(d, overlap)))

        return {
            "feature_budget": law_band(edge, law, lambda overlap: capacity(overlap) - taken),
            "vocabulary_share": law_band(edge, law, lambda overlap: taken / capacity(overlap)),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        d = 1024
        expected = {"feature_budget": (0.0, 1e-9 * d), "vocabulary_share": (1.0, 1e-12)}
        yield KnownCase("orthonormal rows", Moments.of(np.eye(d)), expected, "ε = 0: k = d = V")
        two = {"feature_budget": (-d, 1e-9 * d), "vocabulary_share": (2.0, 1e-12)}
        yield KnownCase("two such tables", replace(Moments.of(np.eye(d)), tables=2), two, "ε = 0: k = d = V, m = 2")
        refused = dict.fromkeys(expected, Flag.not_near_orthogonal)
        yield KnownCase("equal rows", Moments.of(np.tile(np.eye(8)[0], (8, 1))), refused, "ε = 1")
