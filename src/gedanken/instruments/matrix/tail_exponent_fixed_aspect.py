"""Hill's tail exponent at one aspect ratio, so that matrices of different shape compare.

What. tail_exponent_fixed_aspect a = 1 + k/Σ_{i≤k} ln(λ_i/λ_{k+1}) with k = ⌊tail_fraction·count⌋, over the eigenvalues
λ = σ² of all windows together; > 1, no unit. Windows are the largest blocks of the matrix whose short side is `aspect`
times their long one; as many as cover the matrix, evenly spaced, so that neighbours may overlap. n is the number of
windows. Smaller means more structure.

Reads. A matrix.

Null. On request, the matrix's own entries in random order. Independent entries of finite variance tend to a value that
depends on nothing but the two fields: 2.12 at their defaults, below it by about 3 over the window's short side.

Fails when. Fewer than ten eigenvalues lie in the tail or above rounding, or they are equal. Half of a spectrum is
rarely a tail, and windows of one matrix are not independent, so no standard error is given. One decomposition for each
window.

Reference. Fixed-aspect-ratio subsampling [@hu2025eigenspectrum]; the estimator [@hill1975simple, eq. 2.2].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Instrument, KnownCase, Reading, Symmetry, Value, Variable
from gedanken.instruments.matrix._blocks import range_and_mean
from gedanken.instruments.nulls import ENTRY_SHUFFLE
from gedanken.kinds import Factors, Kind
from gedanken.status import Flag, Refusal
from gedanken.theory import power_law
from gedanken.theory.lapack import add_gram, symmetric_eigenvalues

SMALLEST = 10
"""Values that a fit of a tail needs, as for the tail exponents of whole spectra."""


@final
@dataclass(frozen=True)
class TailExponentFixedAspect(Instrument):
    """Hill exponent over windows of one aspect ratio."""

    aspect: float = 1.0
    """Short over long side of a window, in (0, 1]."""
    tail_fraction: float = 0.5

    reads = Kind.matrix
    variables = (
        Variable(
            "tail_exponent_fixed_aspect",
            "a_FA",
            "1",
            "Hill exponent of the upper part of the eigenvalues of windows of one aspect ratio",
            (1, None),
            scale="log",
        ),
    )
    symmetries = frozenset({Symmetry.scale, Symmetry.sign, Symmetry.transpose})
    data_null = ENTRY_SHUFFLE
    on_request = True

    def __post_init__(self):
        if not 0 < self.aspect <= 1:
            raise ValueError(f"an aspect ratio of short over long lies in (0, 1], not at {self.aspect}")

    def measure(self, array: Float[np.ndarray, "out in"] | Factors, rng: np.random.Generator) -> Reading:
        lowest, highest, _ = range_and_mean(array)
        matrix = array.left @ array.right if isinstance(array, Factors) else array
        tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
        spectra = [_eigenvalues(window, max(highest, -lowest)) for window in windows(tall, self.aspect)]
        values = np.sort(np.concatenate(spectra))
        count = int(self.tail_fraction * len(values))
        resolution = float(values[-1]) * max(map(len, spectra)) * np.finfo(float).eps
        if count < SMALLEST or count == len(values) or values[-count - 1] <= resolution:
            above = np.count_nonzero(values > resolution)
            raise Refusal(Flag.too_small, f"{above} of {len(values)} eigenvalues above rounding: too few for this tail")
        try:
            exponent, _ = power_law.hill(values, count)
        except ValueError as nothing:
            raise Refusal(Flag.constant, "the eigenvalues are equal and have no tail") from nothing
        return {"tail_exponent_fixed_aspect": Value(exponent, n=len(spectra))}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        block = np.diag(np.sqrt(np.repeat([np.e, 1.0], 20)))
        expected = {"tail_exponent_fixed_aspect": (2.0, 1e-12)}
        yield KnownCase("three blocks, half of λ is e, half 1", np.tile(block, (3, 1)), expected, "a = 1 + 1/ln e")
        expected = {"tail_exponent_fixed_aspect": Flag.constant}
        yield KnownCase("equal eigenvalues", np.eye(40), expected, "there is no tail")


def windows(tall: Float[np.ndarray, "long short"], aspect: float) -> Iterator[Float[np.ndarray, "rows cols"]]:
    """The largest blocks with cols = aspect·rows that cover the matrix, evenly spaced along one side."""
    long, short = tall.shape
    rows = min(long, max(short, round(short / aspect)))
    cols = short if rows < long or aspect * long >= short else max(1, round(aspect * long))
    for start in _starts(long, rows):
        for first in _starts(short, cols):
            yield tall[start : start + rows, first : first + cols]


def _starts(length: int, size: int) -> list[int]:
    """Where pieces of `size` begin that cover `length`, as few as possible, evenly."""
    return np.linspace(0, length - size, ceil(length / size)).round().astype(int).tolist()


def _eigenvalues(window: Float[np.ndarray, "rows cols"], scale: float) -> Float[np.ndarray, " cols"]:
    """λ of windowᵀ window in units of scale², ascending."""
    gram = np.zeros((window.shape[1],) * 2)
    add_gram(gram, np.ascontiguousarray(window, dtype=np.float64) / scale)
    return np.maximum(symmetric_eigenvalues(gram), 0.0)
