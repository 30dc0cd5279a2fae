"""The equation for infinitely many tokens, solved two ways."""

import numpy as np
import pytest

from gedanken.sources.particles.adaptive import integrate
from gedanken.sources.particles.flow import Flow
from gedanken.sources.particles.interaction import Interaction
from gedanken.sources.particles.mean_field import midpoint_quantiles, modes_of
from gedanken.sources.particles.spectral import SpectralMeanField
from gedanken.status import Failure

USA = Interaction(5.0, "unnormalised")
START = np.array([0, 0, 0.025 * np.exp(-0.7j)])
"""Of the density (1 + .05 cos(3θ − .7))/2π: μ̂_3 = .025 e^{−.7i}."""


def by_quantiles(interaction, modes, count, time, tolerance=1e-12):
    return integrate(Flow(interaction, 2), midpoint_quantiles(modes, count), 0.0, time, tolerance).state


def test_anchor_from_linear_growth_to_points():
    """|μ̂_3| at five times; at t = 1 the density is three points, which the quantiles survive."""
    wanted = {0.05: 0.06328564, 0.1: 0.15878880, 0.15: 0.37750426, 0.25: 0.91664822, 1.0: 0.99999718}
    flow, angles, last = Flow(USA, 2), midpoint_quantiles(START, 1024), 0.0
    assert abs(modes_of(angles, 3)[2]) == pytest.approx(0.025, abs=1e-14)
    for time, value in wanted.items():
        angles, last = integrate(flow, angles, last, time, 1e-10).state, time
        assert abs(modes_of(angles, 3)[2]) == pytest.approx(value, abs=6e-9)
    solver = SpectralMeanField(USA, size=512)
    state = solver.advance(solver.state(START), 0.15)
    assert abs(state[3]) == pytest.approx(wanted[0.15], abs=6e-9)
    with pytest.raises(Failure, match="sharpened"):
        solver.advance(state, 0.2)


@pytest.mark.parametrize("interaction", [USA, Interaction(5.0), Interaction(3.0, repulsive=True)])
def test_the_two_solvers_agree(interaction):
    duration = 0.08 if interaction is USA else 1.0
    modes = np.array([0.05 + 0.02j, -0.03j, 0.04])
    particles = modes_of(by_quantiles(interaction, modes, 1024, duration), 6)
    solver = SpectralMeanField(interaction, size=192)
    spectral = solver.advance(solver.state(modes), duration)[1:7]
    # The default increment errs by 3e−11 relative, some hundred times.
    assert np.abs(particles - spectral).max() < 1e-9


def test_quantiles_converge_faster_than_any_power():
    reference = modes_of(by_quantiles(USA, START, 1536, 0.05), 3)[2]
    errors = [abs(modes_of(by_quantiles(USA, START, n, 0.05), 3)[2] - reference) for n in (12, 24, 48, 96)]
    assert errors[0] > 20 * errors[1] > 400 * errors[2]
    assert errors[3] < 1e-13


def test_spectral_steps_are_of_order_four_and_modes_converge():
    solver = SpectralMeanField(USA, size=192)
    fine = solver.advance(solver.state(START), 0.05, 0.05 / 400)
    errors = [np.abs(solver.advance(solver.state(START), 0.05, 0.05 / n) - fine).max() for n in (20, 40, 80)]
    # The next term of the error is of relative size λdt ≤ .05.
    assert np.log2(np.divide(errors[:-1], errors[1:])) == pytest.approx(4, abs=0.1)
    small = SpectralMeanField(USA, size=96)
    coarse = small.advance(small.state(START), 0.05, 0.05 / 400)
    assert np.abs(coarse[:20] - fine[:20]).max() < 1e-12


def test_rotated_start_gives_a_rotated_solution():
    """With a sine part in every mode: a reflected convolution would fail here."""
    modes, turn = np.array([0.03 + 0.04j, 0.02 - 0.05j, 0.06j]), 0.83
    phases = np.exp(-1j * turn * np.arange(1, 4))
    plain, rotated = (modes_of(by_quantiles(USA, m, 512, 0.06), 3) for m in (modes, modes * phases))
    assert np.abs(plain * phases - rotated).max() < 1e-12
    solver = SpectralMeanField(USA, size=192)
    plain, rotated = (solver.advance(solver.state(m), 0.06)[1:4] for m in (modes, modes * phases))
    assert np.abs(plain * phases - rotated).max() < 1e-12


def test_mass_and_mean_angle_are_kept():
    """Uniform mass exactly; for USA also the mean angle, Σ v = 0."""
    solver = SpectralMeanField(USA, diffusion=0.02, size=192)
    state = solver.advance(solver.state(START), 0.1)
    assert state[0] == 1.0
    before = midpoint_quantiles(START, 512)
    assert by_quantiles(USA, START, 512, 0.3, 1e-10).sum() == pytest.approx(before.sum(), rel=1e-12)


def test_particles_approach_the_mean_field_like_the_square_root():
    """rms over 24 seeds of |μ̂_3^N − μ̂_3^∞| at t = .05 falls like N^{−1/2}."""
    exact = modes_of(by_quantiles(USA, START, 512, 0.05), 3)[2]
    flow, sizes, errors = Flow(USA, 2), (400, 1600, 6400), []
    grid = midpoint_quantiles(START, 4096)
    for n in sizes:
        found = []
        for seed in range(24):
            levels = np.random.default_rng([seed, n]).uniform(size=n)
            angles = np.interp(levels, (np.arange(4096) + 0.5) / 4096, grid)
            found.append(abs(modes_of(integrate(flow, angles, 0.0, 0.05, 1e-6).state, 3)[2] - exact))
        errors.append(np.sqrt(np.mean(np.square(found))))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    # Each rms of 24 complex draws scatters by 1/√48 = .14; over ln 16 that is .07 in the slope, twice is allowed.
    assert slope == pytest.approx(-0.5, abs=0.15)


def test_refusals():
    with pytest.raises(Failure, match="negative"):
        midpoint_quantiles([0.6], 100)
    with pytest.raises(Failure, match="identity"):
        SpectralMeanField(Interaction(5.0, causal=True))
    with pytest.raises(Failure, match="diffusion"):
        SpectralMeanField(Interaction(5.0), diffusion=-1.0)
    solver = SpectralMeanField(Interaction(5.0))
    with pytest.raises(Failure, match="needs at most"):
        solver.advance(solver.state(START), 1.0, step=1.0)
