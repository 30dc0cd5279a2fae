"""Hill's tail exponent: the power law of the upper half of the eigenvalues, without a search for its start.

What. tail_exponent_hill a = 1 + k/Σ_{i≤k} ln(λ_i/λ_{k+1}) with λ = σ² descending and k = ⌊tail_fraction·r⌋, > 1, unit 1;
stderr (a − 1)/√k. The variant that layer-wise pruning uses. Smaller means more structure.

Reads. spectrum.

Null. Gaussian twin of the same shape.

Fails when. k < 10, the values are equal, or fewer than k + 1 lie above rounding. The standard error supposes independent
values from an exact power law; eigenvalues repel, and half of a spectrum is rarely a tail.

Reference. [@hill1975simple, eq. 2.2]; half of the spectrum after [@lu2024alphapruning, §3.2].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.nulls import ENTRY_SHUFFLE, GAUSSIAN_TWIN
from gedanken.instruments.spectrum._usable import OF_SPECTRA, SMALLEST, nonzero, resolved
from gedanken.kinds import Kind, Spectrum
from gedanken.status import Flag, Refusal
from gedanken.theory import power_law


@final
@dataclass(frozen=True)
class TailExponentHill(Instrument):
    """Hill estimator on the leading `tail_fraction` of eigenvalues."""

    tail_fraction: float = 0.5

    reads = Kind.spectrum
    variables = (
        Variable(
            "tail_exponent_hill",
            "a_H",
            "1",
            "Hill exponent of the upper part of the eigenvalues",
            (1, None),
            scale="log",
        ),
    )
    symmetries = OF_SPECTRA
    null_model = GAUSSIAN_TWIN
    data_null = ENTRY_SHUFFLE

    def measure(self, array: Spectrum, rng: np.random.Generator) -> Reading:
        nonzero(array)
        count = int(self.tail_fraction * array.size)
        if count < SMALLEST:
            raise Refusal(Flag.too_small, f"{count} values in the tail, where {SMALLEST} are needed")
        values, _ = resolved(array, count + 1)
        ascending = (values[::-1] / values[0]) ** 2
        try:
            exponent, stderr = power_law.hill(ascending, count)
        except ValueError as nothing:
            raise Refusal(Flag.constant, "the eigenvalues are equal and have no tail") from nothing
        return {"tail_exponent_hill": Value(exponent, stderr=stderr, n=count)}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        ratios = Spectrum(np.sqrt(np.repeat([np.e, 1.0], [20, 20])), 40, 40)
        yield KnownCase(
            "20 eigenvalues e times the others", ratios, {"tail_exponent_hill": (2.0, 1e-12)}, "a = 1 + 1/ln e"
        )
        sample = np.sort(power_law.sample(4.0, 1.0, 2000, rng))[::-1]
        pareto = Spectrum(np.sqrt(sample), 2000, 2000)
        yield KnownCase(
            "2000 Pareto values of exponent 4",
            pareto,
            {"tail_exponent_hill": (4.0, 0.38)},
            "four standard errors 3/√1000",
        )
