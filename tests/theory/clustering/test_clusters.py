"""Rings, pairs, angles, equiangular tokens and causal centres: the theory's anchors, and small simulations beside them."""

import math

import numpy as np
import pytest
from scipy import integrate, special

from gedanken.theory.clustering import causal_centres, cluster_pair, cluster_ring, equiangular
from gedanken.theory.clustering.mode_growth import growth_rates
from gedanken.theory.clustering.predicted_angles import angle_error, angle_errors, null_angle_error, predicted_angles
from gedanken.theory.harmonic_power import fourier_modes


def softmax_velocity(angles, beta):
    gap = angles[:, None] - angles[None, :]
    weight = np.exp(beta * (np.cos(gap) - 1))
    return -(weight * np.sin(gap)).sum(axis=1) / weight.sum(axis=1)


# Angles.


def test_predicted_angles_of_the_anchor():
    mode = fourier_modes(np.array([0.1, 0.2, 2.3, 2.2, 4.4, 4.3]), 3)[-1]
    assert mode == pytest.approx(0.88289563 - 0.44494863j, abs=5.1e-9)
    np.testing.assert_allclose(predicted_angles(mode, 3), [0.15560490, 2.25, 4.34439510], atol=5.1e-9)


def test_predicted_angles_are_the_maxima_of_the_mode():
    theta = np.linspace(0, 2 * np.pi, 100_001)
    density = np.cos(4 * theta + 0.8)  # 2|μ̂_4| cos(4θ + arg μ̂_4)
    for angle in predicted_angles(np.exp(0.8j), 4):
        assert np.cos(4 * angle + 0.8) == pytest.approx(density.max(), abs=1e-9)


def test_angle_errors_are_circular():
    found = angle_errors(np.array([0.1, 6.2]), np.array([0.0, np.pi]))
    np.testing.assert_allclose(found, [0.1, 6.2 - 2 * np.pi])
    uniform = np.linspace(-np.pi / 3, np.pi / 3, 100_001)
    assert angle_error(uniform, predicted_angles(1.0, 3)) == pytest.approx(null_angle_error(3), rel=1e-4)
    assert (null_angle_error(3), null_angle_error(4)) == pytest.approx((0.605, 0.453), abs=5.1e-4)
    with pytest.raises(ValueError, match="predicts no angle"):
        predicted_angles(0.0, 3)


# The ring.


@pytest.mark.parametrize("beta, m, jacobian", [(5, 3, 0.3488612), (7, 4, 7.000000), (20, 6, 212922.5)])
def test_ring_jacobian(beta, m, jacobian):
    # as many digits as are printed
    assert cluster_ring.escape_rate(beta, m, softmax=False) == pytest.approx(jacobian, rel=2.5e-7)


@pytest.mark.parametrize(
    "beta, m, ratio, cohesion, softmax",
    [(5, 3, 53, 49.5, 0.00704), (7, 4, 17, 274, 0.0255), (20, 6, 147, 8.09e7, 0.00263), (30, 8, 49, 1.34e12, 0.00873)],
)
def test_ring_table(beta, m, ratio, cohesion, softmax):
    escape = cluster_ring.escape_rate(beta, m, softmax=False)
    assert growth_rates(beta, 2, m, softmax=False)[-1] / escape == pytest.approx(ratio, abs=0.51)
    assert cluster_ring.cohesion_rate(beta, m, softmax=False) == pytest.approx(cohesion, rel=6e-3)
    assert cluster_ring.escape_rate(beta, m) == pytest.approx(softmax, rel=2e-3)


@pytest.mark.parametrize("softmax", [False, True])
def test_escape_rate_is_the_largest_eigenvalue_of_the_velocity(softmax):
    beta, m, step = 6.0, 4, 1e-6
    ring = 2 * np.pi * np.arange(m) / m

    def velocity(angles):
        if softmax:
            return softmax_velocity(angles, beta)
        gap = angles[:, None] - angles[None, :]
        return -(np.exp(beta * np.cos(gap)) * np.sin(gap)).mean(axis=1)

    columns = [(velocity(ring + step * unit) - velocity(ring - step * unit)) / (2 * step) for unit in np.eye(m)]
    largest = np.linalg.eigvals(np.array(columns).T).real.max()
    assert cluster_ring.escape_rate(beta, m, softmax) == pytest.approx(largest, rel=1e-6)  # a difference quotient


def test_lifetime_of_the_ring_stays_finite():
    lives = [1 / cluster_ring.escape_rate(m * m / 2, m) for m in (4, 6, 8, 10, 14)]
    np.testing.assert_allclose(lives, [93, 156, 192, 213, 234], atol=0.51)
    assert pytest.approx(0.003877, abs=5.1e-7) == cluster_ring.LIMIT_ESCAPE_RATE
    assert cluster_ring.escape_rate(200**2 / 2, 200) == pytest.approx(cluster_ring.LIMIT_ESCAPE_RATE, rel=2e-3)
    assert cluster_ring.escape_rate(1000.0, 45, softmax=False) == math.inf


