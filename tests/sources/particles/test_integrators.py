"""Orders of every scheme, events, energy along the flow, noise."""

import numpy as np
import pytest
from scipy.integrate import quad

from gedanken.sources.particles import adaptive, integrators, pairwise, start
from gedanken.sources.particles.adaptive import Event, integrate
from gedanken.sources.particles.circle import FourierMoments
from gedanken.sources.particles.flow import Flow
from gedanken.sources.particles.interaction import Interaction
from gedanken.status import Failure


def begin(flow, count=6, seed=1):
    return flow.state(np.asarray(flow.points(start.uniform(count, flow.dimension, np.random.default_rng(seed)))))


@pytest.mark.parametrize("dimension", [2, 3, 5])
@pytest.mark.parametrize(("method", "order", "counts"), [("euler", 1, (80, 160, 320)), ("rk4", 4, (20, 40, 80))])
def test_fixed_steps_have_their_order(dimension, method, order, counts):
    flow = Flow(Interaction(2.0), dimension)
    state = begin(flow)
    exact = integrate(flow, state, 0.0, 2.0, 1e-13).state
    errors = []
    for count in counts:
        moved = state
        for _ in range(count):
            moved = integrators.SCHEMES[method](flow, moved, 2.0 / count)
        errors.append(np.abs(moved - exact).max())
    # The next term of the error is 1/80 relative, in the order 1/(80 ln 2) = .02; a little more at the coarsest step.
    assert np.log2(np.divide(errors[:-1], errors[1:])) == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize("dimension", [2, 3])
def test_adaptive_pair_is_of_order_five_and_its_dense_output_of_order_four(dimension):
    flow = Flow(Interaction(2.0), dimension)
    state = begin(flow)
    slope = flow.velocity(state)
    ends, middles = [], []
    for step in (0.2, 0.1, 0.05):
        after, stages, _ = adaptive.attempt(flow.velocity, state, slope, step)
        stride = adaptive.Stride(0.0, step, state, after, stages, adaptive.Pace(step))
        exact = [integrate(flow, state, 0.0, f * step, 1e-15).state for f in (1.0, 0.4)]
        ends.append(np.abs(flow.retract(after) - exact[0]).max())
        middles.append(np.abs(flow.retract(stride.at(0.4)) - exact[1]).max())
        assert np.abs(stride.at(1.0) - after).max() < 1e-15
        assert np.abs(stride.at(0.0) - state).max() < 1e-15
    # One increment errs by one power of the step more than the order. Ends reach 1e−12, where rounding is 1e−4 of it.
    assert np.log2(np.divide(ends[:-1], ends[1:])).min() > 5.7
    assert np.log2(np.divide(middles[:-1], middles[1:])).min() > 4.7


