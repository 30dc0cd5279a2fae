"""Initial tokens: drawn, placed on a grid with a mode on it, in clusters, equiangular, or given."""

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from gedanken.sources.particles.flow import normalised
from gedanken.status import Failure

COINCIDENT = 1e-12
"""Distance below which two points are one: rounding of unit vectors."""


def uniform(count: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    """Independent uniform tokens: angles in [0, 2π) for dimension 2, else points."""
    if dimension == 2:
        return rng.uniform(0, 2 * np.pi, count)
    return normalised(rng.standard_normal((count, dimension)))


def equispaced(count: int, mode: int = 1, amplitude: float = 0.0, phase: float = 0.0) -> Float[np.ndarray, " n"]:
    """Angles 2πi/N displaced by amplitude · sin(kθ − phase): a quiet start of one mode, μ̂_k ≈ −½ k amplitude e^{−i phase}.

    The density is 1 − k amplitude cos(kθ − phase) to first order.
    """
    angles = 2 * np.pi * np.arange(count) / count
    return angles + amplitude * np.sin(mode * angles - phase)


def periodic(count: int, mode: int, rng: np.random.Generator) -> Float[np.ndarray, " n"]:
    """Random angles of period 2π/mode. Raises Failure unless the count is a multiple of the mode."""
    if mode < 1 or count % mode:
        raise Failure(f"{count} tokens cannot have period 2π/{mode}: the number must be a multiple of {mode}.")
    base = rng.uniform(0, 2 * np.pi / mode, count // mode)
    return (base[None, :] + 2 * np.pi * np.arange(mode)[:, None] / mode).ravel()


def clusters(
    count: int, dimension: int, number: int, spread: float, rng: np.random.Generator, angle: float | None = None
) -> np.ndarray:
    """Tokens i in cluster i mod number, Gaussian of standard deviation `spread` (radian) about its centre.

    Centres stand on the circle of the first two coordinates, 2π/number apart, or `angle` apart.
    """
    centre = (angle if angle is not None else 2 * np.pi / number) * (np.arange(count) % number)
    if dimension == 2:
        return centre + spread * rng.standard_normal(count)
    points = np.zeros((count, dimension))
    points[:, 0], points[:, 1] = np.cos(centre), np.sin(centre)
    kick = spread * rng.standard_normal(points.shape)
    return normalised(points + kick - np.einsum("nd,nd->n", kick, points)[:, None] * points)


def equiangular(count: int, dimension: int, cosine: float = 0.0) -> Float[np.ndarray, "n d"]:
    """Points of one common cosine: orthonormal at 0, a simplex at −1/(N−1).

    Raises Failure if no such points exist in this dimension.
    """
    lowest = -1 / (count - 1)
    if not lowest - 1e-12 <= cosine < 1:
        raise Failure(f"{count} points cannot have a common cosine of {cosine:g}: it lies in [{lowest:.4g}, 1).")
    values, vectors = np.linalg.eigh(np.full((count, count), cosine) + (1 - cosine) * np.eye(count))
    kept = values > 1e-12 * count
    if kept.sum() > dimension:
        raise Failure(f"{count} points with one common cosine need {kept.sum()} coordinates, not {dimension}.")
    points = np.zeros((count, dimension))
    points[:, : kept.sum()] = vectors[:, kept] * np.sqrt(values[kept])
    return normalised(points)


def sphere_grid(degree: int) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
    """Points and masses on the sphere in d = 3 that integrate harmonics up to `degree` exactly: Gauss–Legendre × Fourier."""
    z, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    around = 2 * np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1)
    r = np.sqrt(1 - z**2)
    points = np.stack(
        [np.outer(r, np.cos(around)), np.outer(r, np.sin(around)), np.outer(z, np.ones_like(around))], axis=-1
    )
    return normalised(points.reshape(-1, 3)), np.repeat(weights / 2, degree + 1) / (degree + 1)


def given(points: np.ndarray) -> Float[np.ndarray, "n d"]:
    """Points as unit vectors; a vector of angles becomes points in two dimensions.

    Raises Failure for NaN, a zero vector, coincident points (one token with twice the mass) or an antipodal pair alone.
    """
    points = np.asarray(points, dtype=float)
    if points.ndim == 1:
        points = np.stack([np.cos(points), np.sin(points)], axis=1)
    if points.ndim != 2 or len(points) < 2:
        raise Failure(f"Points are at least two rows of coordinates, not an array of shape {points.shape}.")
    if not np.isfinite(points).all():
        raise Failure(f"Point {int(np.argmin(np.isfinite(points).all(axis=1)))} holds a NaN or an infinity.")
    norms = np.linalg.norm(points, axis=1)
    if not norms.min() > 0:
        raise Failure(f"Point {int(np.argmin(norms))} is the zero vector, which has no direction.")
    points = points / norms[:, None]
    pairs = cKDTree(points).query_pairs(COINCIDENT)
    if pairs:
        i, j = min(pairs)
        raise Failure(f"Points {i} and {j} coincide and would never part: give one of them with both masses.")
    if len(points) == 2 and np.linalg.norm(points[0] + points[1]) <= COINCIDENT:
        raise Failure("Two antipodal points attract each other along no direction: move one of them.")
    return points
