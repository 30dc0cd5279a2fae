"""Dipoles in a field: keys as unit vectors that a query turns, and what independent orientations would do.

A row is one dipole that chooses among n orientations; no term couples keys to each other.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

Keys = tuple[Float[np.ndarray, "_kv_head _key _d"], Bool[np.ndarray, "_row _key"]]
"""Keys of a prompt, and which of them some of its rows see."""


def alignment(x: float | Float[np.ndarray, "*k"], dimension: int) -> float | Float[np.ndarray, "*k"]:
    """A_d(x) = I_{d/2}(x)/I_{d/2−1}(x): mean cosine of free dipoles at x = |q||k|/T [@mardia2000directional, eq. 9.3.9].

    In three dimensions Langevin's coth x − 1/x. By the continued fraction A = x/(d + x·A_{d+2}), which neither
    overflows nor cancels.
    """
    x = np.asarray(x, dtype=np.float64)
    # A_{d+2k} ≈ x/(d + 2k) once d + 2k ≫ x, and each step back shrinks the error by A².
    depth = 60 + int(np.max(np.abs(x), initial=0.0))
    ratio = np.zeros_like(x)
    for k in range(depth, -1, -1):
        ratio = x / (dimension + 2 * k + x * ratio)
    return ratio


def free_heat_capacity(x: float | Float[np.ndarray, "*k"], dimension: int) -> float | Float[np.ndarray, "*k"]:
    """C = x²A'(x), A' = 1 − A² − (d − 1)A/x, in nat²; → (d − 1)/2 as x → ∞: a plateau, no peak."""
    x = np.asarray(x, dtype=np.float64)
    mean = alignment(x, dimension)
    return x**2 * (1 - mean**2) - (dimension - 1) * x * mean


def isotropic_cosines(
    shape: tuple[int, ...], dimension: int, rng: np.random.Generator
) -> float | Float[np.ndarray, "..."]:
    """Cosines between a fixed direction and directions drawn uniformly in `dimension` dimensions."""
    if dimension == 1:
        return rng.choice([-1.0, 1.0], size=shape)
    along = rng.standard_normal(shape)
    return along / np.sqrt(along**2 + rng.chisquare(dimension - 1, shape))


def twin_alignment(
    field: Float[np.ndarray, "*row"],
    lengths: Float[np.ndarray, "*row n"],
    dimension: int,
    rng: np.random.Generator,
) -> float | Float[np.ndarray, "*row"]:
    """Σ p_j |k_j| cos_j / Σ p_j |k_j| of one isotropic twin of each row: its key lengths, directions redrawn.

    field: |q|/T. lengths: |k_j|, 0 for keys that the row does not see. A row without length has alignment 0.
    """
    cosines = isotropic_cosines(lengths.shape, dimension, rng)
    logits = np.where(lengths > 0, field[..., None] * lengths * cosines, -np.inf)
    logits[..., 0] = np.where(np.any(lengths > 0, axis=-1), logits[..., 0], 0.0)
    weights = special.softmax(logits, axis=-1) * lengths
    total = np.sum(weights, axis=-1)
    return np.sum(weights * cosines, axis=-1) / np.where(total > 0, total, 1.0)


STEP = 1e-4
"""Relative change of the query in the numerical derivative: its error is of order STEP² and rounding/STEP, both 1e−8."""


class Turned(NamedTuple):
    """What fields do to keys, for each head and row: weights p, the mean key Σ p k, the plain mean of the keys seen, and
    the distances of keys from that."""

    weights: Float[np.ndarray, "head row key"]
    mean: Float[np.ndarray, "head row d"]
    middle: Float[np.ndarray, "head row d"]
    lengths: Float[np.ndarray, "head row key"]

    @property
    def along(self) -> Float[np.ndarray, "head row"]:
        """Σ p|k'|: the largest that |Σ p k'| could be."""
        return np.sum(self.weights * self.lengths, axis=-1)

    def alignment(self, field: Float[np.ndarray, "head row d"]) -> Float[np.ndarray, "head row"]:
        """m∥ = q̂·Σ p k' / Σ p|k'|."""
        found = np.einsum("hrd,hrd->hr", field, self.mean - self.middle)
        return _ratio(found, np.linalg.norm(field, axis=-1) * self.along)


def turned(
    field: Float[np.ndarray, "head row d"], key: Float[np.ndarray, "head key d"], seen: Bool[np.ndarray, "row key"]
) -> Turned:
    """The keys that each row sees, in its field q/T."""
    weights = _weights(field, key, seen)
    middle = (seen / np.maximum(seen.sum(axis=1), 1)[:, None]) @ key
    return Turned(weights, weights @ key, middle, np.sqrt(_distances(key, middle, seen)))


def sampled_sums(
    query: Float[np.ndarray, "head row d"],
    key: Float[np.ndarray, "kv_head key d"],
    seen: Bool[np.ndarray, "row key"],
    scale: float,
    rng: np.random.Generator,
    other: Keys | None = None,
) -> dict[str, Float[np.ndarray, " head"]]:
    """Sums over some rows of several heads, for `Ensemble.dipoles`. `query` carries the scale: it is q/T.

    rows; alignment m∥ = q̂·Σ p k' / Σ p|k'| with k' = k − mean k; strength |q| mean|k'| /T; mean_key |Σ p k|;
    susceptibility tr Cov_p(k)/T; longitudinal qᵀCov q/(|q|² tr Cov); heat_capacity qᵀCov q/T² and response, the same from
    a numerical derivative of the mean key; twin and twin_squares of the isotropic twin's m∥; swapped, m∥ with the keys that
    rows of `other`, another prompt, see, over swapped_rows rows (none without it): row by row, as far as both have rows.
    """
    heads, count = query.shape[:2]
    key = np.repeat(key, heads // len(key), axis=0)
    found = turned(query, key, seen)
    p, size = found.weights, np.linalg.norm(query, axis=-1)
    trace = np.sum(p * _distances(key, found.mean, seen), axis=-1)
    along = query @ key.swapaxes(1, 2)
    capacity = np.sum(p * (along - np.sum(p * along, axis=-1, keepdims=True)) ** 2, axis=-1)
    either = (_weights((1 + side * STEP) * query, key, seen) @ key for side in (1, -1))
    change = np.subtract(*either) / (2 * STEP)
    twin = twin_alignment(size, found.lengths, query.shape[-1], rng)
    both = min(count, len(other[1])) if other else 0
    swapped = np.zeros((heads, 0))
    if both:
        field = query[:, :both]
        swapped = turned(field, np.repeat(other[0], heads // len(other[0]), axis=0), other[1][:both]).alignment(field)
    rows = {
        "rows": np.ones((heads, count)),
        "alignment": found.alignment(query),
        "strength": size * found.lengths.sum(axis=-1) / np.maximum(seen.sum(axis=1), 1),
        "mean_key": np.linalg.norm(found.mean, axis=-1),
        "susceptibility": scale * trace,
        "longitudinal": _ratio(capacity, size**2 * trace),
        "heat_capacity": capacity,
        "response": np.einsum("hrd,hrd->hr", query, change),
        "twin": twin,
        "twin_squares": twin**2,
        "swapped": swapped,
        "swapped_rows": np.ones((heads, both)),
    }
    return {name: values.sum(axis=1) for name, values in rows.items()}


def _weights(field: np.ndarray, key: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return special.softmax(np.where(seen, field @ key.swapaxes(1, 2), -np.inf), axis=-1)


def _distances(key: np.ndarray, centre: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """|k − c|² for a point c of each row, 0 for keys not seen: from |k − c₀|² and products, both about the mean of all
    keys."""
    about = key.mean(axis=1, keepdims=True)
    local, c = key - about, centre - about
    squares = np.sum(local**2, axis=-1)[:, None]
    found = squares - 2 * c @ local.swapaxes(1, 2) + np.sum(c**2, axis=-1)[..., None]
    return np.maximum(found, 0.0) * seen


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above/below, 0 where nothing is below: a row without field or without keys apart has no direction."""
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), 0.0)
