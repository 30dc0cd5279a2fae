"""Document weights: the bootstrap of values that come from a smaller number of documents."""

import numpy as np
from jaxtyping import Float, Int


def document_weights(
    documents: Int[np.ndarray, " prompt"], rng: np.random.Generator, draws: int
) -> Float[np.ndarray, "draw prompt"]:
    """What each prompt weighs in the mean over a resampled set of documents; rows sum to 1.

    Prompts of one document are drawn together, for they are not independent [@davison1997bootstrap, §3.8].
    """
    _, place = np.unique(documents, return_inverse=True)
    count = int(place.max()) + 1
    weights = rng.multinomial(count, np.full(count, 1 / count), draws)[:, place].astype(float)
    return weights / weights.sum(axis=1, keepdims=True)
