"""Growth rates of small perturbations, measured on moving particles, against the linear theory."""

import numpy as np
import pytest
from scipy.special import eval_legendre, iv, spherical_in

from gedanken.sources.particles import adaptive, integrators, layers, start
from gedanken.sources.particles.flow import Flow
from gedanken.sources.particles.interaction import Interaction
from gedanken.sources.particles.mean_field import modes_of
from gedanken.sources.particles.spectral import SpectralMeanField

# Rates of modes 1 … 8, USA in true time: the table of the linear theory.
CIRCLE = {
    (1.0, "unnormalised"): (0.565159, 0.542991, 0.199516, 0.043794, 0.006787, 0.000810, 0.000078, 0.000006),
    (5.0, "unnormalised"): (4.867128, 14.004492, 18.596070, 16.346351, 10.789873, 5.704457, 2.513592, 0.948693),
    (5.0, "softmax"): (0.178677, 0.514117, 0.682678, 0.600089, 0.396106, 0.209416, 0.092276, 0.034827),
    (7.0, "unnormalised"): (22.291299, 70.863606, 109.51134, 116.580001, 96.019594, 64.77898, 37.047452, 18.385612),
    (7.0, "softmax"): (0.132219, 0.420321, 0.649557, 0.691484, 0.569532, 0.384231, 0.219744, 0.109053),
}
SPHERE = {
    (2.0, "softmax"): (0.537315, 0.582084, 0.313470, 0.111707),
    (5.0, "unnormalised"): (4.749545, 9.259590, 9.978086, 7.583100),
}


def circle_rate(beta: float, attention: str, k: int) -> float:
    """k² I_k(β)/β, divided by I_0(β) for softmax."""
    return k * k * iv(k, beta) / beta / (iv(0, beta) if attention == "softmax" else 1.0)


def sphere_rate(beta: float, attention: str, l: int) -> float:
    """ℓ(ℓ+1) a_ℓ/β, divided by a_0 for softmax; a_ℓ is the modified spherical Bessel function in d = 3."""
    return l * (l + 1) * spherical_in(l, beta) / beta / (spherical_in(0, beta) if attention == "softmax" else 1.0)


@pytest.mark.parametrize(("beta", "attention"), CIRCLE)
def test_rates_on_the_circle(beta, attention):
    flow = Flow(Interaction(beta, attention), 2)
    for k in range(1, 9):
        rate = circle_rate(beta, attention, k)
        assert rate == pytest.approx(CIRCLE[beta, attention][k - 1], abs=5e-7)
        # Quadratic terms change the rate by (1e−4)², rounding the amplitude by 1e−16/5e−5.
        angles = start.equispaced(1000, k, 1e-4 / k, 0.4)
        duration = min(0.1 / rate, 3 / max(CIRCLE[beta, attention]))
        after = adaptive.integrate(flow, angles, 0.0, duration, 1e-14).state
        growth = np.log(abs(modes_of(after, k)[-1]) / abs(modes_of(angles, k)[-1])) / duration
        assert growth == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize("attention", ["softmax", "unnormalised"])
def test_repulsion_turns_growth_into_decay(attention):
    angles = start.equispaced(500, 3, 1e-6, 1.0)
    flow = Flow(Interaction(5.0, attention, repulsive=True), 2)
    duration = 0.1 / circle_rate(5.0, attention, 3)
    after = adaptive.integrate(flow, angles, 0.0, duration, 1e-14).state
    growth = np.log(abs(modes_of(after, 3)[-1]) / abs(modes_of(angles, 3)[-1])) / duration
    assert growth == pytest.approx(-circle_rate(5.0, attention, 3), rel=1e-6)


@pytest.mark.parametrize(("beta", "attention"), SPHERE)
def test_rates_on_the_sphere(beta, attention):
    """Quadrature points moved along the gradient of a zonal harmonic: their moment of that harmonic grows at λ_ℓ."""
    points, masses = start.sphere_grid(40)
    flow = Flow(Interaction(beta, attention), 3, masses)
    axis = np.array([2.0, 1.0, -2.0]) / 3
    for l in range(1, 5):
        rate = sphere_rate(beta, attention, l)
        assert rate == pytest.approx(SPHERE[beta, attention][l - 1], abs=5e-7)
        # (t² − 1) P_ℓ′ = ℓ (t P_ℓ − P_{ℓ−1})
        t = points @ axis
        slope = l * (t * eval_legendre(l, t) - eval_legendre(l - 1, t)) / (t * t - 1)
        moved = flow.retract(points + 1e-6 * slope[:, None] * (axis - t[:, None] * points))
        duration = 0.1 / rate if rate > 0.2 else 0.3

        def moment(x, l=l):
            return masses @ eval_legendre(l, x @ axis)

        after = adaptive.integrate(flow, moved, 0.0, duration, 1e-13).state
        growth = np.log(moment(after) / moment(moved)) / duration
        assert growth == pytest.approx(rate, rel=1e-5)


