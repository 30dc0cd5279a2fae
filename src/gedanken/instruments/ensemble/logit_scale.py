"""Logit scale and gap: how far apart a row's logits lie.

What. logit_scale = σ, the standard deviation of row-centred logits with divisor Σ(n − 1); logit_gap = mean over rows of the
largest minus the second logit; logit_gap_mean = mean of the largest minus the mean of the others. In nat, ≥ 0.

Reads. ensemble. Rows with one key are left out.

Null. None: they are what the nulls of the heat capacity are made from.

Fails when. Logits are far from normal (a sink): then σ is that of the outlier.

Reference. Scale of random energies [@derrida1981random]; role of the logit scale in attention [@zhai2023stabilizing, § 3].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Variable
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble._groups import OF_ENSEMBLES, mean, model_temperature, ratio, valued
from gedanken.kinds import Ensemble, Kind

_NULLS = "it is what the nulls of the heat capacity are made from"


@final
@dataclass(frozen=True)
class LogitScale(Instrument):
    """σ of row-centred logits, and the gap above the second key."""

    reads = Kind.ensemble
    variables = (
        Variable(
            "logit_scale", "σ", "nat", "standard deviation of row-centred logits", (0, None), None, no_null=_NULLS
        ),
        Variable("logit_gap", "z₁ − z₂", "nat", "mean of largest minus second logit", (0, None), None, no_null=_NULLS),
        Variable(
            "logit_gap_mean",
            "z₁ − z̄",
            "nat",
            "mean of largest logit minus the mean of the others",
            (0, None),
            None,
            no_null=_NULLS,
        ),
    )
    symmetries = OF_ENSEMBLES
    exchangeable = "prompt"

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        model_temperature(array)
        rows = array.counts["rows"]
        squared, left_out = ratio(array.by_n["squares"].sum(axis=1), array.by_n["freedom"].sum(axis=1))
        return {
            "logit_scale": valued(np.sqrt(squared), np.sqrt(left_out), int(rows.sum())),
            "logit_gap": mean(array.counts["gap"], rows),
            "logit_gap_mean": mean(array.counts["gap_mean"], rows),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        expected = {"logit_scale": ((5 / 3) ** 0.5, 1e-12), "logit_gap": (1.0, 1e-12), "logit_gap_mean": (2.0, 1e-12)}
        yield KnownCase("z = 0, −1, −2, −3", known.ladder(), expected, "rounding")
        # 126,000 degrees of freedom: σ̂ has standard error σ/√(2·126000), and 4 of them are allowed.
        case = {"logit_scale": (2.0, 4 * 2.0 / 252000**0.5)}
        yield KnownCase("normal logits, σ = 2", known.noise(rng, 2.0, 64), case, "4 standard errors")
