"""Field alignment: how far the query turns the mean key, as a field turns a dipole.

What. field_alignment = mean over rows of m∥ = q̂·Σ p k' / Σ p|k'| ∈ [−1, 1], k' = k − mean of the row's keys;
field_strength = mean of x̄ = |q| mean|k'| / T, no unit, ≥ 0.

Reads. ensemble, of an even sample of rows (flag `sampled`).

Null. Isotropic twin: the same field, number of keys and key lengths, directions redrawn uniformly; one draw for each
sampled row, band of the mean for independent rows.

Fails when. Logits have a soft cap or a bias, or only logits were seen: then −q·k is not the energy.

Reference. Dipoles in a field [@kim2026thermodynamics]; free dipoles [@mardia2000directional, § 9.3.2]; the twin is ours.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, NullBand, Reading, Variable
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble._groups import OF_ENSEMBLES, normal_band, sampled_mean
from gedanken.kinds import Ensemble, Kind
from gedanken.status import Flag
from gedanken.theory import ensembles


@final
@dataclass(frozen=True)
class FieldAlignment(Instrument):
    """Mean m∥ and mean x̄."""

    reads = Kind.ensemble
    variables = (
        Variable("field_alignment", "m∥", "1", "mean of q̂·Σ p k' / Σ p|k'|", (-1, 1), None),
        Variable(
            "field_strength",
            "x̄",
            "1",
            "mean of |q| mean|k'| / T",
            (0, None),
            None,
            no_null="the isotropic twin has the same",
        ),
    )
    symmetries = OF_ENSEMBLES
    exchangeable = "prompt"

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        return {
            "field_alignment": sampled_mean(array, "alignment"),
            "field_strength": sampled_mean(array, "strength"),
        }

    def null(self, array: Ensemble, reading: Reading) -> Mapping[str, NullBand]:
        rows, twin, squares = (float(array.dipoles[name].sum()) for name in ("rows", "twin", "twin_squares"))
        middle = twin / rows
        deviation = np.sqrt(max(squares / rows - middle**2, 0.0) / rows)
        return {"field_alignment": normal_band(reading["field_alignment"].value, middle, float(deviation), "isotropic_twin")}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        # Keys ±e with the query along e, T = 1: row 2 sees both, centred keys are ±e, so m∥ = tanh|q|.
        axis = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
        pair = known.of_points([(np.tile([[1.5, 0.0, 0.0]], (2, 1)), axis)] * 3, 1.0)
        expected = {"field_alignment": (np.tanh(1.5), 1e-9), "field_strength": (1.5, 1e-12)}
        yield KnownCase("two opposite keys", pair, expected, "rounding")
        turned = ensembles.haar_orthogonal(4, rng)
        none = known.of_points([(np.zeros((4, 4)), turned)] * 2, 1.0)
        yield KnownCase("no field", none, {"field_alignment": (0.0, 1e-12)}, "uniform weights of centred keys")
        logits = known.ladder()
        yield KnownCase("logits alone", logits, {"field_alignment": Flag.unseen}, "no keys")
