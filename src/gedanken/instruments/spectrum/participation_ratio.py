"""Participation ratio: the number of directions, counted by the second moment of the energy.

What. participation_ratio = (Σλ)²/Σλ² with λ = σ², ∈ [1, rank W], unit 1. It needs no decomposition: Σλ = ‖W‖_F² and
Σλ² = ‖WᵀW‖_F².

Reads. spectrum.

Null. Gaussian twin of the same shape; → r/(1 + c) for large r = min(m, n) and c = min/max.

Fails when. The matrix is zero. It weighs large singular values more than the entropies do.

Reference. Inverse participation ratio [@bell1970atomic], applied to the eigenvalue distribution.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.nulls import ENTRY_SHUFFLE, GAUSSIAN_TWIN
from gedanken.instruments.spectrum._usable import OF_SPECTRA, nonzero
from gedanken.kinds import Kind, Spectrum


@final
@dataclass(frozen=True)
class ParticipationRatio(Instrument):
    """(Σλ)²/Σλ²."""

    reads = Kind.spectrum
    variables = (
        Variable(
            "participation_ratio", "PR", "1", "(Σσ²)² / Σσ⁴", (1, None), scale="log", aliases=("effective_dimension",)
        ),
    )
    symmetries = OF_SPECTRA
    null_model = GAUSSIAN_TWIN
    data_null = ENTRY_SHUFFLE

    def measure(self, array: Spectrum, rng: np.random.Generator) -> Reading:
        values = nonzero(array)
        energies = (values / values[0]) ** 2
        ratio = float(np.sum(energies)) ** 2 / float(energies @ energies)
        return {"participation_ratio": Value(ratio, n=len(values))}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        equal = {"participation_ratio": (16.0, 1e-12)}
        yield KnownCase(
            "16 equal of 20", Spectrum(np.repeat([3.0, 0.0], [16, 4]), 20, 30), equal, "rounding of 16 terms"
        )
        noise = Spectrum(np.linalg.svd(rng.standard_normal((2048, 512)), compute_uv=False), 2048, 512)
        # Fluctuation and correction of a linear statistic are O(1/r) relative.
        yield KnownCase("2048 × 512 noise", noise, {"participation_ratio": (512 / 1.25, 2.0)}, "limit to O(1) of 512")
