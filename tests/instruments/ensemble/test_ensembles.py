"""Ensemble instruments: gauge, nulls that hold where they should and are left where they should not, errors."""

import numpy as np
import pytest

from gedanken.instruments.base import Curve, Refusal, Value
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble.attention_entropy import AttentionEntropy
from gedanken.instruments.ensemble.field_alignment import FieldAlignment
from gedanken.instruments.ensemble.free_energy import FreeEnergy
from gedanken.instruments.ensemble.heat_capacity_batch import HeatCapacityBatch
from gedanken.instruments.ensemble.heat_capacity_curves import HeatCapacityCurves
from gedanken.instruments.ensemble.heat_capacity_landscape import HeatCapacityLandscape
from gedanken.instruments.ensemble.heat_capacity_pool import HeatCapacityPool
from gedanken.instruments.ensemble.heat_capacity_row import HeatCapacityRow
from gedanken.instruments.ensemble.heat_capacity_uniform import HeatCapacityUniform
from gedanken.instruments.ensemble.key_susceptibility import KeySusceptibility
from gedanken.instruments.ensemble.logit_scale import LogitScale
from gedanken.instruments.ensemble.sink_mass import SinkMass
from gedanken.instruments.ensemble.temperature_curves import TemperatureCurves
from gedanken.theory import canonical
from gedanken.theory.row_sums import MODEL

ALL = [
    AttentionEntropy, FieldAlignment, FreeEnergy, HeatCapacityBatch, HeatCapacityCurves, HeatCapacityLandscape,
    HeatCapacityPool, HeatCapacityRow, HeatCapacityUniform, KeySusceptibility, LogitScale, SinkMass, TemperatureCurves,
]  # fmt: skip

GAUGE_DEPENDENT = {
    "energy", "free_energy", "energy_raw", "free_energy_raw", "heat_capacity_landscape", "heat_capacity_pool_between",
    "heat_capacity_batch", "mean_key", "energy_without_sink", "free_energy_per_key", "free_energy_per_key_without_sink",
    *(f"heat_capacity_{kind}_at_temperature" for kind in ("landscape", "pool_between", "batch")),
}  # fmt: skip


def measured(ensemble, *instruments) -> dict:
    rng = np.random.default_rng(0)
    return {name: value for made in instruments for name, value in made().measure(ensemble, rng).items()}


def head(seed: int, common: np.ndarray | float = 0.0, prompts: int = 6):
    rng = np.random.default_rng(seed)
    return known.of_points(
        [(3 * rng.standard_normal((10, 6)), rng.standard_normal((10, 6)) + common) for _ in range(prompts)], 6**-0.5
    )


def test_a_common_vector_on_the_keys_moves_what_is_called_gauge_dependent_and_nothing_else():
    before, after = (measured(head(0, c), *ALL) for c in (0.0, np.array([4.0, -3, 2, 0, 1, 5])))
    for name, value in before.items():
        first, second = (x.value if isinstance(x, Value) else x.y for x in (value, after[name]))
        if name in GAUGE_DEPENDENT:
            assert np.abs(second / first - 1).max() > 0.1, name
        elif name != "fluctuation_dissipation_residual":
            np.testing.assert_allclose(second, first, rtol=1e-9, atol=1e-9 * isinstance(value, Curve), err_msg=name)


