"""Subspace overlap: whether a matrix's leading directions survive a change, and whether the change moves along them.

What. For the k leading singular directions on one side, U before and U′ after: overlap = ‖UᵀU′‖_F² / k ∈ [0, 1], no
unit; 1 if they span one subspace. left_overlap and right_overlap compare W with W + ΔW; change_left_overlap and
change_right_overlap compare W with ΔW: whether the change lies in directions that the matrix already used.

Reads. pair: the matrix before, and its change (an array or thin factors).

Null. Two independent uniformly random k-dimensional subspaces of R^d: the overlap has mean k/d and variance
2(d − k)² / (d²(d − 1)(d + 2)), and cannot lie below (2k − d)/k. The law is taken as the Beta law with that mean,
variance and range: exact for k = 1 and k = d − 1, normal in the limit of large d.

Fails when. The matrix or its change has fewer than k non-zero singular values, or the k-th and the next one are equal
to rounding: the leading subspace is then not defined. A change of too low a rank refuses its own overlaps only.

Reference. Overlap of adapted subspaces [@hu2022lora, §7.2, eq. 4]; variance of the trace of two random projections
[@collins2006, §2, second moments of the orthogonal group].
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from jaxtyping import Float
from scipy import stats

from gedanken.instruments.base import Instrument, KnownCase, NullBand, Reading, Symmetry, Value, Variable
from gedanken.instruments.nulls import law_band
from gedanken.kinds import Kind, Pair
from gedanken.status import Flag, Refusal

GAP = 1e-6
"""Least relative gap after the k-th singular value: below it a rounding error of float32 weights turns the subspace."""


@final
@dataclass(frozen=True)
class SubspaceOverlap(Instrument):
    """Overlap of the `k` leading singular subspaces. k = 8: within the ranks that adapters commonly use."""

    k: int = 8

    reads: ClassVar = Kind.pair
    symmetries: ClassVar = frozenset({Symmetry.scale, Symmetry.sign, Symmetry.rotation})
    variables: ClassVar = tuple(
        Variable(name, symbol, "1", definition, (0.0, 1.0))
        for name, symbol, definition in (
            ("left_overlap", "‖UᵀU′‖²/k", "share of the k leading output directions that survive the change"),
            ("right_overlap", "‖VᵀV′‖²/k", "share of the k leading input directions that survive the change"),
            ("change_left_overlap", "‖UᵀU_Δ‖²/k", "share of the change's k leading output directions that W led with"),
            ("change_right_overlap", "‖VᵀV_Δ‖²/k", "share of the change's k leading input directions that W led with"),
        )
    )

    def measure(self, array: Pair, rng: np.random.Generator) -> Reading:
        if min(array.shape) <= self.k:
            rows, cols = array.shape
            raise Refusal(Flag.too_small, f"a {rows} × {cols} matrix has no {self.k} leading directions")
        base = np.asarray(array.base, dtype=np.float64)
        change = np.asarray(array.dense_change, dtype=np.float64)
        before = self._leading(base)
        return self._overlaps("", before, base + change) | self._overlaps("change_", before, change)

    def _overlaps(self, of: str, before: tuple[np.ndarray, np.ndarray], matrix: np.ndarray) -> dict:
        """Of `before` with the leading directions of `matrix`, or its refusal: an adapter of rank below k has no k."""
        names = f"{of}left_overlap", f"{of}right_overlap"
        try:
            pairs = zip(before, self._leading(matrix), strict=True)
        except Refusal as refusal:
            return dict.fromkeys(names, refusal)
        values = (Value(float(np.sum((u.T @ v) ** 2) / self.k), n=self.k) for u, v in pairs)
        return dict(zip(names, values, strict=True))

    def null(self, array: Pair, reading: Reading) -> Mapping[str, NullBand]:
        laws = {"left": random_overlap(self.k, array.shape[0]), "right": random_overlap(self.k, array.shape[1])}
        sides = {name: "left" if "left" in name else "right" for name in reading}
        return {
            name: law_band(reading[name].value, laws[side], null="random_subspace")
            for name, side in sides.items()
            if isinstance(reading[name], Value)
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        values = np.arange(20.0, 0.0, -1.0)
        matrix = np.diag(values)
        names = [variable.name for variable in self.variables]
        same = dict.fromkeys(names, (1.0, 1e-9))
        why = "rounding of eigenvectors of gap 1/20"
        yield KnownCase("a multiple of itself", Pair(matrix, 0.5 * matrix), same, why)
        reversed_change = Pair(matrix, np.diag(100.0 * values[::-1]))
        shared = max(0, 2 * self.k - 20) / self.k
        swapped = dict.fromkeys(names, (shared, 1e-9))
        yield KnownCase("the order reversed", reversed_change, swapped, "the leading k are the last k before")

    def _leading(self, matrix: Float[np.ndarray, "out in"]) -> tuple[np.ndarray, np.ndarray]:
        """Orthonormal bases of the k leading left and right singular directions."""
        if not np.isfinite(matrix).all():
            raise Refusal(Flag.non_finite)
        scale = float(np.abs(matrix).max())
        if scale == 0.0:
            raise Refusal(Flag.zero_matrix)
        tall = matrix.shape[0] > matrix.shape[1]
        scaled = (matrix.T if tall else matrix) / scale
        eigenvalues, vectors = np.linalg.eigh(scaled @ scaled.T)
        first, second = eigenvalues[-self.k], eigenvalues[-self.k - 1]
        if not first - max(second, 0.0) > GAP * eigenvalues[-1]:
            raise Refusal(Flag.constant, f"singular values {self.k} and {self.k + 1} are equal to rounding")
        leading = vectors[:, -self.k :]
        other = scaled.T @ leading / np.sqrt(eigenvalues[-self.k :])
        return (other, leading) if tall else (leading, other)


def random_overlap(k: int, d: int):
    """The null's law for two k-dimensional subspaces of R^d, k < d (a frozen scipy law)."""
    mean, variance = k / d, 2 * (d - k) ** 2 / (d**2 * (d - 1) * (d + 2))
    lowest = max(2 * k - d, 0) / k  # two subspaces that together exceed the space must meet
    m, v = (mean - lowest) / (1 - lowest), variance / (1 - lowest) ** 2
    total = m * (1 - m) / v - 1
    return stats.beta(m * total, (1 - m) * total, loc=lowest, scale=1 - lowest)
