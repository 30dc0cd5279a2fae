"""Heat capacity of attention rows: the variance of the logits under the row's own pattern.

What. heat_capacity_row = mean over rows of Var_p(z) = Var_p(ln p), in nat², also called varentropy;
heat_capacity_row_fraction = mean of C/C_max(n) ∈ [0, 1], C_max the largest of any row of n keys; …_without_sink: the
same without each prompt's first key; heat_capacity_schottky_excess: the fraction minus that of the two-level row with the
measured gap (largest minus second logit, all others degenerate with the second), and …_schottky_mean_excess with the gap
to the mean of the others.

Reads. ensemble. Rows with one key are left out.

Null. Random energies of the measured logit scale and number of keys, exact mean and variance, rows independent.

Fails when. No row sees two keys. With n fixed it is bounded, so it cannot diverge; it peaks as the logit scale grows
through √(2 ln n), whatever the model learns.

Reference. Fluctuation formula [@callen1985thermodynamics]; bound [@pathria2011statistical, § 7.3]; null [@derrida1981random];
heat capacity of attention [@kim2026thermodynamics].
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble._groups import OF_ENSEMBLES, mean, model_temperature, normal_band, random_energies
from gedanken.kinds import Ensemble, Kind
from gedanken.status import Refusal

_FRACTION = "its comparable form is heat_capacity_row_fraction, which has one"
_DIFFERENCE = "it is the difference from a null, 0 there"


@final
@dataclass(frozen=True)
class HeatCapacityRow(Instrument):
    """Mean of Var_p(z) and of its share of the largest possible."""

    reads = Kind.ensemble
    variables = (
        Variable(
            "heat_capacity_row",
            "C",
            "nat²",
            "mean Var_p(z)",
            (0, None),
            None,
            no_null=_FRACTION,
            aliases=("varentropy",),
        ),
        Variable("heat_capacity_row_fraction", "C/C_max", "1", "mean Var_p(z)/C_max(n)", (0, 1), None),
        Variable(
            "heat_capacity_row_fraction_without_sink",
            "C′/C_max",
            "1",
            "mean Var_p(z)/C_max(n) without the first key",
            (0, 1),
            None,
            no_null=_FRACTION,
        ),
        Variable(
            "heat_capacity_schottky_excess",
            "ΔC/C_max",
            "1",
            "mean C/C_max minus that of two levels at the gap to the second key",
            (-1, 1),
            None,
            no_null=_DIFFERENCE,
        ),
        Variable(
            "heat_capacity_schottky_mean_excess",
            "ΔC̄/C_max",
            "1",
            "mean C/C_max minus that of two levels at the gap to the mean of the others",
            (-1, 1),
            None,
            no_null=_DIFFERENCE,
        ),
    )
    symmetries = OF_ENSEMBLES
    exchangeable = "prompt"

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        at, rows = model_temperature(array), array.counts["rows"]
        share = array.sums["heat_capacity_share"][:, at]
        return {
            "heat_capacity_row": mean(array.sums["heat_capacity"][:, at], rows),
            "heat_capacity_row_fraction": mean(share, rows),
            "heat_capacity_row_fraction_without_sink": _without(array, at),
            "heat_capacity_schottky_excess": mean(share - array.sums["schottky_share"][:, at], rows),
            "heat_capacity_schottky_mean_excess": mean(share - array.sums["schottky_mean_share"][:, at], rows),
        }

    def null(self, array: Ensemble, reading: Reading) -> Mapping[str, NullBand]:
        null = random_energies(array)
        at, found = model_temperature(array), reading["heat_capacity_row_fraction"]
        return {
            "heat_capacity_row_fraction": normal_band(
                found.value, float(null.heat_capacity[at]), float(null.deviation[at]), "random_energies"
            )
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        one = {
            "heat_capacity_row": (0.6165862749, 1e-10),
            "heat_capacity_row_fraction": (0.6165862749 / 1.023490548, 1e-8),
        }
        yield KnownCase("E = 0, 2, 4, 6 at T = 2", known.ladder(), one, "printed digits")
        two = np.array([[2.84498897, 0.0, 0.0, 0.0]] * 2)
        most = {"heat_capacity_row_fraction": (1.0, 1e-8), "heat_capacity_schottky_excess": (0.0, 1e-12)}
        most |= {"heat_capacity_schottky_mean_excess": (0.0, 1e-12)}
        yield KnownCase("two levels at the largest C", known.of_logits([two, two]), most, "the bound; gap to 8 digits")
        flat = {"heat_capacity_row": (0.0, 1e-12), "heat_capacity_row_fraction_without_sink": (0.0, 1e-12)}
        yield KnownCase("equal logits", known.of_logits([np.zeros((3, 9))] * 2), flat, "no variance")


def _without(array: Ensemble, at: int) -> Value | Refusal:
    try:
        return mean(array.sums["heat_capacity_share_without"][:, at], array.counts["rows_without"])
    except Refusal as refusal:
        return refusal
