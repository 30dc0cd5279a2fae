"""Norms: the size of a matrix.

What. spectral_norm = σ₁, the largest factor by which W stretches a vector; frobenius_norm = (Σσ²)^½ = (ΣW²)^½. Both ≥ 0, in
the unit of the weights.

Reads. spectrum.

Null. Gaussian twin of the same shape and Frobenius norm: σ₁ ≈ ‖W‖_F (1/√m + 1/√n) for an m × n matrix
[@geman1980limit]. The Frobenius norm has no null: the twin is given it.

Fails when. Never, for a finite matrix: a zero matrix has norm zero.

Reference. [@golub2013, §2.3]; limit of σ₁ [@geman1980limit, theorem 1].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.nulls import ENTRY_SHUFFLE, GAUSSIAN_TWIN
from gedanken.instruments.spectrum._usable import OF_SPECTRA
from gedanken.kinds import Kind, Spectrum
from gedanken.status import Flag, Refusal


@final
@dataclass(frozen=True)
class SpectralNorm(Instrument):
    """σ₁ and ‖W‖_F."""

    reads = Kind.spectrum
    variables = (
        Variable("spectral_norm", "σ₁", "weight", "largest singular value", (0, None), degree=1, scale="log"),
        Variable(
            "frobenius_norm", "‖W‖_F", "weight", "square root of the sum of squared entries", (0, None), degree=1,
            scale="log", no_null="the null has the same Frobenius norm",
        ),
    )  # fmt: skip
    symmetries = OF_SPECTRA
    null_model = GAUSSIAN_TWIN
    data_null = ENTRY_SHUFFLE

    def measure(self, array: Spectrum, rng: np.random.Generator) -> Reading:
        values = array.singular_values
        if len(values) == 0:
            raise Refusal(Flag.empty)
        largest = float(values[0])
        norm = largest * float(np.linalg.norm(values / largest)) if largest > 0 else 0.0
        return {"spectral_norm": Value(largest, n=len(values)), "frobenius_norm": Value(norm, n=len(values))}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        exact = 1e-12
        expected = {"spectral_norm": (4.0, exact), "frobenius_norm": (5.0, exact)}
        yield KnownCase("σ = 4, 3", Spectrum(np.array([4.0, 3.0]), 2, 2), expected, "rounding of three operations")
        zero = {"spectral_norm": (0.0, 0.0), "frobenius_norm": (0.0, 0.0)}
        yield KnownCase("zero", Spectrum(np.zeros(3), 3, 5), zero, "exact")
