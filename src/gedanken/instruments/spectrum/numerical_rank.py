"""Numerical rank and condition number: how nearly singular a matrix is.

What. numerical_rank = number of singular values above rounding (σ₁√(r·eps), for spectra by the Gram matrix); condition_number
= σ₁/σ_r ≥ 1, unit 1.

Reads. spectrum.

Null. Gaussian twin of the same shape: full rank; a condition number of order r for square matrices, (√N + √r)/(√N − √r) for
others.

Fails when. The weights are quantised: the smallest values are then the quantiser's (up to four times too large at 4 bits),
and both are refused. Where σ_r lies below rounding the condition number is at least the value given, flagged
`below_resolution`.

Reference. [@golub2013, §2.6.2, §5.4.1]; size for Gaussian matrices [@edelman1988eigenvalues].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.nulls import ENTRY_SHUFFLE, GAUSSIAN_TWIN
from gedanken.instruments.spectrum._usable import OF_SPECTRA, nonzero
from gedanken.kinds import Kind, Spectrum
from gedanken.status import Flag, Refusal


@final
@dataclass(frozen=True)
class NumericalRank(Instrument):
    """Rank above rounding, and σ₁/σ_r."""

    reads = Kind.spectrum
    variables = (
        Variable("numerical_rank", "rank", "1", "number of singular values above rounding", (0, None)),
        Variable("condition_number", "κ", "1", "largest over smallest singular value", (1, None), scale="log"),
    )
    symmetries = OF_SPECTRA
    null_model = GAUSSIAN_TWIN
    data_null = ENTRY_SHUFFLE

    def measure(self, array: Spectrum, rng: np.random.Generator) -> Reading:
        if array.quantised:
            raise Refusal(Flag.quantised)
        values = nonzero(array)
        rank = len(array.resolved)
        smallest = float(values[-1])
        deficient = rank < array.size
        flags = (Flag.below_resolution,) if deficient else ()
        condition = float(values[0]) / max(smallest, array.resolution) if max(smallest, array.resolution) > 0 else None
        return {
            "numerical_rank": Value(float(rank), n=len(values), flags=(Flag.rank_deficient,) if deficient else ()),
            "condition_number": Refusal(Flag.rank_deficient)
            if condition is None
            else Value(condition, n=len(values), flags=flags),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        full = {"numerical_rank": (3.0, 0.0), "condition_number": (8.0, 0.0)}
        yield KnownCase("σ = 8, 2, 1", Spectrum(np.array([8.0, 2.0, 1.0]), 3, 5, resolution=1e-7), full, "exact")
        lost = Spectrum(np.array([1.0, 0.5, 1e-9]), 3, 3, resolution=1e-8)
        yield KnownCase(
            "a value below rounding", lost, {"numerical_rank": (2.0, 0.0), "condition_number": (1e8, 1e-6)}, "exact"
        )
        coded = Spectrum(np.array([8.0, 2.0, 1.0]), 3, 3, quantised=True)
        refused = {"numerical_rank": Flag.quantised, "condition_number": Flag.quantised}
        yield KnownCase("quantised", coded, refused, "a refusal")
