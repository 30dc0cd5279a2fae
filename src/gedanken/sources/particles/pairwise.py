"""Attention summed over pairs, for any dimension, matrices and mask: exact, by blocks of rows, never all pairs at once."""

import numpy as np
from jaxtyping import Float

from gedanken.sources.particles.interaction import Interaction

BLOCK_ENTRIES = 1 << 20
"""Pairs held at a time (8 MB)."""


def attention(
    interaction: Interaction, points: Float[np.ndarray, "n d"], masses: Float[np.ndarray, " n"] | None = None
) -> Float[np.ndarray, "n d"]:
    """Attention's output at every token, Σ over heads; of USA in units of e^peak."""
    total = np.zeros_like(points)
    for query, key, value in heads(interaction, points):
        total += _one_head(interaction, query, key, value, masses)
    return interaction.sign * total


def partition(
    interaction: Interaction, points: Float[np.ndarray, "n d"], masses: Float[np.ndarray, " n"] | None = None
) -> Float[np.ndarray, " n"]:
    """Σ_j m_j e^{s_ij − peak} of one head at a finite temperature, over j ≤ i if causal (divided by their mass)."""
    ((query, key, _),) = heads(interaction, points)
    masses = _masses(masses, len(points))
    found = np.empty(len(points))
    for rows, stop in _blocks(interaction, len(points)):
        found[rows] = _exponentials(interaction, query[rows], key[:stop], rows, interaction.peak) @ masses[:stop]
    return found / np.cumsum(masses) if interaction.causal else found


def heads(interaction: Interaction, points: Float[np.ndarray, "n d"]):
    """(query, key, value) of every head; the inverse temperature is not in them."""
    given = (interaction.W_Q, interaction.W_K, interaction.W_V)
    for head in range(interaction.heads):
        yield tuple(points if W is None else points @ W[head].T for W in given)


def _one_head(interaction: Interaction, query, key, value, masses) -> Float[np.ndarray, "n d"]:
    masses = _masses(masses, len(query))
    found = np.empty(value.shape)
    for rows, stop in _blocks(interaction, len(query)):
        if interaction.hard:
            pattern = _leaders(interaction, query[rows], key[:stop], rows) * masses[:stop]
        else:
            top = None if interaction.softmax else interaction.peak
            pattern = _exponentials(interaction, query[rows], key[:stop], rows, top) * masses[:stop]
        if interaction.softmax:
            weight = pattern.sum(axis=1, keepdims=True)
        else:
            weight = np.cumsum(masses)[rows, None] if interaction.causal else 1.0
        found[rows] = pattern @ value[:stop] / weight
    return found


def _masses(masses: np.ndarray | None, count: int) -> Float[np.ndarray, " n"]:
    return np.full(count, 1.0 / count) if masses is None else masses


def _blocks(interaction: Interaction, count: int):
    """(rows, number of columns they see)."""
    step = max(1, BLOCK_ENTRIES // count)
    for start in range(0, count, step):
        stop = min(start + step, count)
        yield slice(start, stop), stop if interaction.causal else count


def _exponentials(interaction: Interaction, query, key, rows: slice, top: float | None) -> np.ndarray:
    """e^{s − top}, zero above the diagonal if causal; top = None takes the largest score of each row."""
    scores = query @ key.T
    scores *= interaction.inverse_temperature
    _mask(interaction, scores, rows)
    scores -= scores.max(axis=1, keepdims=True) if top is None else top
    return np.exp(scores, out=scores)


def _leaders(interaction: Interaction, query, key, rows: slice) -> np.ndarray:
    """1 at the largest score of each row (at all that tie exactly), else 0 [@geshkovski2023emergence]."""
    scores = query @ key.T
    _mask(interaction, scores, rows)
    return (scores == scores.max(axis=1, keepdims=True)).astype(float)


def _mask(interaction: Interaction, scores: np.ndarray, rows: slice) -> None:
    if interaction.causal:
        scores[np.arange(scores.shape[1])[None, :] > np.arange(rows.start, rows.stop)[:, None]] = -np.inf
