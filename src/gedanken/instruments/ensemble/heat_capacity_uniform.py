"""Heat capacity at uniform weights: the variance of a row's logits with every key counted once.

What. heat_capacity_uniform = mean over rows of the plain variance of z over the visible keys, nat² ≥ 0: the limit of
τ²C_row at high temperature.

Reads. ensemble. Rows with one key are left out.

Null. It sets the scale of the random energies that are the null of heat_capacity_row, so it has none itself.

Fails when. Taken for the canonical heat capacity: it knows nothing of the pattern.

Reference. High-temperature expansion [@callen1985thermodynamics].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Variable
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble._groups import OF_ENSEMBLES, mean, model_temperature
from gedanken.kinds import Ensemble, Kind


@final
@dataclass(frozen=True)
class HeatCapacityUniform(Instrument):
    """Mean over rows of Var z, unweighted."""

    reads = Kind.ensemble
    variables = (
        Variable(
            "heat_capacity_uniform",
            "C_∞",
            "nat²",
            "mean over rows of the unweighted variance of z",
            (0, None),
            degree=None,
            no_null="it sets the scale of the null of heat_capacity_row",
        ),
    )
    symmetries = OF_ENSEMBLES
    exchangeable = "prompt"

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        model_temperature(array)
        return {"heat_capacity_uniform": mean(array.counts["uniform_variance"], array.counts["rows"])}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        case = {"heat_capacity_uniform": (0.75, 1e-12)}
        yield KnownCase("variances 1.25 and 0.25", known.ladder_and_pair(), case, "rounding")