def test_first_merge_of_a_jittered_ring():
    beta, m, jitter = 8.0, 4, 1e-3
    ring = 2 * np.pi * np.arange(m) / m
    merged = lambda t, x: np.diff(np.sort(x)).min() - 0.01  # noqa: E731
    merged.terminal = True
    # the fastest pattern of four clusters alternates
    start = ring + jitter * np.array([1, -1, 1, -1])
    found = integrate.solve_ivp(
        lambda t, x: softmax_velocity(x, beta), (0, 5000), start, method="LSODA", rtol=1e-9, atol=1e-12, events=merged
    )
    rate = cluster_ring.escape_rate(beta, m)
    assert rate * found.t_events[0][0] == pytest.approx(rate * cluster_ring.first_merge_time(beta, m, jitter), abs=2.0)
    with pytest.raises(ValueError, match="small jitter"):
        cluster_ring.first_merge_time(5, 3, 1.0)


def test_energy_levels():
    levels = [float(special.ive(0, 5)), cluster_ring.ring_energy(5, 4), cluster_ring.ring_energy(5, 3)]
    levels += [cluster_ring.ring_energy(5, 2), cluster_ring.ring_energy(5, 1)]
    np.testing.assert_allclose(levels, [0.18354, 0.25338, 0.33370, 0.50002, 1.0], atol=5.1e-6)
    assert cluster_ring.plateau_energy(np.array([1.0, 1.0, 2.0])) == 6 / 16
    assert cluster_ring.ring_energy(4000, 5) == pytest.approx(cluster_ring.plateau_energy(np.ones(5)))


# The pair.


def test_pair_anchors():
    # 5.38605028 is an event located by an integrator, to 3e−8; the exponential integrals below give 5.386050253
    assert cluster_pair.merge_time(5, 1.0, 0.02) == pytest.approx(5.38605028, abs=3e-8)
    assert cluster_pair.merge_time(20, 1.0, 0.01) == pytest.approx(388.44, abs=5.1e-3)
    assert cluster_pair.leading_merge_time(20, 1.0) == pytest.approx(347.3, abs=0.051)


@pytest.mark.parametrize("beta, angle, end", [(5, 1.0, 0.02), (0.5, 3.0, 0.1), (20, 2.0, 1e-4), (100, 1.2, 0.01)])
def test_pair_time_in_exponential_integrals(beta, angle, end):
    """∫(e^{βu}+1)/(2u(2−u)) du, with 2/(u(2−u)) = 1/u + 1/(2−u)."""
    a, b = 1 - math.cos(end), 1 - math.cos(angle)
    grown = special.expi(beta * b) - special.expi(beta * a)
    grown += math.exp(2 * beta) * (special.exp1(beta * (2 - b)) - special.exp1(beta * (2 - a)))
    expected = (grown + math.log(b / a) - math.log((2 - b) / (2 - a))) / 4
    assert cluster_pair.merge_time(beta, angle, end) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("softmax", [False, True])
def test_pair_of_unequal_masses_is_the_simulation(softmax):
    beta, masses = 3.0, np.array([0.3, 0.7])

    def velocity(_, x):
        gap = x[:, None] - x[None, :]
        weight = masses * np.exp(beta * np.cos(gap))
        return -(weight * np.sin(gap)).sum(axis=1) / (weight.sum(axis=1) if softmax else 1.0)

    met = lambda t, x: x[1] - x[0] - 0.05  # noqa: E731
    met.terminal = True
    found = integrate.solve_ivp(velocity, (0, 1000), [0.0, 1.5], rtol=1e-11, atol=1e-13, method="DOP853", events=met)
    expected = cluster_pair.merge_time(beta, 1.5, 0.05, softmax, tuple(masses))
    assert found.t_events[0][0] == pytest.approx(expected, rel=1e-8)


def test_lifetimes_of_separate_clusters_are_exponential():
    betas = np.arange(20.0, 51.0, 5.0)
    logs = [cluster_pair.log_merge_time(float(beta), 1.0, 0.01) + math.log(beta) for beta in betas]
    assert np.polyfit(betas, logs, 1)[0] == pytest.approx(1 - math.cos(1), abs=0.02)
    assert cluster_pair.log_merge_time(4000, 1.0, 0.01) == pytest.approx(4000 * (1 - math.cos(1)), rel=0.01)
    assert cluster_pair.merge_time(4000, 1.0, 0.01) == math.inf
    assert cluster_pair.merge_angle(math.e) == pytest.approx(math.e**-0.5)
    for call in (lambda: cluster_pair.merge_time(5, 1.0, 2.0), lambda: cluster_pair.merge_angle(1.0)):
        with pytest.raises(ValueError, match="needs"):
            call()