def test_adaptive_error_follows_the_tolerance():
    flow = Flow(Interaction(5.0, "unnormalised"), 2)
    state = begin(flow, 50)
    exact = integrate(flow, state, 0.0, 0.5, 1e-14).state
    errors = [np.abs(integrate(flow, state, 0.0, 0.5, tol).state - exact).max() for tol in (1e-5, 1e-7, 1e-9)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-6


def test_event_is_found_on_the_dense_output():
    """Two equal clusters, SA, β = 5: from angle 1 to .02 at time 5.386050, wherever the increments end."""
    exact = quad(lambda f: (np.exp(5 * (1 - np.cos(f))) + 1) / (2 * np.sin(f)), 0.02, 1.0, epsabs=1e-13)[0]
    flow = Flow(Interaction(5.0), 2)
    merge = Event("merge", lambda time, state: abs(state[1] - state[0]) - 0.02)
    arrival = integrate(flow, np.array([0.0, 1.0]), 0.0, 100.0, 1e-11, events=[merge])
    assert arrival.event is merge
    assert arrival.time == pytest.approx(exact, abs=1e-8)
    assert abs(arrival.state[1] - arrival.state[0]) == pytest.approx(0.02, abs=1e-10)


def test_count_event_stops_where_an_integer_changes():
    flow = Flow(Interaction(6.0), 2)
    state = np.array([0.0, 0.9, 2.0])

    def clusters(time, angles):
        return np.sum(np.diff(np.sort(angles)) > 0.1) + 1

    arrival = integrate(flow, state, 0.0, 50.0, events=[Event("count", lambda t, y: clusters(t, y) - 2.5)])
    assert clusters(0, arrival.state) in (2, 3)
    assert np.diff(np.sort(arrival.state)).min() == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize("dimension", [2, 3, 4])
@pytest.mark.parametrize("attention", ["softmax", "unnormalised"])
def test_energy_rises_as_the_dissipation_identity_says(dimension, attention):
    """dE/dt = Σ|v|²/n (USA), Σ (Z/n)|v|²/n (SA), against a five-point difference of E along the path."""
    interaction = Interaction(2.0, attention)
    flow = Flow(interaction, dimension)
    state, h = begin(flow, 40, seed=2), 0.004
    states = [integrate(flow, state, 0.0, k * h, 1e-15).state if k else state for k in range(5)]
    energies = [np.exp(2.0) * pairwise.partition(interaction, flow.points(s)).mean() / 4 for s in states]
    measured = (energies[0] - 8 * energies[1] + 8 * energies[3] - energies[4]) / (12 * h)
    v = flow.velocity(states[2])
    squares = v**2 if dimension == 2 else np.sum(v**2, axis=1)
    z = np.exp(2.0) * pairwise.partition(interaction, flow.points(states[2]))
    wanted = np.mean(squares * (z if attention == "softmax" else 1.0))
    assert measured == pytest.approx(wanted, rel=1e-8)


@pytest.mark.parametrize("attention", ["softmax", "unnormalised"])
def test_energy_is_monotone_up_to_one_cluster(attention):
    flow = Flow(Interaction(1.0, attention), 2)
    state, energies, moments = begin(flow, 200, seed=3), [], FourierMoments(1.0)
    pace, last = None, 0.0
    for time in np.linspace(0.5, 40, 60):
        arrival = integrate(flow, state, last, time, 1e-9, pace)
        state, pace, last = arrival.state, arrival.pace, time
        energies.append(moments.partition(state).mean())
    assert np.diff(energies).min() > -1e-12
    assert energies[-1] == pytest.approx(1.0, abs=1e-6)


def test_symmetric_matrices_keep_the_identity():
    """Scores ⟨x, Bx⟩ with B symmetric and V = B: E = Σ e^{βxᵀBx}/2βn² obeys the same identity."""
    rng = np.random.default_rng(4)
    B = rng.standard_normal((3, 3))
    B = (B + B.T) / 2
    interaction = Interaction(1.5, "unnormalised", W_K=B, W_V=B)
    flow = Flow(interaction, 3)
    state, h = begin(flow, 20, seed=5), 0.002
    states = [integrate(flow, state, 0.0, k * h, 1e-15).state if k else state for k in range(5)]
    energies = [np.exp(interaction.peak) * pairwise.partition(interaction, s).mean() / 3 for s in states]
    measured = (energies[0] - 8 * energies[1] + 8 * energies[3] - energies[4]) / (12 * h)
    assert measured == pytest.approx(np.mean(np.sum(flow.velocity(states[2]) ** 2, axis=1)), rel=1e-8)


@pytest.mark.parametrize("dimension", [2, 3, 6])
def test_brownian_motion_forgets_at_the_rate_of_the_sphere(dimension):
    """With no velocity ⟨x(t)·x(0)⟩ = e^{−D(d−1)t}: 20,000 walkers, D = .5, t = .4."""
    flow = Flow(Interaction(0.0), dimension)
    state, rng = begin(flow, 20_000, seed=7), np.random.default_rng(6)
    first, still, dt, count = flow.points(state), Still(flow, np.zeros_like(state)), 0.01, 40
    for _ in range(count):
        state = integrators.maruyama(still, state, dt, 0.5, rng)
    cosine = np.sum(flow.points(state) * first, axis=1)
    exact = np.exp(-0.5 * (dimension - 1) * dt * count)
    # One increment k ~ N(0, 2D dt) has ⟨1/√(1 + k²)⟩ = 1 − D(d−1)dt + ⅜(d²−1)(2D dt)² …: the scheme's weak error.
    weak = 0.0 if dimension == 2 else count * (0.375 * (dimension**2 - 1) - 0.125 * (dimension - 1) ** 2) * dt**2
    assert abs(cosine.mean() - exact * (1 + weak)) < 4 * cosine.std() / np.sqrt(len(cosine)) + exact * weak**2


class Still:
    """A flow without velocity: the pairs of 20,000 walkers need not be summed to find zero."""

    def __init__(self, flow, zero):
        self.circle, self.retract, self.zero = flow.circle, flow.retract, zero

    def velocity(self, state):
        return self.zero


def test_noise_shifts_the_growth_of_a_mode():
    """Noisy SA, β = 5, D = .5 > a_1/(β a_0): every mode decays, so uniform tokens stay uniform."""
    flow = Flow(Interaction(5.0), 2)
    rng = np.random.default_rng(8)
    state = begin(flow, 2000, seed=9)
    for _ in range(200):
        state = integrators.maruyama(flow, state, 0.05, 0.5, rng)
    noisy = abs(np.exp(1j * state).mean())
    state = begin(flow, 2000, seed=9)
    for _ in range(400):
        state = integrators.rk4(flow, state, 0.1)
    modes = [abs(np.exp(1j * k * state).mean()) for k in range(1, 8)]
    assert noisy < 0.2 < 0.3 < max(modes)


@pytest.mark.parametrize(("method", "beta", "attention"), [("euler", 5.0, "softmax"), ("rk4", 3.0, "unnormalised")])
def test_stability_limit_is_where_clusters_start_to_shake(method, beta, attention):
    """A tight cluster stays together just below the limit, falls apart just above it, and the larger step is refused."""
    flow = Flow(Interaction(beta, attention), 2)
    limit = flow.largest_step(method)
    spread = []
    for step in (0.97 * limit, 1.03 * limit):
        state = 1e-6 * np.array([-1.0, 0.3, 0.7])
        for _ in range(100):
            state = integrators.SCHEMES[method](flow, state, step)
        spread.append(np.ptp(state))
    assert spread[0] < 1e-6 < spread[1]
    integrators.check_step(flow, method, 0.97 * limit)
    with pytest.raises(Failure, match=f"needs at most {limit:.4g}"):
        integrators.check_step(flow, method, 1.03 * limit)
    with pytest.raises(Failure, match="must be positive"):
        integrators.check_step(flow, method, 0.0)


def test_dirac_clusters_survive_at_large_inverse_temperature():
    """β = 500: nothing overflows, and tokens stay finite through clustering."""
    flow = Flow(Interaction(500.0, "unnormalised"), 2, clock="peak")
    state = begin(flow, 300, seed=10)
    after = integrate(flow, state, 0.0, 200.0, 1e-7).state
    assert np.isfinite(after).all()
    assert np.diff(np.sort(after)).min() < 1e-6
