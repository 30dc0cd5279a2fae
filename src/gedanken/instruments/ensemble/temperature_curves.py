"""Attention against temperature: entropy, heat capacity and energies of a head whose logits are divided by τ.

What. Means over rows at τ = T'/T from 1/4 to 4: temperature_entropy S/ln n ∈ [0, 1]; temperature_heat_capacity
C/C_max(n) ∈ [0, 1]; temperature_energy and temperature_free_energy, in nat at the row's own T: z̄ − ⟨z⟩_p and
z̄ − τ ln Σ e^{z/τ}, centred by the row's mean logit z̄; the first two …_without_sink, without each prompt's first key;
two_levels_…: the four of the row that has the measured gap between its largest logit and all others.

Reads. ensemble. Rows with one key are left out.

Null. Random energies of the measured logit scale: the band of the heat capacity, the middle of the others. Two levels at the
measured gap are the second: their curves stand beside the measured ones.

Fails when. No row sees two keys. A peak in the heat capacity is no transition: with n keys all curves are smooth.

Reference. Canonical ensemble [@callen1985thermodynamics]; random energies [@derrida1981random]; two levels
[@pathria2011statistical, § 7.3].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Variable
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble._groups import OF_ENSEMBLES, curve, model_temperature, random_energies
from gedanken.instruments.nulls import NORMAL_975
from gedanken.kinds import Ensemble, Kind
from gedanken.status import Refusal
from gedanken.theory import canonical, schottky
from gedanken.theory.row_sums import GRID

_WHOLE = "random energies are made for all keys"
_TWO = "it is itself what the measured curve is held against"


@final
@dataclass(frozen=True)
class TemperatureCurves(Instrument):
    """S, C, U and F against τ, and those of two levels."""

    reads = Kind.ensemble
    variables = (
        Variable("temperature_entropy", "S(τ)", "1", "mean S/ln n at τ", (0, 1), None, curve=True),
        Variable("temperature_heat_capacity", "C(τ)", "1", "mean C/C_max(n) at τ", (0, 1), None, curve=True),
        Variable("temperature_energy", "U(τ)", "nat", "mean z̄ − ⟨z⟩_p at τ", degree=None, curve=True),
        Variable("temperature_free_energy", "F(τ)", "nat", "mean z̄ − τ ln Z(τ)", degree=None, curve=True),
        Variable("temperature_entropy_without_sink", "S′(τ)", "1", "mean S/ln n without the first key, at τ", (0, 1), None,
                 curve=True, no_null=_WHOLE),
        Variable("temperature_heat_capacity_without_sink", "C′(τ)", "1", "mean C/C_max(n) without the first key, at τ", (0, 1),
                 None, curve=True, no_null=_WHOLE),
        Variable("two_levels_entropy", "S₂(τ)", "1", "mean S/ln n of two levels at the measured gap, at τ",
                 (0, 1), None, curve=True, no_null=_TWO),
        Variable("two_levels_heat_capacity", "C₂(τ)", "1", "mean C/C_max(n) of two levels at the measured gap, at τ",
                 (0, 1), None, curve=True, no_null=_TWO),
        Variable("two_levels_energy", "U₂(τ)", "nat", "mean z̄ − ⟨z⟩_p of two levels at the measured gap, at τ",
                 degree=None, curve=True, no_null=_TWO),
        Variable("two_levels_free_energy", "F₂(τ)", "nat", "mean z̄ − τ ln Z(τ) of two levels at the measured gap",
                 degree=None, curve=True, no_null=_TWO),
    )  # fmt: skip
    symmetries = OF_ENSEMBLES
    exchangeable = "prompt"
    version = 2

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        model_temperature(array)
        rows, sums, null = array.counts["rows"], array.sums, random_energies(array)
        spread = NORMAL_975 * null.deviation
        band = {"null_low": null.heat_capacity - spread, "null_high": null.heat_capacity + spread}
        centre = array.counts["uniform_mean"][:, None]
        free = centre - array.temperatures * sums["log_partition"]

        def beside(measured: np.ndarray, middle: np.ndarray):
            return curve(array, measured, rows, null_low=middle, null_high=middle)

        return {
            "temperature_entropy": beside(sums["entropy_share"], null.entropy),
            "temperature_heat_capacity": curve(array, sums["heat_capacity_share"], rows, **band),
            "temperature_energy": beside(centre - sums["logit"], null.energy),
            "temperature_free_energy": beside(free, null.free_energy),
            "temperature_entropy_without_sink": _without(array, "entropy_share"),
            "temperature_heat_capacity_without_sink": _without(array, "heat_capacity_share"),
            "two_levels_entropy": curve(array, sums["schottky_entropy_share"], rows),
            "two_levels_heat_capacity": curve(array, sums["schottky_share"], rows),
            "two_levels_energy": curve(array, sums["schottky_energy"], rows),
            "two_levels_free_energy": curve(array, sums["schottky_free_energy"], rows),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        ladder, pair = np.array([0.0, -1.0, -2.0, -3.0]), np.array([0.0, -1.0, -1.0, -1.0])
        expected = {f"temperature_{name}": found for name, found in _of_row(ladder).items()}
        rest = _of_row(ladder[1:])
        expected |= {f"temperature_{name}_without_sink": rest[name] for name in ("entropy", "heat_capacity")}
        # The ladder's gap is 1: its two levels are those of the pair.
        two = {f"two_levels_{name}": found for name, found in _of_row(pair).items()}
        yield KnownCase("E = 0, 2, 4, 6", known.ladder(), expected | two, "rounding")
        levels = known.of_logits([pair[None]] * 2)
        yield KnownCase(
            "two levels", levels, {name.replace("two_levels", "temperature"): x for name, x in two.items()}, "same"
        )


def _without(array: Ensemble, name: str) -> Curve | Refusal:
    try:
        return curve(array, array.sums[f"{name}_without"], array.counts["rows_without"])
    except Refusal as refusal:
        return refusal


def _of_row(z: np.ndarray) -> dict[str, tuple[np.ndarray, float]]:
    """The four curves of one row."""
    found = [canonical.row(z, 1 / tau) for tau in GRID]
    partition, energy, entropy, capacity = (np.array(column) for column in zip(*found, strict=True))
    return {
        "entropy": (entropy / np.log(len(z)), 1e-12),
        "heat_capacity": (capacity / schottky.largest(len(z)), 1e-12),
        "energy": (GRID * energy + z.mean(), 1e-12),
        "free_energy": (-GRID * partition + z.mean(), 1e-12),
    }