# Equiangular tokens.


def test_equiangular_anchors():
    softmax = equiangular.cosine_at(np.arange(1.0, 5.0), 32, 1.0)
    np.testing.assert_allclose(softmax, [0.15185, 0.58977, 0.91421, 0.98746], atol=5.1e-6)
    unnormalised = equiangular.cosine_at(np.array([0.25, 0.5, 0.75, 1, 1.5]), 32, 1.0, softmax=False)
    np.testing.assert_allclose(unnormalised, [0.02010, 0.05270, 0.10543, 0.18994, 0.51112], atol=5.1e-6)
    printed = {(467, 1): 4.182, (20, 1): 2.713, (20, 5): 8.305, (32, 1): 2.916}
    for (n, beta), time in printed.items():
        assert equiangular.time_to(0.9, n, beta) == pytest.approx(time, abs=5.1e-4)
    assert equiangular.time_to(0.9, 32, 9) == pytest.approx(176.36, abs=5.1e-3)


def test_orthonormal_tokens_are_equiangular():
    n, beta = 8, 2.0

    def velocity(_, flat):
        x = flat.reshape(n, n)
        weight = np.exp(beta * x @ x.T)
        pull = weight @ x / weight.sum(axis=1, keepdims=True)
        return (pull - np.sum(pull * x, axis=1, keepdims=True) * x).ravel()

    end = integrate.solve_ivp(velocity, (0, 2.0), np.eye(n).ravel(), rtol=1e-9, atol=1e-11).y[:, -1].reshape(n, n)
    cosines = (end @ end.T)[np.triu_indices(n, 1)]
    np.testing.assert_allclose(cosines, equiangular.cosine_at(np.array([2.0]), n, beta)[0], atol=1e-7)


def test_equiangular_ends():
    late = 1 - equiangular.cosine_at(np.array([6.0, 7.0]), 32, 1.0)
    assert late[1] / late[0] == pytest.approx(math.exp(-2), rel=2e-3)  # 1 − ρ ~ e^{−2t}, corrections of order 1 − ρ
    assert equiangular.one_layer_cosine(0.5, 1.9) == 1.0
    assert equiangular.one_layer_cosine(0.5, 2.0) == 4 * 0.5 / 2.5
    assert equiangular.one_layer_cosine(0.5, 2.1) == 0.5
    with pytest.raises(ValueError, match="never reaches"):
        equiangular.time_to(1.0, 3, 1.0)


# Causal centres.


def test_counts_of_strong_centres():
    assert causal_centres.strong_centres(0.5, 2) == pytest.approx(math.pi / 0.5)
    assert causal_centres.strong_centres(0.5, 2) == pytest.approx(6.28, abs=5.1e-3)
    assert causal_centres.strong_centres(0.4, 3) == pytest.approx(1 / math.sin(0.2) ** 2)
    assert causal_centres.strong_centres(0.4, 3) == pytest.approx(25.34, abs=5.1e-3)
    assert causal_centres.strong_centres(math.pi, 5) == 1
    assert causal_centres.strong_centres(0.3, 4, 1) == pytest.approx(1)
    assert causal_centres.cap_share(2.0, 3) == pytest.approx(math.sin(1.0) ** 2)


def test_counts_of_ordinary_centres():
    assert causal_centres.parked_share(math.inf) == pytest.approx(0.7475979202534, abs=1e-9)  # [@renyi1958one]
    assert causal_centres.ordinary_centres(0.5) == pytest.approx(9.39, abs=5.1e-3)
    # 9.11 ± .03 over 400 draws at n = 200; the line's formula leaves out ends of order e^{−2π/δ}
    assert causal_centres.ordinary_centres(0.5, 200) == pytest.approx(9.11, abs=0.06)


@pytest.mark.parametrize("d, delta", [(2, 0.5), (4, 0.9)])
def test_centres_of_drawn_tokens(d, delta):
    rng, n, strong, ordinary = np.random.default_rng(2), 60, [], []
    for _ in range(300):
        x = rng.standard_normal((n, d))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        near = np.tril(np.arccos(np.clip(x @ x.T, -1, 1)) <= delta, -1)
        strong.append(np.sum(~near.any(axis=1)))
        centres = []
        for i in range(n):
            if not near[i, centres].any():
                centres.append(i)
        ordinary.append(len(centres))
    error = np.std(strong) / math.sqrt(300)
    assert np.mean(strong) == pytest.approx(causal_centres.strong_centres(delta, d, n), abs=4 * error)
    if d == 2:
        error = np.std(ordinary) / math.sqrt(300)
        assert np.mean(ordinary) == pytest.approx(causal_centres.ordinary_centres(delta, n), abs=4 * error)
    with pytest.raises(ValueError, match="cap needs"):
        causal_centres.cap_share(0.0, 2)
