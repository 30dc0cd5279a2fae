"""Heat capacity of pooled rows: the law of total variance.

What. heat_capacity_pool_within = mean over rows of Var_p(z); heat_capacity_pool_between = variance over rows of the mean
logit ⟨z⟩_p. Their sum is the variance of a key drawn from a row drawn at random. Both in nat² ≥ 0.

Reads. ensemble. Rows with one key are left out.

Null. For the part within, that of heat_capacity_row_fraction. None for the part between: it moves with any shift of a
row's logits.

Fails when. The part between is read as physics. It also grows with the mere spread of the number of keys.

Reference. Law of total variance; fluctuation formula [@callen1985thermodynamics].
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
class HeatCapacityPool(Instrument):
    """Variance within rows and between them."""

    reads = Kind.ensemble
    variables = (
        Variable(
            "heat_capacity_pool_within",
            "C_within",
            "nat²",
            "mean over rows of Var_p(z)",
            (0, None),
            degree=None,
            no_null="its comparable form is heat_capacity_row_fraction, which has one",
        ),
        Variable(
            "heat_capacity_pool_between",
            "C_between",
            "nat²",
            "variance over rows of ⟨z⟩_p",
            (0, None),
            degree=None,
            no_null="a shift of a row's logits moves it and leaves attention as it is",
        ),
    )
    symmetries = OF_ENSEMBLES
    exchangeable = "prompt"

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        at, live = model_temperature(array), array.counts["rows"] > 0
        spread = tuple(part[live][:, at] for part in array.spreads["energy"])
        rows, _, squares = over_groups(spread)
        left = over_groups(spread, left_out=True)
        left_out = left[2] / left[0] if live.sum() > 1 else np.empty(0)
        return {
            "heat_capacity_pool_within": mean(array.sums["heat_capacity"][:, at], array.counts["rows"]),
            "heat_capacity_pool_between": valued(squares / rows, left_out, int(rows)),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        expected = {
            "heat_capacity_pool_within": (0.40659910, 1e-8),
            "heat_capacity_pool_between": (0.13631080, 1e-8),
        }
        yield KnownCase("two rows", known.ladder_and_pair(), expected, "printed digits")
