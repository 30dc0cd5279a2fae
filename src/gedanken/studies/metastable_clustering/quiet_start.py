"""Quiet starts: one mode of 10⁻⁶ on tokens that are uniform otherwise, and how fast it grows. No sampling error."""

import math

import numpy as np

from gedanken.sources.particles import integrators, layers, start
from gedanken.sources.particles.flow import Flow, normalised
from gedanken.sources.particles.interaction import Interaction
from gedanken.sources.particles.spectral import SpectralMeanField
from gedanken.theory.clustering.mode_growth import log_growth_rates
from gedanken.theory.gegenbauer import gegenbauer

DISPLACED = 1e-6
"""What the square of the amplitude adds to a rate is then of order 10⁻¹² on the circle, 10⁻⁷ (with DISPLACED/10) above."""
PACE, STEPS = 0.02, 50
"""λ_max dt and increments: RK4 is exact to 0.02⁴/120 = 1e−9 of a rate."""


def measured_rate(
    beta: float, degree: int, d: int = 2, softmax: bool = True, repulsive: bool = False, halvings: int = 0
) -> float:
    """Slope of ln amplitude. Time of unnormalised attention counts in e^{−β}: the rate is e^{−β}λ."""
    interaction = Interaction(beta, "softmax" if softmax else "unnormalised", repulsive)
    state, masses = (_circle if d == 2 else _sphere)(beta, degree)
    flow = Flow(interaction, d, masses, clock="peak")
    step, steps = PACE / fastest(beta, d, softmax) / 2**halvings, STEPS * 2**halvings
    before = _amplitude(state, masses, degree)
    for _ in range(steps):
        state = integrators.rk4(flow, state, step)
    return math.log(_amplitude(state, masses, degree) / before) / (steps * step)


def predicted_rate(beta: float, degree: int, d: int = 2, softmax: bool = True) -> float:
    """λ in the same clock."""
    return math.exp(log_growth_rates(beta, d, degree, softmax)[-1] - (0.0 if softmax else beta))


def fastest(beta: float, d: int, softmax: bool) -> float:
    most = 6 + int(2 * math.sqrt(2 * beta))
    return math.exp(log_growth_rates(beta, d, most, softmax).max() - (0.0 if softmax else beta))


def noisy_rate(beta: float, degree: int, diffusion: float, softmax: bool = False) -> float:
    """The same on the mean-field equation with noise, by Fourier modes; in true time."""
    solver = SpectralMeanField(Interaction(beta, "softmax" if softmax else "unnormalised"), diffusion, 128)
    state = solver.state(np.array([0.0] * (degree - 1) + [DISPLACED / 2]))
    duration = 0.5 / (fastest(beta, 2, softmax) * (1.0 if softmax else math.exp(beta)))
    return math.log(abs(solver.advance(state, duration)[degree]) / abs(state[degree])) / duration


def layer_factor(beta: float, degree: int, width: float, pre_norm: bool, layer: int) -> float:
    """By what layer `layer` (from 0) of a stack multiplies the amplitude on the circle."""
    flow = Flow(Interaction(beta), 2)
    points = flow.points(_circle(beta, degree)[0])
    apply = layers.pre_norm if pre_norm else layers.post_norm
    amplitudes = []
    for _ in range(layer + 2):
        amplitudes.append(_amplitude(np.arctan2(points[:, 1], points[:, 0]), None, degree))
        points = apply(flow, points, width)
    return amplitudes[layer + 1] / amplitudes[layer]


def _circle(beta: float, degree: int):
    # the grid must carry all orders of the kernel beside the mode, or they alias onto it
    count = 4 * (int(math.sqrt(74 * beta)) + 6 + degree)
    return start.equispaced(count, degree, DISPLACED), None


def _sphere(beta: float, degree: int):
    """A grid of quadrature points, moved along the gradient of the zonal harmonic."""
    points, masses = start.sphere_grid(2 * (int(math.sqrt(74 * beta)) + 7 + degree))
    z = points[:, 2]
    slope = np.polynomial.legendre.Legendre.basis(degree).deriv()(z)
    along = np.array([0.0, 0.0, 1.0]) - z[:, None] * points
    return normalised(points + 0.1 * DISPLACED * slope[:, None] * along), masses


def _amplitude(state: np.ndarray, masses: np.ndarray | None, degree: int) -> float:
    if state.ndim == 1:
        return float(abs(np.exp(-1j * degree * state).mean()))
    return float(abs(masses @ gegenbauer(state[:, 2], 3, degree)[degree]))
