"""Identities of canonical ensembles (for any levels), and their printed anchors."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from gedanken.theory import canonical, fisher, schottky

T = 2.0
E = np.array([0.0, 2.0, 4.0, 6.0])
Z = -E / T
KEYS = np.array([[0, 0, 1, 0], [-1, -1, 0, 0], [-4, 0, 0, 1], [0, -6, 0, 0]], float)
QUERY = np.array([1.0, 1, 0, 0])
PRINTED = 1e-8
"""Anchors are printed with eight to ten digits."""

levels = st.lists(st.floats(-20, 20), min_size=2, max_size=30).map(np.array)


def test_anchors_of_the_first_row():
    row = canonical.row(Z)
    np.testing.assert_allclose(canonical.pattern(Z), [0.64391426, 0.23688282, 0.08714432, 0.03205860], atol=PRINTED)
    found = [row.log_partition, T * row.energy, row.entropy, -T * row.log_partition, row.heat_capacity]
    expected = [0.4401896986, 1.0146945308, 0.9475369640, -0.8803793971, 0.6165862749]
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_anchors_at_other_temperatures():
    rows = [canonical.row(Z, T / t) for t in (1.0, 4.0, 8.0)]
    np.testing.assert_allclose([r.entropy for r in rows], [0.45542862, 1.24505043, 1.34824261], atol=PRINTED)
    np.testing.assert_allclose([r.heat_capacity for r in rows], [0.70257764, 0.25536286, 0.07413431], atol=PRINTED)
    slope = -2 * canonical.row(Z).heat_capacity - canonical.third_moment(Z)
    np.testing.assert_allclose(slope, -0.5026147936, atol=1e-10)


def test_the_maximum_over_temperature():
    temperatures = np.linspace(1.27, 1.285, 150001)
    capacity = canonical.row(-E / temperatures[:, None]).heat_capacity
    np.testing.assert_allclose(capacity.max(), 0.7434720787, atol=1e-10)
    np.testing.assert_allclose(temperatures[capacity.argmax()], 1.27723, atol=5e-6)


def test_the_integral_of_the_heat_capacity_is_the_change_of_entropy():
    temperatures = np.geomspace(0.01, 1e4, 2001)
    row = canonical.row(-E / temperatures[:, None])
    integral = integrate.trapezoid(row.heat_capacity, np.log(temperatures))
    np.testing.assert_allclose(integral, 1.3862943362, atol=1e-10)
    # the trapezoid's error for so smooth a curve; ln 4 is not reached at T = 1e4 by C(T)/2
    np.testing.assert_allclose(row.entropy[-1] - row.entropy[0], np.log(4), atol=1e-6)


def test_anchors_of_distributions():
    p, r = canonical.pattern(Z), np.full(4, 0.25)
    np.testing.assert_allclose(canonical.relative_entropy(r, p), 0.5538953374, atol=1e-10)
    excess = T * (canonical.functional(r, Z) + canonical.row(Z).log_partition)
    np.testing.assert_allclose(excess, 1.1077906749, atol=1e-10)
    np.testing.assert_allclose(fisher.distance(r, p), 0.9826858335, atol=1e-10)
    np.testing.assert_allclose(T * canonical.excess_of_kept(p[:2].sum()), 0.2538560220, atol=1e-10)


def test_anchors_of_a_step():
    change = np.array([0.1, -0.2, 0.3, 0.0])
    old, new = canonical.row(Z), canonical.row(-(E + change) / T)
    p, after = canonical.pattern(Z), canonical.pattern(-(E + change) / T)
    step = -T * (new.log_partition - old.log_partition)
    work = 0.5 * np.sum((p + after) * change)
    mean = np.sum(p * change)
    third = np.sum(p * (change - mean) ** 3)
    np.testing.assert_allclose([step, work], [0.0376102139, 0.0375738325], atol=1e-10)
    np.testing.assert_allclose([step - work, -third / (12 * T**2)], [3.63814e-5, 3.77804e-5], atol=1e-10)
    heat = T * (new.entropy - old.entropy)
    found = [mean, np.sum(after * change), T * (new.energy - old.energy), heat]
    np.testing.assert_allclose(found, [0.0431581580, 0.0319895070, 0.0525479760, 0.0149377621], atol=1e-10)
    # ID19: both bounds and the exponential average
    np.testing.assert_allclose(-T * np.log(np.sum(p * np.exp(-change / T))), step, atol=1e-14)
    assert mean >= step >= np.sum(after * change)


def test_anchor_of_a_key_added():
    longer = np.append(Z, -1.0 / T)
    p_new = canonical.pattern(longer)[-1]
    added = -T * (canonical.row(longer).log_partition - canonical.row(Z).log_partition)
    np.testing.assert_allclose([p_new, added], [0.2808620260, -0.6594040850], atol=1e-10)
    np.testing.assert_allclose(added, T * np.log(1 - p_new), atol=1e-14)


def test_anchors_of_dipoles():
    p = canonical.pattern(KEYS @ QUERY / T)
    mean = p @ KEYS
    np.testing.assert_allclose(mean, [-0.58546009, -0.42923444, 0.64391426, 0.08714432], atol=PRINTED)
    susceptibility = (KEYS.T * p @ KEYS - np.outer(mean, mean)) / T
    np.testing.assert_allclose(np.trace(susceptibility), 1.4020088016, atol=1e-10)
    np.testing.assert_allclose(QUERY @ susceptibility @ QUERY, 1.2331725497, atol=1e-10)
    # ID10: the longitudinal part is the heat capacity
    np.testing.assert_allclose(QUERY @ susceptibility @ QUERY / T, canonical.row(Z).heat_capacity, atol=1e-14)


def test_the_power_law_row():
    for n, value, ratio in ((10, 0.631502, 1.4293), (1000, 4.580030, 1.1518), (10**6, 17.171127, 1.0796)):
        found = canonical.row(-np.log(np.arange(1.0, n + 1))).heat_capacity
        np.testing.assert_allclose([found, found / (np.log(n) ** 2 / 12)], [value, ratio], atol=6e-5)


def test_entropy_floors():
    for n, norm, value in ((4, 2, 0.7909450706), (10, 1, 2.2191387183), (64, 8, 0.1764992800)):
        np.testing.assert_allclose(canonical.entropy_floor(n, norm), value, atol=1e-10)


@given(levels, st.floats(0.1, 10))
@settings(deadline=None, max_examples=60)
def test_identities_of_temperature(energies, temperature):
    """ID1, ID2, ID3, ID6, with E held fixed."""
    step = 1e-4 * temperature
    row = canonical.row(-energies / temperature)
    up, down = (canonical.row(-energies / t) for t in (temperature + step, temperature - step))
    u, f = temperature * row.energy, -temperature * row.log_partition
    # ID1 to rounding of numbers of size |E|; derivatives to the square of the step
    scale = 1 + np.ptp(energies) ** 3 / temperature**3
    np.testing.assert_allclose(f, u - temperature * row.entropy, atol=1e-12 * (1 + np.abs(energies).max()))
    np.testing.assert_allclose(
        temperature * (up.entropy - down.entropy) / (2 * step), row.heat_capacity, atol=1e-6 * scale
    )
    free = [-(temperature + s) * r.log_partition for s, r in ((step, up), (-step, down))]
    np.testing.assert_allclose((free[0] - free[1]) / (2 * step), -row.entropy, atol=1e-6 * scale)
    third = canonical.third_moment(-energies / temperature)
    slope = temperature * (up.heat_capacity - down.heat_capacity) / (2 * step)
    np.testing.assert_allclose(slope, -2 * row.heat_capacity - third, atol=1e-5 * scale * (1 + np.ptp(energies)))


@given(levels, st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_the_pattern_is_the_least_of_the_functional(z, seed):
    """ID4 and ID5."""
    r = np.random.default_rng(seed).dirichlet(np.ones(len(z)))
    p, row = canonical.pattern(z), canonical.row(z)
    excess = canonical.functional(r, z) + row.log_partition
    np.testing.assert_allclose(excess, canonical.relative_entropy(r, p), atol=1e-10)
    assert excess >= -1e-10
    kept = np.arange(len(z)) < max(1, len(z) // 2)
    renormalised = np.where(kept, p, 0.0) / p[kept].sum()
    if p[kept].sum() > 1e-12:
        found = canonical.functional(renormalised, z) + row.log_partition
        np.testing.assert_allclose(found, canonical.excess_of_kept(p[kept].sum()), atol=1e-10)


@given(levels)
@settings(deadline=None, max_examples=60)
def test_no_row_exceeds_the_bound(z):
    assert canonical.row(z).heat_capacity <= schottky.largest(len(z)) * (1 + 1e-12)


def test_shifts_are_gauge():
    rng = np.random.default_rng(0)
    query, key, common = rng.standard_normal((6, 5)), rng.standard_normal((9, 5)), 30 * rng.standard_normal(5)
    before, after = canonical.row(query @ key.T), canonical.row(query @ (key + common).T)
    np.testing.assert_allclose(after.entropy, before.entropy, atol=1e-12)
    np.testing.assert_allclose(after.heat_capacity, before.heat_capacity, atol=1e-12)
    np.testing.assert_allclose(after.energy - before.energy, -query @ common, atol=1e-12)


def test_derivatives_by_the_query():
    """ID8 and ID9: M = −∂F/∂q and ∂M/∂q = Cov_p(k)/T."""
    rng = np.random.default_rng(1)
    query, key, step = rng.standard_normal(5), rng.standard_normal((9, 5)), 1e-5

    def free(q):
        return -T * canonical.row(key @ q / T).log_partition

    def mean(q):
        return canonical.pattern(key @ q / T) @ key

    directions = step * np.eye(5)
    force = [-(free(query + d) - free(query - d)) / (2 * step) for d in directions]
    np.testing.assert_allclose(force, mean(query), atol=1e-9)
    answer = np.array([(mean(query + d) - mean(query - d)) / (2 * step) for d in directions])
    p = canonical.pattern(key @ query / T)
    covariance = (key.T * p) @ key - np.outer(mean(query), mean(query))
    np.testing.assert_allclose(answer, covariance / T, atol=1e-9)
    np.testing.assert_allclose(T * canonical.row(key @ query / T).energy, -query @ mean(query), atol=1e-12)


def test_the_length_of_a_sweep():
    """ID11 and ID12: Fisher–Rao length is ∫ √C d ln T."""
    temperatures = np.geomspace(0.5, 8, 4001)
    p = canonical.pattern(-E / temperatures[:, None])
    length = fisher.distance(p[:-1], p[1:]).sum()
    capacity = canonical.row(-E / temperatures[:, None]).heat_capacity
    # both sums err by the square of the step, 5e-7
    np.testing.assert_allclose(length, integrate.trapezoid(np.sqrt(capacity), np.log(temperatures)), rtol=1e-6)
    assert length > fisher.distance(p[0], p[-1])


def test_limits():
    z = np.array([3.0, 3.0, 1.0, -2.0])
    cold, hot = canonical.row(z, 200.0), canonical.row(z, 1e-4)
    np.testing.assert_allclose([cold.entropy, cold.heat_capacity], [np.log(2), 0.0], atol=1e-12)
    np.testing.assert_allclose([hot.entropy, hot.heat_capacity / 1e-8], [np.log(4), z.var()], rtol=1e-3)


def test_sparsemax_is_another_unique_minimum():
    z = np.array([1.0, 0.6, -0.4, -3.0])
    r = canonical.sparsemax(z)
    np.testing.assert_allclose(r, [0.7, 0.3, 0.0, 0.0], atol=1e-14)
    rng = np.random.default_rng(0)

    def value(x):
        return -x @ z - 0.5 * np.sum(x - x**2)

    assert all(value(r) < value(x) for x in rng.dirichlet(np.ones(4), 200))
    assert np.abs(r - canonical.pattern(z)).max() > 0.1
