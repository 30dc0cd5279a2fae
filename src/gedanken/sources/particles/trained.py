"""Trained attention as an interaction: the heads of one layer of a checkpoint, on unit vectors.

A layer sees tokens of norm √d (what LayerNorm with unit gain gives). On their directions u the scores are
d · u_i W_QᵀW_K u_j / √d_k, so β = d/√d_k with the matrices as stored, and the values keep their scale: x + A(x) and
u + A(u) point the same way. Gains, biases and positions are not in it.
"""

from dataclasses import replace

import numpy as np

from gedanken.site import Site
from gedanken.sources.architectures import Heads, Piece
from gedanken.sources.checkpoints import Checkpoint
from gedanken.sources.particles.interaction import Interaction
from gedanken.status import Failure


def trained_attention(
    checkpoint: Checkpoint, layer: int, *, stack: str | None = None, causal: bool = False, scale: float | None = None
) -> Interaction:
    """Softmax attention by the heads of one layer, W_V being W_O W_V of each.

    scale: what the model multiplies q·k by, 1/√d_k by default. Raises Failure if the checkpoint does not tell its heads
    or the layer has no W_Q, W_K, W_V and W_O; Refusal if a tensor cannot be read.
    """
    heads = checkpoint.heads
    if heads is None:
        raise Failure("The checkpoint does not say how many heads its attention has.")
    w_q, w_k, w_v, w_o = (_read(checkpoint, Site("attn", part, layer, stack)) for part in ("W_Q", "W_K", "W_V", "W_O"))
    queries = w_q.reshape(heads.heads, heads.head_dim, -1)
    keys, values = (_of_query_heads(W, heads) for W in (w_k, w_v))
    outputs = w_o.reshape(len(w_o), heads.heads, heads.head_dim).transpose(1, 0, 2)
    beta = queries.shape[2] * (scale if scale is not None else 1 / np.sqrt(heads.head_dim))
    return Interaction(float(beta), causal=causal, W_Q=queries, W_K=keys, W_V=outputs @ values)


def identity_twin(interaction: Interaction, inverse_temperature: float) -> Interaction:
    """The same mask with W_QᵀW_K = 1 and one head whose value is v · 1, v = tr(Σ_h W_V)/d: the simplest rung."""
    if interaction.W_V is None:
        raise Failure("Only an interaction with a value matrix has a twin without one.")
    value = np.trace(interaction.W_V.sum(axis=0)) / interaction.dimension * np.eye(interaction.dimension)
    return replace(interaction, inverse_temperature=inverse_temperature, W_Q=None, W_K=None, W_V=value[None])


def _read(checkpoint: Checkpoint, site: Site) -> np.ndarray:
    pieces: dict[Site, Piece] = {piece.site: piece for piece in checkpoint.pieces}
    if site not in pieces:
        raise Failure(f"The checkpoint has no {site}.")
    return np.asarray(checkpoint.read(pieces[site]), dtype=float)


def _of_query_heads(matrix: np.ndarray, heads: Heads) -> np.ndarray:
    """Rows of keys or values as head × head_dim × coordinate, repeated where query heads share them."""
    shared = matrix.reshape(heads.kv_heads, heads.head_dim, -1)
    return shared[[heads.key_value_head(head) for head in range(heads.heads)]]
