"""Dipoles in a field: keys as unit vectors that a query turns, and what independent orientations would do.

A row is one dipole that chooses among n orientations; no term couples keys to each other.
"""

import numpy as np
from jaxtyping import Float
from scipy import special


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


def sampled_sums(
    query: Float[np.ndarray, "head row d"],
    key: Float[np.ndarray, "kv_head key d"],
    seen: np.ndarray,
    scale: float,
    rng: np.random.Generator,
) -> dict[str, Float[np.ndarray, " head"]]:
    """Sums over some rows of several heads, for `Ensemble.dipoles`. `query` carries the scale: it is q/T.

    rows; alignment m∥ = q̂·Σ p k' / Σ p|k'| with k' = k − mean k; strength |q| mean|k'| /T; mean_key |Σ p k|;
    susceptibility tr Cov_p(k)/T; longitudinal qᵀCov q/(|q|² tr Cov); heat_capacity qᵀCov q/T² and response, the same from
    a numerical derivative of the mean key; twin and twin_squares of the isotropic twin's m∥; swapped, m∥ of each row's keys
    in the field of another row's query (the rows in a ring), over swapped_rows rows: those whose two sets of keys differ.
    """
    heads, count = query.shape[:2]
    key = np.repeat(key, heads // len(key), axis=0)
    n = np.maximum(seen.sum(axis=1), 1)
    middle = (seen / n[:, None]) @ key

    def mean_key(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = special.softmax(np.where(seen, field @ key.swapaxes(1, 2), -np.inf), axis=-1)
        return p, p @ key

    p, mean = mean_key(query)
    # Distances between keys and a point c from |k − c₀|² and products, both about the mean of all keys.
    about = key.mean(axis=1, keepdims=True)
    local, squares = key - about, np.sum((key - about) ** 2, axis=-1)

    def distances(centre: np.ndarray) -> np.ndarray:
        c = centre - about
        found = squares[:, None] - 2 * c @ local.swapaxes(1, 2) + np.sum(c**2, axis=-1)[..., None]
        return np.maximum(found, 0.0) * seen

    lengths = np.sqrt(distances(middle))
    trace = np.sum(p * distances(mean), axis=-1)
    size = np.linalg.norm(query, axis=-1)
    along = query @ key.swapaxes(1, 2)
    capacity = np.sum(p * (along - np.sum(p * along, axis=-1, keepdims=True)) ** 2, axis=-1)
    change = (mean_key((1 + STEP) * query)[1] - mean_key((1 - STEP) * query)[1]) / (2 * STEP)

    def aligned(field: np.ndarray, p: np.ndarray, mean: np.ndarray) -> np.ndarray:
        along = np.einsum("hrd,hrd->hr", field, mean - middle)
        return _ratio(along, np.linalg.norm(field, axis=-1) * np.sum(p * lengths, axis=-1))

    other = np.roll(query, 1, axis=1)
    # Where all rows see the same keys a ring of queries has the mean that it had: no control.
    differs = np.any(seen != np.roll(seen, 1, axis=0), axis=-1).astype(float)
    swapped = aligned(other, *mean_key(other)) * differs
    share = size**2 * trace
    twin = twin_alignment(size, lengths, query.shape[-1], rng)
    rows = {
        "rows": np.ones((heads, count)),
        "alignment": aligned(query, p, mean),
        "strength": size * lengths.sum(axis=-1) / n,
        "mean_key": np.linalg.norm(mean, axis=-1),
        "susceptibility": scale * trace,
        "longitudinal": _ratio(capacity, share),
        "heat_capacity": capacity,
        "response": np.einsum("hrd,hrd->hr", query, change),
        "twin": twin,
        "twin_squares": twin**2,
        "swapped": swapped,
        "swapped_rows": np.tile(differs, (heads, 1)),
    }
    return {name: values.sum(axis=1) for name, values in rows.items()}


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above/below, 0 where nothing is below: a row without field or without keys apart has no direction."""
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), 0.0)
