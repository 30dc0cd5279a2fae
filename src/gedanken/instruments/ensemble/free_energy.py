"""Free energy and energy of attention rows.

What. energy = mean over rows of u = −⟨z⟩_p and free_energy = mean of −ln Z, in nat (f = u − S); …_raw: U = T u and
F = T f in units of q·k, T = 1/scale; …_centred: with each row's mean logit taken off, which no common vector added to all
keys can move; free_energy_per_key = mean of ln n − ln Z, which rows that see different numbers n of keys share, and
…_without_sink, energy and the latter without each prompt's first key.

Reads. ensemble. Rows with one key are left out.

Null. None for the energies themselves: any shift of a row's logits moves them. The centred ones are those of random
energies where attention_entropy_excess is 0.

Fails when. Read as more than a gauge: only differences and the centred values mean anything.

Reference. Canonical ensemble [@callen1985thermodynamics]; its reading of attention [@kim2026thermodynamics].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble._groups import OF_ENSEMBLES, mean, model_temperature
from gedanken.kinds import Ensemble, Kind
from gedanken.status import Refusal

_GAUGE = "a shift of a row's logits moves it and leaves attention as it is"
_CENTRED = "its comparison with random energies is that of attention_entropy and heat_capacity_row"


@final
@dataclass(frozen=True)
class FreeEnergy(Instrument):
    """Means of −⟨z⟩ and −ln Z."""

    reads = Kind.ensemble
    variables = (
        Variable("energy", "u", "nat", "mean −⟨z⟩_p", degree=None, no_null=_GAUGE),
        Variable("free_energy", "f", "nat", "mean −ln Z", degree=None, no_null=_GAUGE),
        Variable("energy_raw", "U", "q·k", "T · mean −⟨z⟩_p", degree=None, no_null=_GAUGE),
        Variable("free_energy_raw", "F", "q·k", "−T · mean ln Z", degree=None, no_null=_GAUGE),
        Variable("energy_centred", "u − ū", "nat", "mean of z̄ − ⟨z⟩_p", degree=None, no_null=_CENTRED),
        Variable("free_energy_centred", "f − ū", "nat", "mean of z̄ − ln Z", degree=None, no_null=_CENTRED),
        Variable("energy_without_sink", "u′", "nat", "mean −⟨z⟩_p without the first key", degree=None, no_null=_GAUGE),
        Variable("free_energy_per_key", "f + ln n", "nat", "mean −ln Z/n", degree=None, no_null=_GAUGE),
        Variable("free_energy_per_key_without_sink", "f′ + ln n′", "nat", "mean −ln Z/n without the first key", degree=None,
                 no_null=_GAUGE),
    )  # fmt: skip
    symmetries = OF_ENSEMBLES
    version = 2
    exchangeable = "prompt"

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        at, rows = model_temperature(array), array.counts["rows"]
        energy, free, middle = (
            -array.sums["logit"][:, at],
            -array.sums["log_partition"][:, at],
            array.counts["uniform_mean"],
        )
        return {
            "energy": mean(energy, rows),
            "free_energy": mean(free, rows),
            "energy_raw": mean(energy, rows, array.temperature),
            "free_energy_raw": mean(free, rows, array.temperature),
            "energy_centred": mean(energy + middle, rows),
            "free_energy_centred": mean(free + middle, rows),
            "free_energy_per_key": mean(free + array.by_n["log_n"].sum(axis=1), rows),
            "energy_without_sink": _without(array, -array.sums["logit_without"][:, at]),
            "free_energy_per_key_without_sink": _without(
                array, array.counts["log_n_without"] - array.sums["log_partition_without"][:, at]
            ),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        expected = {
            "energy": (1.0146945308 / 2, 1e-10),
            "free_energy": (-0.4401896986, 1e-10),
            "energy_raw": (1.0146945308, 1e-10),
            "free_energy_raw": (-0.8803793971, 1e-10),
            "energy_centred": (1.0146945308 / 2 - 1.5, 1e-10),
            "free_energy_centred": (-0.4401896986 - 1.5, 1e-10),
            "free_energy_per_key": (-0.4401896986 + np.log(4), 1e-10),
            # Without the key of energy 0: 2, 4 and 6.
            "energy_without_sink": ((1 + 2 * np.exp(-1) + 3 * np.exp(-2)) / (1 + np.exp(-1) + np.exp(-2)), 1e-10),
            "free_energy_per_key_without_sink": (1 - np.log((1 + np.exp(-1) + np.exp(-2)) / 3), 1e-10),
        }
        yield KnownCase("E = 0, 2, 4, 6 at T = 2", known.ladder(), expected, "printed digits")


def _without(array: Ensemble, above: np.ndarray) -> Value | Refusal:
    try:
        return mean(above, array.counts["rows_without"])
    except Refusal as refusal:
        return refusal
