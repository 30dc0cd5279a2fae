"""Where on the circle the clusters will stand, read off the initial data.

Once mode k has outgrown the others, the density is 1 + 2|μ̂_k| cos(kθ + arg μ̂_k), μ̂_k = (1/N)Σ e^{−ikθ_j}, whose maxima are

    δ_j = (2πj − arg μ̂_k)/k,   j = 0 … k−1

the red lines in the pictures of [@bruno2024emergence]. Linear growth on the circle keeps every phase, so the phases at
the start predict the angles at the end of the linear stage.
"""

import math

import numpy as np
from jaxtyping import Float


def predicted_angles(mode: complex, count: int) -> Float[np.ndarray, " count"]:
    """δ_j in [0, 2π), ascending, from μ̂_k of the start, k = `count`. Raises ValueError if μ̂_k = 0 or k < 1."""
    if count < 1 or mode == 0:
        raise ValueError("the phase of a mode that is zero predicts no angle")
    return np.sort(np.mod((2 * np.pi * np.arange(count) - np.angle(mode)) / count, 2 * np.pi))


def angle_errors(
    found: Float[np.ndarray, " clusters"], predicted: Float[np.ndarray, " count"]
) -> Float[np.ndarray, " clusters"]:
    """For each cluster found, its signed angle from the nearest prediction, in (−π, π]."""
    away = np.asarray(found)[:, None] - np.asarray(predicted)[None, :]
    away = -np.mod(-away + np.pi, 2 * np.pi) + np.pi
    return away[np.arange(len(away)), np.abs(away).argmin(axis=1)]


def angle_error(found: Float[np.ndarray, " clusters"], predicted: Float[np.ndarray, " count"]) -> float:
    """Root mean square of `angle_errors`, in rad."""
    return float(np.sqrt(np.mean(angle_errors(found, predicted) ** 2)))


def null_angle_error(count: int) -> float:
    """π/(k√3): the root mean square error of one cluster where the phase is uniform (an even law on ±π/k)."""
    return math.pi / (count * math.sqrt(3))
