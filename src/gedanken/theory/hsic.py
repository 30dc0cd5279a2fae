"""Linear CKA: the debiased Hilbert–Schmidt independence criterion of two sets of points, with groups left out.

For linear kernels K = XXᵀ and L = YYᵀ, K̃ and L̃ without their diagonals, and n points
HSIC = [tr K̃L̃ + 1ᵀK̃1·1ᵀL̃1/((n−1)(n−2)) − 2·1ᵀK̃L̃1/(n−2)]/(n(n−3)) [@song2012feature, eq. 5].
The kernel of a set of points is formed once for all the sets that it is compared with: for a few thousand points.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from gedanken.theory.lapack import add_gram


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
    def kernel(self) -> Float[np.ndarray, "n n"]:
        """The upper triangle of K̃; zeros elsewhere."""
        found = np.zeros((len(self.points), len(self.points)))
        add_gram(found, np.ascontiguousarray(self.points).T)
        np.fill_diagonal(found, 0.0)
        return found

    @cached_property
    def own(self) -> Float[np.ndarray, " left"]:
        return hsic(self, self)


def hsic(x: Sample, y: Sample) -> Float[np.ndarray, " left"]:
    """Debiased HSIC of the same points twice, with each group left out, and last with none. NaN below four points."""
    n = x.rest(np.ones(len(x.points)))
    n = np.where(n >= 4, n, np.nan)
    total_x, total_y, product = (_over_rest(x, values) for values in (x.row_sums, y.row_sums, x.row_sums * y.row_sums))
    return (_trace(x, y) + total_x * total_y / ((n - 1) * (n - 2)) - 2 * product / (n - 2)) / (n * (n - 3))


def cka(x: Sample, y: Sample) -> Float[np.ndarray, " left"]:
    """HSIC(X, Y)/√(HSIC(X, X)·HSIC(Y, Y)) [@kornblith2019similarity, eq. 4]; NaN where a spread is not positive."""
    spread = x.own * y.own
    return hsic(x, y) / np.sqrt(np.where(spread > 0, spread, np.nan))


def _trace(x: Sample, y: Sample) -> Float[np.ndarray, " left"]:
    """tr K̃L̃ with each group left out, and last with none."""
    starts, ends = x.starts, [*x.starts[1:], len(x.points)]
    above = np.zeros((len(starts), len(starts)))
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        # Of a group's rows, the pairs with its own points and with those of later groups.
        pairs = np.einsum("ij,ij->j", x.kernel[start:end, start:], y.kernel[start:end, start:])
        above[i, i:] = np.add.reduceat(pairs, starts[i:] - start)
    between = above + above.T
    whole = between.sum()
    return np.append(whole - 2 * between.sum(axis=1) + np.diagonal(between), whole)


def _over_rest(x: Sample, values: Float[np.ndarray, "n left"]) -> Float[np.ndarray, " left"]:
    """Sum of column g over the points outside group g, and of the last over all."""
    own = np.diagonal(np.add.reduceat(values, x.starts, axis=0))
    return values.sum(axis=0) - np.append(own, 0.0)