def test_noisy_rates_of_the_mean_field():
    """D = .05, β = 5: every rate falls by D k²."""
    wanted = {
        "unnormalised": {1: 4.81713, 3: 18.14607, 4: 15.54635},
        "softmax": {1: 0.12868, 3: 0.23268, 4: -0.19991},
    }
    for attention, rates in wanted.items():
        solver = SpectralMeanField(Interaction(5.0, attention), diffusion=0.05, size=64)
        for k, rate in rates.items():
            modes = np.zeros(k, complex)
            modes[-1] = 1e-7 * np.exp(0.3j)
            duration = 0.1 / abs(rate)
            after = solver.advance(solver.state(modes), duration)
            assert np.log(abs(after[k]) / 1e-7) / duration == pytest.approx(rate, abs=5e-6)


LAYER = {(5.0, 3, 0.1): 1.062669, (5.0, 2, 0.1): 1.047195, (7.0, 4, 0.5): 1.236362, (1.0, 1, 0.5): 1.182469}


@pytest.mark.parametrize(("beta", "k", "h"), LAYER)
def test_layer_factors(beta, k, h):
    """Post-norm: 1 + λh/(1 + hq) at every layer, q = I_1/I_0."""
    angles = start.equispaced(800, k, 1e-7)
    flow = Flow(Interaction(beta), 2)
    points = flow.points(angles)
    wanted = 1 + circle_rate(beta, "softmax", k) * h / (1 + h * iv(1, beta) / iv(0, beta))
    assert wanted == pytest.approx(LAYER[beta, k, h], abs=5e-7)
    for _ in range(3):
        after = layers.post_norm(flow, points, h)
        ratio = abs(modes_of(flow.state(after), k)[-1]) / abs(modes_of(flow.state(points), k)[-1])
        assert ratio == pytest.approx(wanted, rel=1e-6)
        points = after


def test_pre_norm_layer_factors_fall_with_depth():
    """From radius 1, β = 5, k = 3, h = .1: a power law in depth."""
    flow = Flow(Interaction(5.0), 2)
    points = flow.points(start.equispaced(800, 3, 1e-7))
    for wanted in (1.062669, 1.057919, 1.053838, 1.050295):
        after = layers.pre_norm(flow, points, 0.1)
        ratio = abs(modes_of(flow.state(after), 3)[-1]) / abs(modes_of(flow.state(points), 3)[-1])
        assert ratio == pytest.approx(wanted, abs=6e-7)
        points = after


def test_anchor_layers():
    x = np.array([[1, 0, 0], [0, 1, 0], [0.6, 0, 0.8]])
    first = layers.post_norm(Flow(Interaction(2.0, W_V=np.diag([1.0, 2.0, -1.0])), 3), x, 0.1)[0]
    assert first == pytest.approx([0.99965462, 0.01580821, -0.02099404], abs=1e-8)
    pre = layers.pre_norm(Flow(Interaction(2.0), 3), x * [[1], [2], [1]], 0.1)
    assert pre == pytest.approx(
        np.array(
            [
                [1.08011775, 0.00854031, 0.02268387],
                [0.01704112, 2.0786986, 0.00852056],
                [0.66621775, 0.00854031, 0.85048388],
            ]
        ),
        abs=1e-8,
    )


def test_ring_jacobian():
    """Escape rate of m equal clusters: the largest eigenvalue of the velocity's derivative, by central differences."""
    for beta, m, wanted in ((5.0, 3, 0.3488612), (7.0, 4, 7.0), (20.0, 6, 212922.5)):
        flow = Flow(Interaction(beta, "unnormalised"), 2)
        ring = 2 * np.pi * np.arange(m) / m
        h = 1e-5
        columns = [(flow.velocity(ring + h * e) - flow.velocity(ring - h * e)) / (2 * h) for e in np.eye(m)]
        assert np.linalg.eigvals(np.array(columns)).real.max() == pytest.approx(wanted, rel=1e-6)


def test_equiangular_tokens():
    """32 orthonormal tokens follow the scalar equation of their common cosine."""
    points = start.equiangular(32, 32)
    cosines = {1: 0.15185, 2: 0.58977, 3: 0.91421, 4: 0.98746}
    flow, last, pace = Flow(Interaction(1.0), 32), 0.0, None
    for time, wanted in cosines.items():
        arrival = adaptive.integrate(flow, points, last, time, 1e-10, pace)
        points, last, pace = arrival.state, time, arrival.pace
        assert (points @ points.T)[~np.eye(32, dtype=bool)] == pytest.approx(wanted, abs=6e-6)
    flow, points, last = Flow(Interaction(1.0, "unnormalised"), 32), start.equiangular(32, 32), 0.0
    for time, wanted in {0.25: 0.02010, 0.5: 0.05270, 0.75: 0.10543, 1.0: 0.18994, 1.5: 0.51112}.items():
        points, last = adaptive.integrate(flow, points, last, time, 1e-10).state, time
        assert (points[0] @ points[1]) == pytest.approx(wanted, abs=6e-6)


def test_causal_first_token_never_moves():
    x = start.uniform(40, 3, np.random.default_rng(0))
    flow = Flow(Interaction(4.0, causal=True), 3)
    after = adaptive.integrate(flow, x, 0.0, 60.0, 1e-8).state
    assert np.abs(after[0] - x[0]).max() < 1e-12
    late = x
    for _ in range(200):
        late = integrators.rk4(flow, late, 0.1)
    assert np.abs(late[0] - x[0]).max() < 1e-12