def test_curves_pass_through_the_values_at_the_models_own_temperature():
    found = measured(head(2), *ALL)
    for name in ("row", "uniform", "landscape", "landscape_centred", "pool_between", "batch"):
        at_one = found[f"heat_capacity_{name}_at_temperature"].y[MODEL]
        np.testing.assert_allclose(at_one, found[f"heat_capacity_{name}"].value, rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(found["heat_capacity_pool_within"].value, found["heat_capacity_row"].value, rtol=1e-12)
    without = found["temperature_heat_capacity_without_sink"].y[MODEL]
    np.testing.assert_allclose(without, found["heat_capacity_row_fraction_without_sink"].value, rtol=1e-12)
    two = found["temperature_heat_capacity"].y[MODEL] - found["two_levels_heat_capacity"].y[MODEL]
    np.testing.assert_allclose(two, found["heat_capacity_schottky_excess"].value, atol=1e-12)


def test_pooled_parts_are_the_total_variance():
    """Of a key drawn from a row drawn at random: by the sums of the definition."""
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((5, 8))
    found = measured(known.of_logits([row[None] for row in rows]), HeatCapacityPool)
    p = canonical.pattern(rows) / 5
    total = np.sum(p * (rows - np.sum(p * rows)) ** 2)
    parts = found["heat_capacity_pool_within"].value + found["heat_capacity_pool_between"].value
    np.testing.assert_allclose(parts, total, rtol=1e-12)


def test_a_batch_of_drawn_keys_has_the_heat_capacity_of_rows():
    """N · Var over prompts of the mean logit of keys drawn from the pattern is the mean of Var_p(z)."""
    rng = np.random.default_rng(2)
    z = rng.standard_normal((8, 12)) * 1.5
    p = canonical.pattern(z)
    draws = np.stack([rng.choice(row, 4000, p=weights) for row, weights in zip(z, p, strict=True)], axis=1)
    found = measured(known.of_logits([z] * 3), HeatCapacityRow)["heat_capacity_row"].value
    # relative standard deviation of a sample variance: √(2/4000); four of them
    assert abs(8 * draws.mean(axis=1).var(ddof=1) / found - 1) < 4 * (2 / 4000) ** 0.5


@pytest.mark.parametrize("sigma", [0.5, 2.0, 5.0])
def test_random_energies_lie_in_their_own_band(sigma):
    ensemble = known.noise(np.random.default_rng(3), sigma, 48)
    reading = HeatCapacityRow().measure(ensemble, np.random.default_rng(0))
    band = HeatCapacityRow().null(ensemble, reading)["heat_capacity_row_fraction"]
    assert band.low < reading["heat_capacity_row_fraction"].value < band.high and band.p > 0.01


def test_structure_beyond_the_scale_leaves_the_band():
    """One key far above normal ones, as a sink: the same scale, and less heat."""
    z = np.random.default_rng(4).standard_normal((2000, 48))
    z[:, 0] = 12.0
    ensemble = known.of_logits(np.split(z, 20))
    reading = measured(ensemble, HeatCapacityRow, AttentionEntropy)
    band = HeatCapacityRow().null(ensemble, reading)["heat_capacity_row_fraction"]
    assert reading["heat_capacity_row_fraction"].value < band.low and band.p < 1e-6
    assert reading["attention_entropy_excess"].value < -0.1
    # without it they are normal again
    assert reading["attention_entropy_without_sink"].value > 0.85


def test_the_isotropic_twin_holds_for_isotropic_keys_and_not_for_aligned_ones():
    rng = np.random.default_rng(5)
    free = [(3 * rng.standard_normal((24, 8)), rng.standard_normal((24, 8))) for _ in range(60)]
    p = {}
    for name, prompts in (("free", free), ("aligned", [(k, k) for _, k in free])):
        ensemble = known.of_points(prompts, 8**-0.5)
        reading = FieldAlignment().measure(ensemble, rng)
        band = FieldAlignment().null(ensemble, reading)["field_alignment"]
        p[name] = band.p, reading["field_alignment"].value - band.median
    # Short rows: keys centred by their own mean are correlated by −1/(n − 1), so they spread further along the field than
    # independent ones of their length; at 3 to 24 keys and m∥ of 0.5 that is a few hundredths.
    assert abs(p["free"][1]) < 0.05
    assert p["aligned"][0] < 1e-6 and p["aligned"][1] > 0.1


def test_standard_errors_are_those_of_independent_prompts():
    """The jackknife of 20 prompts of one row against the spread of 80 such experiments."""
    rng = np.random.default_rng(6)
    experiments = [
        measured(known.of_logits(rng.standard_normal((20, 1, 12))), HeatCapacityRow)["heat_capacity_row"]
        for _ in range(80)
    ]
    spread = np.std([made.value for made in experiments])
    typical = np.sqrt(np.mean([made.stderr**2 for made in experiments]))
    # three times the scatter of a spread of 80, 1/√160 = 8 %
    assert abs(typical / spread - 1) < 0.24
    assert len(experiments[0].left_out) == 20


def test_what_is_not_there_is_refused():
    alone = known.of_logits([np.zeros((3, 1))] * 3)
    for made in ALL:
        with pytest.raises(Refusal):
            made().measure(alone, np.random.default_rng(0))
    two = measured(known.of_logits([np.zeros((3, 2))] * 3), AttentionEntropy)
    assert isinstance(two["attention_entropy_without_sink"], Refusal)
    assert two["attention_entropy_normalised"].value == 1.0


def test_curves_obey_their_derivatives():
    """ID2 and ID3 on what is stored: dS/d ln τ = C for the means, by differences over the grid."""
    z = np.random.default_rng(7).standard_normal((40, 16))
    ensemble = known.of_logits(np.split(z, 4))
    log_tau = np.log(ensemble.temperatures)
    entropy, capacity = (ensemble.sums[name].sum(axis=0) / 40 for name in ("entropy", "heat_capacity"))
    slope = np.gradient(entropy, log_tau)
    # second differences over steps of 0.17
    np.testing.assert_allclose(slope[1:-1], capacity[1:-1], rtol=0.02)
    free = -(ensemble.sums["log_partition"].sum(axis=0) / 40) * ensemble.temperatures
    np.testing.assert_allclose(np.gradient(free, ensemble.temperatures)[1:-1], -entropy[1:-1], rtol=0.02)
    assert ensemble.temperatures[MODEL] == 1.0


def test_normal_logits_lie_on_the_curves_of_random_energies_and_two_levels_on_their_own():
    """The nulls are known cases of the curves: each gives its own."""
    found = measured(known.noise(np.random.default_rng(8), 2.0, 32), TemperatureCurves)
    for name in ("entropy", "heat_capacity", "energy", "free_energy"):
        curve = found[f"temperature_{name}"]
        # two standard errors are drawn: 2.5 times as wide holds 17 correlated points
        reach = 2.5 * (curve.high - curve.low) / 2
        assert (np.abs(curve.y - (curve.null_low + curve.null_high) / 2) < reach).all(), name
    rows = np.tile(np.append(0.0, np.full(9, -3.0)), (4, 1))
    two = measured(known.of_logits([rows, rows]), TemperatureCurves)
    for name in ("entropy", "heat_capacity", "energy", "free_energy"):
        np.testing.assert_allclose(two[f"temperature_{name}"].y, two[f"two_levels_{name}"].y, rtol=1e-12, atol=1e-12)
