"""Heat capacity of the landscape: the variance of all logits of a head, unweighted.

What. heat_capacity_landscape = variance of z pooled over prompts, queries and keys; heat_capacity_landscape_centred: after
each row's mean is taken off, which equals Σ n·Var_row / Σ n. Both in nat² ≥ 0.

Reads. ensemble. Rows with one key are left out.

Null. None: the pooled one moves with any shift of a row's logits, and the centred one sets the scale of random energies.

Fails when. The uncentred one is read as physics: a common vector added to all keys moves it and leaves attention as it is.
The centred one is no witness beside heat_capacity_uniform.

Reference. Fluctuations of the attention energy landscape [@kim2026thermodynamics]; this estimator is one reading of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Variable
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble._groups import OF_ENSEMBLES, mean, model_temperature, valued
from gedanken.kinds import Ensemble, Kind
from gedanken.theory.row_sums import over_groups


@final
@dataclass(frozen=True)
class HeatCapacityLandscape(Instrument):
    """Variance of z over all row–key pairs."""

    reads = Kind.ensemble
    variables = (
        Variable(
            "heat_capacity_landscape",
            "C_land",
            "nat²",
            "variance of z over prompts, queries and keys",
            (0, None),
            degree=None,
            no_null="a shift of a row's logits moves it and leaves attention as it is",
        ),
        Variable(
            "heat_capacity_landscape_centred",
            "C_land,c",
            "nat²",
            "variance of z − z̄ of its row over prompts, queries and keys",
            (0, None),
            degree=None,
            no_null="it is the squared scale of the random energies that are the null of heat_capacity_row",
        ),
    )
    symmetries = OF_ENSEMBLES
    exchangeable = "prompt"

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        model_temperature(array)
        spread = array.spreads["landscape"]
        live = spread[0] > 0
        spread = tuple(part[live] for part in spread)
        pairs, _, squares = over_groups(spread)
        left = over_groups(spread, left_out=True)
        left_out = left[2] / left[0] if live.sum() > 1 else np.empty(0)
        centred = mean(array.by_n["squares"].sum(axis=1), array.spreads["landscape"][0])
        return {
            "heat_capacity_landscape": valued(squares / pairs, left_out, int(pairs)),
            "heat_capacity_landscape_centred": centred,
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        expected = {
            "heat_capacity_landscape": (1.41666667, 1e-8),
            "heat_capacity_landscape_centred": (0.91666667, 1e-8),
        }
        yield KnownCase("two rows", known.ladder_and_pair(), expected, "printed digits")
