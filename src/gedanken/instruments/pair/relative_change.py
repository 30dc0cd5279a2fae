"""Relative change: how far a matrix moved, in units of its own size.

What. relative_change = ‖ΔW‖_F / ‖W‖_F and relative_spectral_change = ‖ΔW‖₂ / ‖W‖₂, both ≥ 0, unit 1, where W is the
matrix before and ΔW what was added to it. The spectral one is large beside the other where the change is of low rank.

Reads. pair: the matrix before, and its change (an array or thin factors).

Null. None: no change is the only change without structure, and its value is 0.

Fails when. The matrix before is zero (nothing to compare with), or either has a non-finite entry.

Reference. Norms as in [@golub2013, §2.3]; for low-rank adapters [@hu2022lora, §7.3].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Symmetry, Value, Variable
from gedanken.kinds import Factors, Kind, Pair
from gedanken.status import Flag, Refusal

_NO_NULL = "a change has no size that chance would give it"


@final
@dataclass(frozen=True)
class RelativeChange(Instrument):
    """‖ΔW‖ / ‖W‖ in the Frobenius and the spectral norm."""

    reads: ClassVar = Kind.pair
    symmetries: ClassVar = frozenset({Symmetry.scale, Symmetry.sign, Symmetry.transpose, Symmetry.rotation})
    variables: ClassVar = (
        Variable("relative_change", "‖ΔW‖/‖W‖", "1", "Frobenius norm of the change over that of the matrix before",
                 (0.0, None), scale="log", no_null=_NO_NULL),
        Variable("relative_spectral_change", "‖ΔW‖₂/‖W‖₂", "1",
                 "largest singular value of the change over that of the matrix before", (0.0, None), scale="log",
                 no_null=_NO_NULL),
    )  # fmt: skip

    def measure(self, array: Pair, rng: np.random.Generator) -> Reading:
        base, change = _norms(array.base), _norms(array.dense_change)
        if base[0] == 0.0:
            raise Refusal(Flag.zero_matrix)
        n = array.base.size
        return {
            "relative_change": Value(change[0] / base[0], n=n),
            "relative_spectral_change": Value(change[1] / base[1], n=n),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        matrix = np.diag([3.0, 4.0, 0.0])
        spike = Factors(np.array([[0.5], [0.0], [0.0]]), np.array([[1.0, 0.0, 0.0]]))
        expected = {"relative_change": (0.1, 1e-12), "relative_spectral_change": (0.125, 1e-12)}
        pair = Pair(matrix, spike)
        yield KnownCase("a spike of 1/2 on diag(3, 4, 0)", pair, expected, "rounding of a few operations")
        half = {"relative_change": (0.5, 1e-12), "relative_spectral_change": (0.5, 1e-12)}
        noise = rng.standard_normal((20, 30))
        yield KnownCase("half of itself", Pair(noise, 0.5 * noise), half, "rounding of a few operations")


def _norms(matrix: np.ndarray) -> tuple[float, float]:
    """Frobenius and spectral norm. Raises Refusal(non_finite)."""
    if not np.isfinite(matrix).all():
        raise Refusal(Flag.non_finite)
    if matrix.size == 0:
        raise Refusal(Flag.empty)
    scale = float(np.abs(matrix).max())
    if scale == 0.0:
        return 0.0, 0.0
    scaled = np.asarray(matrix, dtype=np.float64) / scale
    small = scaled @ scaled.T if scaled.shape[0] <= scaled.shape[1] else scaled.T @ scaled
    return scale * float(np.sqrt(np.trace(small))), scale * float(np.sqrt(np.linalg.eigvalsh(small)[-1]))
