"""Heat capacities against temperature: the five estimators of one head, whose logits are divided by τ, side by side.

What. At τ = T'/T from 1/4 to 4, in nat² ≥ 0: heat_capacity_row_at_temperature, the mean over rows of Var_p(z/τ), which is the
pooled variance within rows too; …_uniform_…, …_landscape_… and …_landscape_centred_…, unweighted variances, which fall as
1/τ² exactly; …_pool_between_…, the variance over rows of u; …_batch_…, N times the variance of its mean over prompts.

Reads. ensemble. Rows with one key are left out.

Null. None here: that of the first is drawn with temperature_heat_capacity, the unweighted ones set its scale, and shifts of
rows move the rest.

Fails when. Read as one quantity: they are five, and only those of rows and uniform weights know nothing of a row's shift.
Fewer than three prompts refuse the last.

Reference. Fluctuation formula [@callen1985thermodynamics]; fluctuations of the sampled energy [@landau2014guide, eq. 2.16];
the reading of the landscape [@kim2026thermodynamics].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Variable
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble._groups import OF_ENSEMBLES, curve, model_temperature
from gedanken.kinds import Ensemble, Kind
from gedanken.status import Flag, Refusal
from gedanken.theory import canonical
from gedanken.theory.row_sums import GRID, over_groups

_SHIFTS = "a shift of a row's logits moves it and leaves attention as it is"
_SCALE = "it sets the scale of the random energies that are the null of heat_capacity_row"
_FRACTION = "its comparable form is temperature_heat_capacity, which has one"
_KINDS = {
    "row": ("C", "mean Var_p(z/τ)", _FRACTION),
    "uniform": ("C_∞", "mean unweighted variance of z/τ", _SCALE),
    "landscape": ("C_land", "variance of z/τ over prompts, queries and keys", _SHIFTS),
    "landscape_centred": ("C_land,c", "the same after each row's mean is taken off", _SCALE),
    "pool_between": ("C_between", "variance over rows of ⟨z/τ⟩_p", _SHIFTS),
    "batch": ("C_batch", "rows per prompt times the variance over prompts of mean u/τ", _SHIFTS),
}


def _name(kind: str) -> str:
    return f"heat_capacity_{kind}_at_temperature"


@final
@dataclass(frozen=True)
class HeatCapacityCurves(Instrument):
    """C(τ) by every estimator, in nat²."""

    reads = Kind.ensemble
    variables = tuple(
        Variable(_name(kind), f"{symbol}(τ)", "nat²", words, (0, None), None, curve=True, no_null=no_null)
        for kind, (symbol, words, no_null) in _KINDS.items()
    )
    symmetries = OF_ENSEMBLES
    exchangeable = "prompt"
    on_request = True

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        model_temperature(array)
        tau, rows, prompts = array.temperatures, array.counts["rows"], array.counts["prompts"].sum()
        pairs, _, landscape = over_groups(array.spreads["landscape"])
        between, among = (over_groups(array.spreads[name]) for name in ("energy", "prompt_energy"))
        few = Refusal(Flag.too_small, f"{int(prompts)} prompts with two keys, where 3 are needed")
        flat = {
            "landscape": landscape / pairs,
            "landscape_centred": array.by_n["squares"].sum() / pairs,
        }
        found = {
            "row": curve(array, array.sums["heat_capacity"], rows),
            "uniform": curve(array, array.counts["uniform_variance"][:, None] / tau**2, rows),
            "pool_between": Curve(tau, between[2] / between[0], n=int(rows.sum())),
            "batch": few if prompts < 3 else Curve(tau, among[2] / (prompts - 1), n=int(prompts)),
        } | {name: Curve(tau, value / tau**2, n=int(pairs)) for name, value in flat.items()}
        return {_name(kind): value for kind, value in found.items()}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        rows = [np.array([0.0, -1.0, -2.0, -3.0]), np.array([-0.5, 0.5])]
        at = [[canonical.row(z, 1 / tau) for tau in GRID] for z in rows]
        capacity = np.mean([[row.heat_capacity for row in found] for found in at], axis=0)
        energy = np.array([[row.energy for row in found] for found in at])
        expected = {"row": capacity, "pool_between": energy.var(axis=0)}
        flat = {
            "uniform": 0.75,
            "landscape": 1.25 * 4 / 6 + 0.25 * 2 / 6 + 1.5**2 * 8 / 36,
            "landscape_centred": 5.5 / 6,
        }
        expected |= {name: value / GRID**2 for name, value in flat.items()}
        values = {_name(kind): (value, 1e-12) for kind, value in expected.items()}
        yield KnownCase("two rows", known.ladder_and_pair(), values | {_name("batch"): Flag.too_small}, "rounding")
        # Two rows of equal logits c in each of three prompts, c = 0, 1, 2: N · Var(c) = 2 · 1 at τ = 1.
        shifted = known.of_logits([np.full((2, 3), c) for c in (0.0, 1.0, 2.0)])
        yield KnownCase("three shifts", shifted, {_name("batch"): (2 / GRID**2, 1e-12)}, "rounding")
