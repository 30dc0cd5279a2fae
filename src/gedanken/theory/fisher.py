"""Fisher–Rao geometry of the simplex: p ↦ √p maps it to the unit sphere, ds² = Σ dp²/p = 4|du|² [@amari2016information].

The heat capacity of a row is the Fisher information of ln T: the length of a sweep in temperature is ∫ √C d ln T.
"""

import numpy as np
from jaxtyping import Float


def metric_of_logits(p: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n n"]:
    """g = diag(p) − p pᵀ: the metric in logits, of rank n − 1."""
    return np.diag(p) - np.outer(p, p)


def distance(p: Float[np.ndarray, "*row n"], r: Float[np.ndarray, "*row n"]) -> float | Float[np.ndarray, "*row"]:
    """2 arccos Σ√(p r) ∈ [0, π], as 4 arcsin(|√p − √r|/2): arccos loses half the digits of near rows."""
    chord = np.sqrt(np.sum(np.square(np.sqrt(p) - np.sqrt(r)), axis=-1))
    return 4 * np.arcsin(np.minimum(chord / 2, 1.0))


def geodesic(p: Float[np.ndarray, " n"], r: Float[np.ndarray, " n"], t: float) -> Float[np.ndarray, " n"]:
    """The pattern a share t of the way from p to r: u(t) = [sin((1−t)θ)√p + sin(tθ)√r]/sin θ, θ half the distance."""
    angle = float(distance(p, r)) / 2
    if angle == 0.0:
        return np.array(p, dtype=np.float64)
    along = (np.sin((1 - t) * angle) * np.sqrt(p) + np.sin(t * angle) * np.sqrt(r)) / np.sin(angle)
    return along**2


def log_map(p: Float[np.ndarray, "*row n"], r: Float[np.ndarray, "*row n"]) -> Float[np.ndarray, "*row n"]:
    """The tangent at √p on the sphere that points to √r and is as long as the arc between them."""
    u, w = np.sqrt(p), np.sqrt(r)
    angle = distance(p, r)[..., None] / 2
    across = w - np.sum(u * w, axis=-1, keepdims=True) * u
    length = np.linalg.norm(across, axis=-1, keepdims=True)
    return np.where(length > 0, angle * across / np.where(length > 0, length, 1.0), 0.0)
