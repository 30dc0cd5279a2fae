"""Sink mass: the share of attention on a prompt's first key.

What. sink_mass = mean over rows that see it of p of the prompt's first key, ∈ [0, 1]. A head with more than 0.3 is called
an attention sink.

Reads. ensemble. Rows with one key, and rows whose window has left the first key behind, are left out.

Null. None that is a model: at uniform attention it would be the mean of 1/n.

Fails when. The first token is no token of the text but a marker: then a sink is where it should be.

Reference. Streaming with sinks [@xiao2024streaming]; the score and 0.3 [@gu2025sink, eq. 7].
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
class SinkMass(Instrument):
    """Mean p of the first key."""

    reads = Kind.ensemble
    variables = (
        Variable(
            "sink_mass",
            "p₁",
            "1",
            "mean attention weight of the prompt's first key",
            (0, 1),
            degree=None,
            no_null="no model of a head without a sink keeps everything else",
        ),
    )
    symmetries = OF_ENSEMBLES
    exchangeable = "prompt"

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        at = model_temperature(array)
        return {"sink_mass": mean(array.sums["sink"][:, at], array.counts["sink_rows"])}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        yield KnownCase("E = 0, 2, 4, 6 at T = 2", known.ladder(), {"sink_mass": (0.64391426, 1e-8)}, "printed digits")
        yield KnownCase(
            "equal logits", known.of_logits([np.zeros((2, 8))] * 2), {"sink_mass": (0.125, 1e-12)}, "1/8 exactly"
        )
