"""Reduced: a trained layer's attention in a few numbers, and the simplest particles that share them."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from gedanken.sources.particles.interaction import Interaction
from gedanken.sources.particles.trained import identity_twin

BETAS = ("identity", "spectral", "logit")
"""Three β's that stand for one B: of tr B, of ‖sym B‖₂, and of ‖B‖_F, whose scores have the same variance."""


@dataclass(frozen=True)
class LayerFacts:
    """A layer's attention in a few numbers: three β's, tr V/d, how symmetric B is, and how many of V's eigenvalues have
    a positive real part. B is the mean over heads for the identity part, V their sum."""

    identity: float
    spectral: float
    logit: float
    value: float
    symmetric: float
    positive: float

    def at(self, squared_norm: float) -> "LayerFacts":
        """Of tokens of another norm: every β grows with its square."""
        scaled = {name: squared_norm * vars(self)[name] for name in BETAS}
        return replace(self, **scaled)


def layer_facts(seen: Interaction) -> LayerFacts:
    """Of a layer whose tokens have norm one: scores are u_iᵀBu_j, B = W_QᵀW_K/√d_k of each head."""
    d = seen.dimension
    heads = seen.inverse_temperature / d * np.einsum("hij,hik->hjk", seen.W_Q, seen.W_K)
    symmetric = (heads + heads.transpose(0, 2, 1)) / 2
    norms = np.linalg.norm(heads, axis=(1, 2))
    value = seen.W_V.sum(axis=0)
    return LayerFacts(
        identity=float(np.trace(heads, axis1=1, axis2=2).mean() / d),
        spectral=float(np.abs(np.linalg.eigvalsh(symmetric)).max(axis=1).mean()),
        logit=float(np.sqrt(np.mean(norms**2) / d)),
        value=float(np.trace(value) / d),
        symmetric=float(np.mean(np.linalg.norm(symmetric, axis=(1, 2)) / norms)),
        positive=float((np.linalg.eigvals(value).real > 0).mean()),
    )


def scalar_twin(seen: Interaction, beta: float) -> Interaction:
    """Softmax attention at β with V = (tr V/d)·1 and the same mask; a negative β turns the queries round."""
    twin = identity_twin(seen, abs(beta))
    return twin if beta >= 0 else replace(twin, W_Q=-np.eye(seen.dimension)[None])


def with_gains(seen: Interaction, gain: Float[np.ndarray, " d"] | None) -> Interaction:
    """The gain of the norm before attention, folded into what reads its output."""
    if gain is None:
        return seen
    return replace(seen, W_Q=seen.W_Q * gain, W_K=seen.W_K * gain, W_V=seen.W_V * gain)
