"""Field alignment: how far the query turns the mean key, as a field turns a dipole.

What. field_alignment = mean over rows of m∥ = q̂·Σ p k' / Σ p|k'| ∈ [−1, 1], k' = k − mean of the row's keys;
field_alignment_swapped = the same with each row's query among the keys that a row of another prompt sees; field_strength
= mean of x̄ = |q| mean|k'| / T, no unit, ≥ 0.

Reads. ensemble, of an even sample of rows (flag `sampled`).

Null. Isotropic twin: the same field, number of keys and key lengths, directions redrawn uniformly; one draw for each
sampled row, band of the mean for independent rows.

Fails when. There is one prompt: then nothing is swapped. Logits have a soft cap or a bias, or only logits were seen: then
−q·k is not the energy.

Reference. Dipoles in a field [@kim2026thermodynamics]; free dipoles [@mardia2000directional, § 9.3.2]; the twin is ours.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble._groups import OF_ENSEMBLES, mean, normal_band, sampled, sampled_mean
from gedanken.kinds import Ensemble, Kind
from gedanken.status import Flag, Refusal
from gedanken.theory import ensembles


@final
@dataclass(frozen=True)
class FieldAlignment(Instrument):
    """Mean m∥ and mean x̄."""

    reads = Kind.ensemble
    variables = (
        Variable("field_alignment", "m∥", "1", "mean of q̂·Σ p k' / Σ p|k'|", (-1, 1), None),
        Variable(
            "field_alignment_swapped",
            "m∥ˢ",
            "1",
            "mean of q̂·Σ p k' / Σ p|k'| with keys of another prompt",
            (-1, 1),
            None,
            no_null="it is itself what field_alignment is held against",
        ),
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
    version = 3

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        return {
            "field_alignment": sampled_mean(array, "alignment"),
            "field_alignment_swapped": _swapped(array),
            "field_strength": sampled_mean(array, "strength"),
        }

    def null(self, array: Ensemble, reading: Reading) -> Mapping[str, NullBand]:
        rows, twin, squares = (float(array.dipoles[name].sum()) for name in ("rows", "twin", "twin_squares"))
        middle = twin / rows
        deviation = np.sqrt(max(squares / rows - middle**2, 0.0) / rows)
        return {
            "field_alignment": normal_band(reading["field_alignment"].value, middle, float(deviation), "isotropic_twin")
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        # Keys ±e with the query along e, T = 1: row 2 sees both, centred keys are ±e, so m∥ = tanh|q|.
        axis = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
        pair = known.of_points([(np.tile([[1.5, 0.0, 0.0]], (2, 1)), axis)] * 3, 1.0)
        expected = {"field_alignment": (np.tanh(1.5), 1e-9), "field_strength": (1.5, 1e-12)}
        yield KnownCase("two opposite keys", pair, expected, "rounding")
        turned = ensembles.haar_orthogonal(4, rng)
        none = known.of_points([(np.zeros((4, 4)), turned)] * 2, 1.0)
        yield KnownCase("no field", none, {"field_alignment": (0.0, 1e-12)}, "uniform weights of centred keys")
        # Keys ±e with the query 1.5 e, then ±2e with e/2, and again: the swaps are e/2 on ±e and 1.5 e on ±2e.
        one, two = (np.tile([[1.5, 0.0, 0.0]], (2, 1)), axis), (np.tile([[0.5, 0.0, 0.0]], (2, 1)), 2 * axis)
        swap = {"field_alignment_swapped": ((np.tanh(0.5) + np.tanh(3.0)) / 2, 1e-9)}
        yield KnownCase("queries swapped", known.of_points([one, two, one], 1.0), swap, "rounding")
        yield KnownCase(
            "one prompt", known.of_points([one], 1.0), {"field_alignment_swapped": Flag.too_small}, "no other"
        )
        logits = known.ladder()
        yield KnownCase("logits alone", logits, {"field_alignment": Flag.not_visible}, "no keys")


def _swapped(array: Ensemble) -> Value | Refusal:
    """Mean of m∥ with swapped queries, over prompts that have rows to swap."""
    sampled(array)
    try:
        return replace(mean(array.dipoles["swapped"], array.dipoles["swapped_rows"]), flags=(Flag.sampled,))
    except Refusal as refusal:
        return refusal
