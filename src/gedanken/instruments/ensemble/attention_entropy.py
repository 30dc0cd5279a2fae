"""Attention entropy: how many keys a query spreads over, in nat.

What. attention_entropy = mean over rows of S = −Σ p ln p; attention_entropy_normalised = mean of S/ln n ∈ [0, 1], the one
to compare, because rows see different numbers n of keys; …_without_sink: the same of p without each prompt's first key,
renormalised; …_excess: the normalised one minus that of random energies of the same logit scale.

Reads. ensemble. Rows with one key are left out.

Null. Random energies, as a difference: attention_entropy_excess is 0 for independent normal logits of the measured scale.

Fails when. No row sees two keys. It is low for a head with large logits whatever they say.

Reference. Entropy of the canonical ensemble [@callen1985thermodynamics]; random energies [@derrida1981random].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Variable
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble._groups import OF_ENSEMBLES, mean, model_temperature, random_energies, ratio, valued
from gedanken.kinds import Ensemble, Kind
from gedanken.status import Refusal

_EXCESS = "attention_entropy_excess compares it with random energies"


@final
@dataclass(frozen=True)
class AttentionEntropy(Instrument):
    """Mean of −Σ p ln p and of its share of ln n."""

    reads = Kind.ensemble
    variables = (
        Variable("attention_entropy", "S", "nat", "mean −Σ p ln p", (0, None), degree=None, no_null=_EXCESS),
        Variable("attention_entropy_normalised", "S/ln n", "1", "mean S/ln n", (0, 1), degree=None, no_null=_EXCESS),
        Variable(
            "attention_entropy_without_sink",
            "S′/ln n′",
            "1",
            "mean S/ln n without the first key",
            (0, 1),
            degree=None,
            no_null=_EXCESS,
        ),
        Variable(
            "attention_entropy_excess",
            "ΔS/ln n",
            "1",
            "mean S/ln n minus that of random energies",
            (-1, 1),
            degree=None,
            no_null="it is the difference from a null, 0 there",
        ),
    )
    symmetries = OF_ENSEMBLES
    exchangeable = "prompt"

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        at, rows = model_temperature(array), array.counts["rows"]
        share = array.sums["entropy_share"][:, at]
        value, left_out = ratio(share, rows)
        # The null's own sampling error is far below that of the rows: it has their logit scale, over all groups.
        null = random_energies(array).entropy[at]
        return {
            "attention_entropy": mean(array.sums["entropy"][:, at], rows),
            "attention_entropy_normalised": mean(share, rows),
            "attention_entropy_without_sink": _without(array, at),
            "attention_entropy_excess": valued(value - null, left_out - null, int(rows.sum())),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        one = {
            "attention_entropy": (0.9475369640, 1e-10),
            "attention_entropy_normalised": (0.9475369640 / np.log(4), 1e-10),
        }
        yield KnownCase("E = 0, 2, 4, 6 at T = 2", known.ladder(), one, "printed digits")
        flat = {"attention_entropy_normalised": (1.0, 1e-12), "attention_entropy_without_sink": (1.0, 1e-12)}
        yield KnownCase("equal logits", known.of_logits([np.zeros((3, 9))] * 2), flat, "S = ln n exactly")
        # S of a row has standard deviation 0.35 of ln 64 at most: 4 standard errors of 2000 rows.
        expected = {"attention_entropy_excess": (0.0, 4 * 0.35 / 2000**0.5 / np.log(64))}
        yield KnownCase("normal logits, σ = 2", known.noise(rng, 2.0, 64), expected, "4 standard errors")


def _without(array: Ensemble, at: int):
    try:
        return mean(array.sums["entropy_share_without"][:, at], array.counts["rows_without"])
    except Refusal as refusal:
        return refusal
