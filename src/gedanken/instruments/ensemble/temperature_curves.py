"""Attention against temperature: entropy, heat capacity and energies of a head whose logits are divided by τ.

What. Means over rows at τ = T'/T from 1/4 to 4: temperature_entropy S/ln n ∈ [0, 1]; temperature_heat_capacity
C/C_max(n) ∈ [0, 1]; temperature_energy and temperature_free_energy, in nat at the row's own T: z̄ − ⟨z⟩_p and
z̄ − τ ln Σ e^{z/τ}, centred by the row's mean logit z̄.

Reads. ensemble. Rows with one key are left out.

Null. Random energies of the measured logit scale: the band of the heat capacity, the middle of the entropy.

Fails when. No row sees two keys. A peak in the heat capacity is no transition: with n keys all curves are smooth.

Reference. Canonical ensemble [@callen1985thermodynamics]; random energies [@derrida1981random].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Variable
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble._groups import OF_ENSEMBLES, curve, model_temperature, random_energies
from gedanken.instruments.nulls import NORMAL_975
from gedanken.kinds import Ensemble, Kind
from gedanken.theory import canonical, schottky
from gedanken.theory.row_sums import GRID

_ENERGY = "its comparison with random energies is that of the heat capacity"


@final
@dataclass(frozen=True)
class TemperatureCurves(Instrument):
    """S, C, U and F against τ."""

    reads = Kind.ensemble
    variables = (
        Variable("temperature_entropy", "S(τ)", "1", "mean S/ln n at τ", (0, 1), None, curve=True),
        Variable("temperature_heat_capacity", "C(τ)", "1", "mean C/C_max(n) at τ", (0, 1), None, curve=True),
        Variable("temperature_energy", "U(τ)", "nat", "mean z̄ − ⟨z⟩_p at τ", degree=None, curve=True, no_null=_ENERGY),
        Variable(
            "temperature_free_energy", "F(τ)", "nat", "mean z̄ − τ ln Z(τ)", degree=None, curve=True, no_null=_ENERGY
        ),
    )
    symmetries = OF_ENSEMBLES
    exchangeable = "prompt"

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        model_temperature(array)
        rows, sums = array.counts["rows"], array.sums
        capacity, entropy, deviation = random_energies(array)
        band = {"null_low": capacity - NORMAL_975 * deviation, "null_high": capacity + NORMAL_975 * deviation}
        centre = array.counts["uniform_mean"][:, None]
        return {
            "temperature_entropy": curve(array, sums["entropy_share"], rows, null_low=entropy, null_high=entropy),
            "temperature_heat_capacity": curve(array, sums["heat_capacity_share"], rows, **band),
            "temperature_energy": curve(array, centre - sums["logit"], rows),
            "temperature_free_energy": curve(array, centre - array.temperatures * sums["log_partition"], rows),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        z = np.array([0.0, -1.0, -2.0, -3.0])
        found = [canonical.row(z, 1 / tau) for tau in GRID]
        entropy, capacity, energy, partition = (
            np.array(column)
            for column in zip(*((r.entropy, r.heat_capacity, r.energy, r.log_partition) for r in found), strict=True)
        )
        expected = {
            "temperature_entropy": (entropy / np.log(4), 1e-12),
            "temperature_heat_capacity": (capacity / schottky.largest(4), 1e-12),
            "temperature_energy": (GRID * energy - 1.5, 1e-12),
            "temperature_free_energy": (-GRID * partition - 1.5, 1e-12),
        }
        yield KnownCase("E = 0, 2, 4, 6", known.ladder(), expected, "rounding")
