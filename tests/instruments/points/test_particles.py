"""Energy, mode power and cluster counts: naive sums, anchors, the dissipation identity, nulls, refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.instruments.base import Value
from gedanken.instruments.points import _energy
from gedanken.instruments.points.cluster_count import ClusterCount
from gedanken.instruments.points.interaction_energy import InteractionEnergy
from gedanken.instruments.points.mode_power import ModePower
from gedanken.status import Flag, Refusal

RNG = np.random.default_rng(0)


def circle(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def energy(points, beta=5.0, **fields):
    return InteractionEnergy(beta, **fields).measure(points, RNG)


# Energy.


def test_anchors():
    reading = energy(circle(np.array([0.0, 1.0, 2.5])), 2.0)
    assert reading["interaction_energy"].value == pytest.approx(
        (10.53695184 + 11.48748759 + 8.74246238) / 36, abs=5e-10
    )  # ΣZ_i/(2βn²)
    three = np.array([[1.0, 0, 0], [0, 1, 0], [0.6, 0, 0.8]])
    assert energy(three, 2.0)["interaction_energy_normalised"].value == pytest.approx(0.4933332290, abs=5.1e-11)


@given(st.integers(2, 60), st.integers(2, 9), st.floats(0.1, 600), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_against_the_plain_sum(n, d, beta, seed):
    points = np.random.default_rng(seed).standard_normal((n, d)) + 0.3
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    plain = np.mean(np.exp(beta * np.minimum(unit @ unit.T - 1, 0)))
    reading = energy(points, beta)
    assert reading["interaction_energy_normalised"].value == pytest.approx(plain, rel=1e-9)  # β times rounding of cos
    assert reading["interaction_energy"].value == pytest.approx(plain * math.exp(beta) / (2 * beta), rel=1e-9)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("beta", [1.0, 5.0, 60.0])
def test_many_points_by_harmonics_are_the_sum_of_pairs(d, beta):
    points = np.random.default_rng(1).standard_normal((400, d)) + 0.2
    by_degrees = energy(points, beta, sample=50)["interaction_energy_normalised"]
    by_pairs = energy(points, beta, sample=1000)["interaction_energy_normalised"]
    assert by_degrees.value == pytest.approx(by_pairs.value, rel=1e-12)
    assert by_degrees.n == 400 and not by_degrees.flags
    assert by_degrees.stderr == pytest.approx(by_pairs.stderr, rel=0.2)  # from 256 of 400 rows


def test_blocks_change_nothing(monkeypatch):
    points = np.random.default_rng(2).standard_normal((90, 6))
    before = energy(points)["interaction_energy_normalised"].value
    monkeypatch.setattr(_energy, "BLOCK_ENTRIES", 200)
    assert energy(points)["interaction_energy_normalised"].value == pytest.approx(before, rel=1e-13)


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("d", [2, 3, 7])
def test_dissipation_identity(softmax, d):
    """dE/dt = (1/n)Σ|v|², with softmax (1/n)Σ (Z_i/n)|v_i|²: v written out here, E read before and after."""
    rng, beta, n, step = np.random.default_rng(d), 3.0, 12, 1e-5
    x = rng.standard_normal((n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    weight = np.exp(beta * x @ x.T)
    partition = weight.sum(axis=1, keepdims=True)
    pull = weight @ x / (partition if softmax else n)
    velocity = pull - np.sum(pull * x, axis=1, keepdims=True) * x
    predicted = np.mean((partition[:, 0] / n if softmax else 1.0) * np.sum(velocity**2, axis=1))
    after, before = (energy(x + sign * step * velocity, beta)["interaction_energy"].value for sign in (1, -1))
    # the normalised rows x ± hv move along v to O(h³); the central difference is good to h²
    assert (after - before) / (2 * step) == pytest.approx(predicted, rel=1e-8)


@pytest.mark.parametrize(
    "velocity, rate",
    [([0.86663813, -0.44342523, -0.42321290], 0.3755989), ([0.24674255, -0.11580214, -0.14522667], 0.1088826)],
)
def test_dissipation_of_the_anchor(velocity, rate):
    angles, beta, step = np.array([0.0, 1.0, 2.5]), 2.0, 1e-5
    velocity = np.array(velocity)
    levels = [energy(circle(angles + sign * step * velocity), beta)["interaction_energy"].value for sign in (1, -1)]
    assert (levels[0] - levels[1]) / (2 * step) == pytest.approx(rate, abs=1e-7)


@pytest.mark.parametrize("d, n", [(2, 300), (3, 200), (64, 200)])
def test_null_covers_uniform_points(d, n):
    instrument, inside = InteractionEnergy(5.0), 0
    for seed in range(200):
        points = np.random.default_rng(seed).standard_normal((n, d))
        reading = instrument.measure(points, RNG)
        band = instrument.null(points, reading)["interaction_energy_normalised"]
        inside += band.low <= reading["interaction_energy_normalised"].value <= band.high
    assert 180 <= inside <= 199  # 190 ± 3 standard deviations
    raw = instrument.null(points, reading)["interaction_energy"]
    assert raw.median == pytest.approx(band.median * math.exp(5) / 10) and raw.p == band.p


def test_standard_error_is_the_spread_over_draws():
    values, errors = [], []
    for seed in range(300):
        angles = np.random.default_rng(seed).normal(0, 0.8, 100)
        found = energy(circle(angles))["interaction_energy_normalised"]
        values.append(found.value)
        errors.append(found.stderr)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def test_energy_beyond_the_range_of_doubles():
    points = np.random.default_rng(3).standard_normal((50, 2))
    reading = energy(points, 2000.0)
    assert reading["interaction_energy"].flag is Flag.too_large
    assert 1 / 50 <= reading["interaction_energy_normalised"].value < 1
    assert set(InteractionEnergy(2000.0).null(points, reading)) == {"interaction_energy_normalised"}
    wide = np.eye(40, 4096)  # all that is left are the rows themselves, and uniform points would have the same
    reading = energy(wide, 2000.0)
    assert reading["interaction_energy_normalised"].value == 1 / 40
    assert InteractionEnergy(2000.0).null(wide, reading) == {}


@pytest.mark.parametrize("beta", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("instrument", [InteractionEnergy, ClusterCount])
def test_an_inverse_temperature_is_positive(instrument, beta):
    with pytest.raises(ValueError, match="positive and finite"):
        instrument(beta)


@pytest.mark.parametrize("instrument", [InteractionEnergy(), ModePower(), ClusterCount()])
def test_one_point_zero_rows_and_nan_are_refused(instrument):
    for points, flag in (
        (np.ones((1, 3)), Flag.too_small),
        (np.zeros((5, 3)), Flag.too_small),
        (np.ones((5, 1)), Flag.too_small),
        (np.full((5, 3), np.nan), Flag.non_finite),
    ):
        with pytest.raises(Refusal) as caught:
            instrument.measure(points, RNG)
        assert caught.value.flag is flag
    half = np.concatenate([np.zeros((3, 4)), np.eye(4)])
    assert all(Flag.zero_rows in found.flags for found in instrument.measure(half, RNG).values())


# Mode power.


def test_power_of_the_circle_is_the_squared_amplitude():
    angles = np.array([0.1, 0.2, 2.3, 2.2, 4.4, 4.3])
    curve = ModePower().measure(circle(angles), RNG)["mode_power"]
    assert curve.y[2] == pytest.approx(abs(0.88289563 - 0.44494863j) ** 2, abs=2e-8)
    assert curve.x.tolist() == list(range(1, 13))


@pytest.mark.parametrize("d", [2, 3, 20])
def test_first_power_is_the_squared_polarization(d):
    points = np.random.default_rng(5).standard_normal((100, d)) + 0.2
    mean = (points / np.linalg.norm(points, axis=1, keepdims=True)).mean(axis=0)
    assert ModePower().measure(points, RNG)["mode_power"].y[0] == pytest.approx(mean @ mean, rel=1e-12)


def test_power_of_a_large_table_is_sampled():
    points = np.random.default_rng(6).standard_normal((300, 5))
    curve = ModePower(sample=100).measure(points, RNG)["mode_power"]
    assert curve.n == 100 and curve.flags == (Flag.sampled,)
    assert ModePower(sample=100).measure(points[:, :3], RNG)["mode_power"].n == 300


# Cluster counts.


def counts(points, beta=5.0, **fields):
    return {name: found.value for name, found in ClusterCount(beta, **fields).measure(points, RNG).items()}


def naive_groups(unit, angle):
    """Single linkage by repeated sweeps over all pairs."""
    labels = list(range(len(unit)))
    near = np.arccos(np.clip(unit @ unit.T, -1, 1)) <= angle
    changed = True
    while changed:
        changed = False
        for i, j in zip(*np.nonzero(near), strict=True):
            if labels[i] != labels[j]:
                labels[i] = labels[j] = min(labels[i], labels[j])
                changed = True
    return labels


@given(st.integers(2, 40), st.integers(2, 4), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_groups_against_a_naive_linkage(n, d, seed):
    points = np.random.default_rng(seed).standard_normal((n, d))
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    sizes = np.unique(naive_groups(unit, 0.3 / math.sqrt(5)), return_counts=True)[1]
    assert counts(points)["cluster_count"] == np.sum(sizes >= max(0.02 * n, 2))


def test_counts_of_a_ring_with_stray_points():
    rng = np.random.default_rng(7)
    angles = np.concatenate([2 * np.pi * m / 3 + 1e-3 * rng.standard_normal(300) for m in range(3)] + [[1.0, 3.2]])
    assert counts(circle(angles), few=1000) == {
        "cluster_count": 3,
        "cluster_count_modes": 3,
        "cluster_count_rank": 3 + 2,
    }


def test_a_group_across_the_turn_is_one():
    angles = np.pi + 0.01 * np.linspace(-1, 1, 50)
    assert counts(circle(angles))["cluster_count"] == 1
    assert counts(circle(np.linspace(0, 2 * np.pi, 400, endpoint=False)))["cluster_count"] == 1


def test_three_points_in_a_row_have_rank_three():
    assert counts(circle(np.array([0.0, 0.012, 0.024])))["cluster_count_rank"] == 3
    assert counts(circle(np.array([0.0, 0.006, 0.012])))["cluster_count_rank"] == 1


def test_uniform_points_are_diffuse_and_no_cluster():
    points = circle(np.random.default_rng(8).uniform(0, 2 * np.pi, 5000))
    found = ClusterCount().measure(points, RNG)["cluster_count"]
    assert found.value == 1 and found.flags == (Flag.diffuse,)
    tight = ClusterCount().measure(circle(0.1 * np.random.default_rng(9).standard_normal(500)), RNG)
    assert tight["cluster_count"] == Value(1.0, n=500)


@pytest.mark.parametrize(
    "gap, beta, modes", [(1.0, 5.0, 2), (0.8, 5.0, 1), (1.0, 3.0, 1), (0.5, 17.5, 2), (0.5, 14.5, 1)]
)
def test_two_points_have_two_modes_once_they_are_two_widths_apart(gap, beta, modes):
    """θ = 0 between ±φ/2 is a maximum iff cos(φ/2) ≥ β sin²(φ/2)."""
    half = gap / 2
    assert (beta * math.sin(half) ** 2 > math.cos(half)) == (modes == 2)
    for d in (2, 3, 6):
        points = np.zeros((2, d))
        points[:, :2] = circle(np.array([-half, half]))
        assert counts(points, beta)["cluster_count_modes"] == modes


def test_ascent_and_grid_agree_on_the_circle():
    """The same points, on the circle and in a plane of four dimensions."""
    for seed in range(5):
        flat = circle(np.random.default_rng(seed).uniform(0, 2 * np.pi, 60))
        wide = np.concatenate([flat, np.zeros((60, 2))], axis=1)
        assert counts(flat, 20.0)["cluster_count_modes"] == counts(wide, 20.0)["cluster_count_modes"]


def test_clusters_in_a_wide_model():
    rng = np.random.default_rng(10)
    centres = np.linalg.qr(rng.standard_normal((256, 5)))[0].T
    points = 3.0 * centres[rng.integers(0, 5, 400)] + 1e-3 * rng.standard_normal((400, 256))
    assert counts(points, 20.0) == {"cluster_count": 5, "cluster_count_modes": 5, "cluster_count_rank": 5}
