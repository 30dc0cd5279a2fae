"""What packings are held against: answers that are known exactly, and the largest overlap of random directions."""

import math

import numpy as np
from jaxtyping import Float

from gedanken.sources.packing.overlaps import largest_overlap
from gedanken.theory.packing import random_coherence


def least_overlap(k: int, d: int) -> float | None:
    """The smallest possible largest |cos| of k vectors in d dimensions, where it is a closed form; None elsewhere.

    0 for k ≤ d (an orthonormal set), 1/d for k = d + 1 (a simplex), cos(π/k) for lines in the plane, 1 on a line:
    optimal Grassmannian frames [@strohmer2003grassmannian, §2].
    """
    if k <= d:
        return 0.0
    if d == 1:
        return 1.0
    if k == d + 1:
        return 1 / d
    return math.cos(math.pi / k) if d == 2 else None


def random_overlaps(k: int, d: int, trials: int, rng: np.random.Generator) -> Float[np.ndarray, " trials"]:
    """The largest |cos| of k independent normal rows in d dimensions, of each of `trials` draws. The published
    baseline is the least of them, with rows in float16 [@guha2026representational]."""
    found = np.empty(trials)
    for trial in range(trials):
        rows = rng.standard_normal((k, d))
        found[trial] = largest_overlap(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return found


def expected_random_overlap(k: int, d: int, *, q: float = 0.5, trials: int = 1) -> float:
    """The q-quantile of the least of `trials` of `random_overlaps`, from the exact law of one pair.

    It treats the N = k(k−1)/2 pairs as independent; see theory.packing.random_coherence.
    """
    return random_coherence(k * (k - 1) / 2, d, q, trials)
