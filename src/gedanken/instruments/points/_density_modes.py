"""Maxima of the density of directions smoothed by the attention kernel, x ↦ (1/n) Σ_j e^{β(x·x_j − 1)}."""

import math

import numpy as np
from jaxtyping import Float

from gedanken.theory.gegenbauer import log_coefficients
from gedanken.theory.harmonic_power import fourier_modes

HEIGHT = 0.02
"""Maxima below this share of the highest are not counted. A convention of this project."""
SAME = 0.1
"""Two ascents that end within 0.1/√β of each other found one maximum: maxima of this kernel stand about 2/√β apart."""
STILL = 1e-6
"""An ascent has ended when a step turns by less, in rad."""
STEPS = 1000
"""At most; the ascent gains a factor at each step, and only a maximum about to vanish is slower."""
GRID = 8
"""Grid points per shortest wavelength kept: a maximum between two of them differs by less than 1 %."""


def count_modes(unit: Float[np.ndarray, "n d"], beta: float) -> int:
    """How many maxima at least 2 % as high as the highest. Circle: Fourier series on a grid; else by ascent."""
    return _on_circle(unit, beta) if unit.shape[1] == 2 else len(_ascents(unit, beta))


def _on_circle(unit: Float[np.ndarray, "n 2"], beta: float) -> int:
    most = 6 + int(math.sqrt(74 * beta))  # I_k/I_0 < 1e−16 beyond
    modes = fourier_modes(np.arctan2(unit[:, 1], unit[:, 0]), most)
    weights = np.exp(log_coefficients(beta, 2, most) - beta)
    series = np.concatenate([[weights[0]], weights[1:] * np.conj(modes)])
    size = 2 * GRID * (most + 1)
    density = np.fft.irfft(np.conj(series), n=size) * size
    maxima = (density > np.roll(density, 1)) & (density >= np.roll(density, -1)) & (density >= HEIGHT * density.max())
    # rounding makes maxima of a constant density; one that rises above its neighbours by less is none
    rise = density - np.minimum(np.roll(density, GRID), np.roll(density, -GRID))
    return max(1, int(np.count_nonzero(maxima & (rise > 1e-12 * density.max()))))


def _ascents(unit: Float[np.ndarray, "n d"], beta: float) -> Float[np.ndarray, "k d"]:
    """Where the mean shift x ← Σ_j e^{β x·x_j} x_j/|·| from every point ends, each maximum once."""
    at = unit
    for step in range(STEPS):
        pull = np.exp(beta * (at @ unit.T - 1)) @ unit
        lengths = np.linalg.norm(pull, axis=1, keepdims=True)
        pull = np.where(lengths > 0, pull / np.where(lengths > 0, lengths, 1.0), at)
        moved = float(np.linalg.norm(pull - at, axis=1).max())
        at = pull
        if step % 5 == 4 or moved < STILL:
            at = _distinct(at, STILL if moved >= STILL else SAME / math.sqrt(beta))
        if moved < STILL:
            break
    heights = np.exp(beta * (at @ unit.T - 1)).mean(axis=1)
    return at[heights >= HEIGHT * heights.max()]


def _distinct(rows: Float[np.ndarray, "k d"], angle: float) -> Float[np.ndarray, "m d"]:
    """One row of each group within `angle` of its first."""
    kept = []
    while len(rows):
        kept.append(rows[0])
        rows = rows[np.linalg.norm(rows - rows[0], axis=1) > angle]
    return np.array(kept)
