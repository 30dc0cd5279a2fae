"""Streams for known cases: both halves of the text made from one array."""

import numpy as np
from jaxtyping import Float

from gedanken.kinds import FIRST_POSITIONS, Moments, Stream

LENGTH = 24
"""Tokens of a prompt."""


def stream_of(
    rows: Float[np.ndarray, "n d"], fit: Float[np.ndarray, "m d"] | None = None, length: int = LENGTH
) -> Stream:
    """A stream of prompts of `length` tokens, read off `rows` in order; `fit` (the same by default) is the first half."""
    position = np.arange(len(rows)) % length
    kept = position >= FIRST_POSITIONS
    fit = rows[kept] if fit is None else fit
    absolute = np.abs(fit).mean(axis=0)
    excluded = int(np.count_nonzero(~kept))
    return Stream(
        Moments.of(fit), Moments.of(rows[kept]), excluded, absolute, rows, np.arange(len(rows)) // length, position
    )
