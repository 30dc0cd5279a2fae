"""The random baseline of packings, by simulation. Its exact law is theory.packing.random_coherence."""

import numpy as np
from jaxtyping import Float

from gedanken.theory.coherence import largest_overlap


def random_overlaps(k: int, d: int, trials: int, rng: np.random.Generator) -> Float[np.ndarray, " trials"]:
    """The largest |cos| of k independent normal rows in d dimensions, in each of `trials` draws.

    The published baseline is the least of them, of rows in float16 [@guha2026representational].
    """
    found = np.empty(trials)
    for trial in range(trials):
        rows = rng.standard_normal((k, d))
        found[trial] = largest_overlap(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return found
