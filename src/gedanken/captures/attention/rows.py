"""Rows of one head in one prompt, whole: for a closer look, for tests, and for particles. Small arrays only."""

import numpy as np
from jaxtyping import Float

from gedanken.kinds import Attention
from gedanken.theory import canonical
from gedanken.theory.canonical import Row


def logits(attention: Attention) -> Float[np.ndarray, "query state"]:
    """z of every query and key, −∞ where not seen; a state without key comes last."""
    z = attention.scale * (attention.query.astype(np.float64) @ attention.key.astype(np.float64).T)
    if attention.softcap is not None:
        z = attention.softcap * np.tanh(z / attention.softcap)
    if attention.bias is not None:
        z = z + attention.bias
    place = np.arange(len(attention.key))
    seen = (place >= attention.start[:, None]) & (place < attention.stop[:, None])
    if attention.visible is not None:
        seen &= attention.visible
    z = np.where(seen, z, -np.inf)
    if attention.sink is None:
        return z
    return np.concatenate([z, np.full((len(z), 1), attention.sink)], axis=1)


def pattern(attention: Attention) -> Float[np.ndarray, "query key"]:
    """The model's attention weights. With a state without key, rows sum to less than one."""
    return canonical.pattern(logits(attention))[:, : len(attention.key)]


def rows(attention: Attention, temperatures: Float[np.ndarray, " temperature"]) -> Row:
    """ln Z, u/τ, S and C of each query (temperature × query) at temperatures τ in units of the head's own."""
    z = logits(attention)
    found = [canonical.row(z, 1 / tau) for tau in temperatures]
    return Row(*(np.stack(parts) for parts in zip(*found, strict=True)))
