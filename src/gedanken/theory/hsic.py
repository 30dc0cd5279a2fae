"""Linear CKA: the debiased Hilbert–Schmidt independence criterion of two sets of points, with groups left out.

For linear kernels K = XXᵀ and L = YYᵀ, K̃ and L̃ without their diagonals, and n points
HSIC = [tr K̃L̃ + 1ᵀK̃1·1ᵀL̃1/((n−1)(n−2)) − 2·1ᵀK̃L̃1/(n−2)]/(n(n−3)) [@song2012feature, eq. 5], all from d × d products:
tr K̃L̃ = ‖XᵀY‖_F² − Σ‖x‖²‖y‖², K̃1 = XΣx − (‖x_i‖²).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class Sample:
    """Points, best centred (for rounding only: HSIC does not see the mean), and the group of each, ascending from 0."""

    points: Float[np.ndarray, "n d"]
    group: Int[np.ndarray, " n"]

    @cached_property
    def norms(self) -> Float[np.ndarray, " n"]:
        return np.einsum("ij,ij->i", self.points, self.points)

    @cached_property
    def starts(self) -> Int[np.ndarray, " groups"]:
        return np.flatnonzero(np.diff(self.group, prepend=-1))

    def rest(self, values: Float[np.ndarray, "n *k"]) -> Float[np.ndarray, "left *k"]:
        """Sums without each group, and of all."""
        own = np.add.reduceat(values, self.starts, axis=0)
        total = own.sum(axis=0)
        return np.concatenate([total - own, total[None]])

    @cached_property
    def row_sums(self) -> Float[np.ndarray, "n left"]:
        """K̃1 of each point, over the points of all groups but one, and of all."""
        return self.points @ self.rest(self.points).T - self.norms[:, None]

    @cached_property
    def own(self) -> Float[np.ndarray, " left"]:
        return hsic(self, self)


def hsic(x: Sample, y: Sample) -> Float[np.ndarray, " left"]:
    """Debiased HSIC of the same points twice, with each group left out, and last with none. NaN below four points."""
    n = x.rest(np.ones(len(x.points)))
    n = np.where(n >= 4, n, np.nan)
    cross = x.points.T @ y.points
    # Without group g: ‖A − A_g‖² = ‖A‖² − 2⟨A, A_g⟩ + ‖A_g‖².
    inner = np.add.reduceat(np.einsum("ij,ij->i", x.points @ cross, y.points), x.starts)
    pieces = [np.split(part, x.starts[1:]) for part in (x.points, y.points)]
    own = np.array([_cross_norm(a, b) for a, b in zip(*pieces, strict=True)])
    whole = float(np.sum(cross**2))
    square = np.append(whole - 2 * inner + own, whole) - x.rest(x.norms * y.norms)
    total_x, total_y, product = (_over_rest(x, values) for values in (x.row_sums, y.row_sums, x.row_sums * y.row_sums))
    return (square + total_x * total_y / ((n - 1) * (n - 2)) - 2 * product / (n - 2)) / (n * (n - 3))


def cka(x: Sample, y: Sample) -> Float[np.ndarray, " left"]:
    """HSIC(X, Y)/√(HSIC(X, X)·HSIC(Y, Y)) [@kornblith2019similarity, eq. 4]; NaN where a spread is not positive."""
    spread = x.own * y.own
    return hsic(x, y) / np.sqrt(np.where(spread > 0, spread, np.nan))


def _over_rest(x: Sample, values: Float[np.ndarray, "n left"]) -> Float[np.ndarray, " left"]:
    """Sum of column g over the points outside group g, and of the last over all."""
    own = np.diagonal(np.add.reduceat(values, x.starts, axis=0))
    return values.sum(axis=0) - np.append(own, 0.0)


def _cross_norm(a: np.ndarray, b: np.ndarray) -> float:
    """‖aᵀb‖_F² through the smaller product."""
    if len(a) < min(a.shape[1], b.shape[1]):
        return float(np.sum((a @ a.T) * (b @ b.T)))
    return float(np.sum((a.T @ b) ** 2))
