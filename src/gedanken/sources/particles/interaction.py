"""Interaction: what a token feels, s_ij = β⟨W_Q x_i, W_K x_j⟩ and the values W_V x_j.

Softmax attention (SA) moves token i by Σ_j m_j e^{s_ij} W_V x_j / Σ_j m_j e^{s_ij}, unnormalised attention (USA) by
Σ_j m_j e^{s_ij} W_V x_j, both projected on the tangent space [@geshkovski2023mathematical; @rigollet2025meanfield].
Masses m_j sum to one (1/n by default; over j ≤ i with a causal mask). W = None is the identity; several heads add up.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gedanken.status import Failure

ATTENTIONS = ("softmax", "unnormalised")


@dataclass(frozen=True, eq=False)
class Interaction:
    """The attention of one layer. `inverse_temperature` multiplies scores; infinity is the hardmax limit.

    W_Q and W_K are head × inner × coordinate (or one head's inner × coordinate), W_V head × coordinate × coordinate.
    `repulsive` reverses the sign of the values. Raises Failure where these do not describe an attention.
    """

    inverse_temperature: float
    attention: str = "softmax"
    repulsive: bool = False
    causal: bool = False
    W_Q: Float[np.ndarray, "head inner coordinate"] | None = None
    W_K: Float[np.ndarray, "head inner coordinate"] | None = None
    W_V: Float[np.ndarray, "head coordinate coordinate"] | None = None

    def __post_init__(self):
        beta = self.inverse_temperature
        if not beta >= 0:
            raise Failure(f"The inverse temperature must be a number of at least zero, not {beta}.")
        if self.attention not in ATTENTIONS:
            raise Failure(f"The attention is softmax or unnormalised, not {self.attention!r}.")
        if np.isinf(beta) and self.attention == "unnormalised":
            raise Failure("An infinite inverse temperature needs softmax attention: the unnormalised sum diverges.")
        for name, matrix in self.matrices.items():
            object.__setattr__(self, name, _stacked(name, matrix))
        self._check_shapes()

    @property
    def matrices(self) -> dict[str, np.ndarray]:
        """Those that are given."""
        return {name: W for name, W in (("W_Q", self.W_Q), ("W_K", self.W_K), ("W_V", self.W_V)) if W is not None}

    def _check_shapes(self) -> None:
        given = self.matrices
        if len({W.shape[0] for W in given.values()}) > 1 or len({W.shape[2] for W in given.values()}) > 1:
            shapes = ", ".join(f"{name} {W.shape}" for name, W in given.items())
            raise Failure(f"The matrices disagree in heads or in coordinates: {shapes}.")
        inner = [W.shape[1] if W is not None else self.dimension for W in (self.W_Q, self.W_K)]
        if self.dimension and inner[0] != inner[1]:
            raise Failure(f"W_Q maps to {inner[0]} coordinates and W_K to {inner[1]}: their product is not defined.")
        if self.W_V is not None and self.W_V.shape[1] != self.W_V.shape[2]:
            raise Failure(f"W_V must be square, not {self.W_V.shape[1]} × {self.W_V.shape[2]}.")

    @property
    def softmax(self) -> bool:
        return self.attention == "softmax"

    @property
    def hard(self) -> bool:
        return bool(np.isinf(self.inverse_temperature))

    @property
    def sign(self) -> float:
        return -1.0 if self.repulsive else 1.0

    @property
    def identity(self) -> bool:
        """No matrix, no mask and a finite temperature: the interaction depends on the angle between tokens alone."""
        return not self.matrices and not self.causal and not self.hard

    @property
    def dimension(self) -> int | None:
        """Coordinates that the matrices fix; None without matrices."""
        return next((W.shape[2] for W in self.matrices.values()), None)

    @property
    def heads(self) -> int:
        return next((len(W) for W in self.matrices.values()), 1)

    @property
    def score_norm(self) -> float:
        """Largest ‖W_Qᵀ W_K‖₂ of the heads."""
        if self.W_Q is None and self.W_K is None:
            return 1.0
        if self.W_Q is None or self.W_K is None:
            return float(np.linalg.norm(self.W_K if self.W_Q is None else self.W_Q, 2, axis=(1, 2)).max())
        return float(np.linalg.norm(self.W_Q.transpose(0, 2, 1) @ self.W_K, 2, axis=(1, 2)).max())

    @property
    def value_norm(self) -> float:
        """Σ over heads of ‖W_V‖₂."""
        if self.W_V is not None:
            return float(np.linalg.norm(self.W_V, 2, axis=(1, 2)).sum())
        return float(self.heads)

    @property
    def peak(self) -> float:
        """The largest score that unit vectors can have: exponentials are evaluated as e^{s − peak} ≤ 1."""
        return 0.0 if self.hard else self.inverse_temperature * self.score_norm

    @property
    def stiffness(self) -> float:
        """Bound of the decay rate of a perturbation, in units of e^peak for USA.

        With the identity the fastest decay is that of a spread inside a cluster, φ̇ = −φ. Otherwise an attention row's
        derivative adds at most β‖W_QᵀW_K‖ times the variance of unit vectors, which is at most one.
        """
        spread = 1.0 if self.identity and not self.repulsive else 1.0 + (0.0 if self.hard else self.peak)
        return self.value_norm * spread


def _stacked(name: str, matrix: np.ndarray) -> Float[np.ndarray, "head rows cols"]:
    matrix = np.asarray(matrix, dtype=float)
    if matrix.ndim not in (2, 3) or 0 in matrix.shape:
        raise Failure(f"{name} must be a matrix, or one matrix per head, not an array of shape {matrix.shape}.")
    if not np.isfinite(matrix).all():
        raise Failure(f"{name} holds a NaN or an infinity.")
    return matrix if matrix.ndim == 3 else matrix[None]
