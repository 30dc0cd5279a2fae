"""Heat capacity of a batch: how the mean energy fluctuates from prompt to prompt.

What. heat_capacity_batch = Σ_s N_s (ū_s − ū)² / (prompts − 1) with ū_s the mean of u over the N_s rows of prompt s: for
prompts of equal length N · Var(ū_s). nat² ≥ 0.

Reads. ensemble. Rows with one key are left out.

Null. None: it moves with any shift of a row's logits. If each row's energy were that of one key drawn from its pattern, it
would equal heat_capacity_row; with the mean energy it is another quantity.

Fails when. There are fewer than two prompts, or their lengths differ much: then it measures the lengths.

Reference. Specific heat from fluctuations of the sampled energy [@landau2014guide, eq. 2.16].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Variable
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble._groups import OF_ENSEMBLES, model_temperature, valued
from gedanken.kinds import Ensemble, Kind
from gedanken.status import Flag, Refusal
from gedanken.theory.row_sums import over_groups


@final
@dataclass(frozen=True)
class HeatCapacityBatch(Instrument):
    """N · Var over prompts of the mean energy."""

    reads = Kind.ensemble
    variables = (
        Variable(
            "heat_capacity_batch",
            "C_batch",
            "nat²",
            "rows per prompt times the variance over prompts of mean u",
            (0, None),
            degree=None,
            no_null="a shift of a row's logits moves it and leaves attention as it is",
        ),
    )
    symmetries = OF_ENSEMBLES
    exchangeable = "prompt"

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        at, prompts = model_temperature(array), array.counts["prompts"]
        live = prompts > 0
        if prompts.sum() < 3:
            raise Refusal(Flag.too_small, f"{int(prompts.sum())} prompts with two keys, where 3 are needed")
        spread = tuple(part[live][:, at] for part in array.spreads["prompt_energy"])
        squares = over_groups(spread)[2]
        left = over_groups(spread, left_out=True)[2]
        rest = prompts.sum() - prompts[live] - 1
        left_out = left / rest if (rest > 0).all() else np.empty(0)
        return {"heat_capacity_batch": valued(squares / (prompts.sum() - 1), left_out, int(prompts.sum()))}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        yield KnownCase("equal prompts", known.ladder(), {"heat_capacity_batch": (0.0, 1e-12)}, "no fluctuation")
        # Two rows of equal logits c in each of three prompts, c = 0, 1, 2: N · Var(c) = 2 · 1.
        shifted = known.of_logits([np.full((2, 3), c) for c in (0.0, 1.0, 2.0)])
        yield KnownCase("three shifts", shifted, {"heat_capacity_batch": (2.0, 1e-12)}, "rounding")
        few = known.of_logits([np.zeros((2, 3))])
        yield KnownCase("one prompt", few, {"heat_capacity_batch": Flag.too_small}, "no fluctuation to see")
