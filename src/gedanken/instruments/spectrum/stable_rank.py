"""Stable rank: over how many directions the energy of a matrix is spread.

What. stable_rank = Σσ²/σ₁² ∈ [1, rank W], unit 1; stable_rank_ratio is it over mn/(√m + √n)², its value for a large m × n
matrix of independent entries, so that matrices of different shape compare: about 1 without structure.

Reads. spectrum.

Null. Gaussian twin of the same shape; stable_rank → mn/(√m + √n)² (d/4 for a square d × d matrix).

Fails when. The matrix is zero. One outlier in the spectrum sets it, whatever the bulk does. The ratio is refused for
products of thin factors, which that limit does not describe.

Reference. [@rudelson2007sampling, §1]; the limit from σ₁ → (√m + √n)·s [@geman1980limit, theorem 1].
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
from gedanken.theory import ensembles


@final
@dataclass(frozen=True)
class StableRank(Instrument):
    """Σσ²/σ₁², and relative to a random matrix."""

    reads = Kind.spectrum
    variables = (
        Variable(
            "stable_rank", "SR", "1", "sum of squared singular values over the largest squared", (1, None), scale="log"
        ),
        Variable(
            "stable_rank_ratio", "SR/SR₀", "1", "stable rank over mn/(√m + √n)², its large-matrix value without structure",
            (0, None), scale="log",
        ),
    )  # fmt: skip
    symmetries = OF_SPECTRA
    null_model = GAUSSIAN_TWIN
    data_null = ENTRY_SHUFFLE

    def measure(self, array: Spectrum, rng: np.random.Generator) -> Reading:
        values = nonzero(array)
        rank = float(np.sum((values / values[0]) ** 2))
        m, n = array.rows, array.cols
        ratio = Value(rank * (np.sqrt(m) + np.sqrt(n)) ** 2 / (m * n), n=len(values))
        return {
            "stable_rank": Value(rank, n=len(values)),
            "stable_rank_ratio": ratio if array.rank_bound is None else Refusal(Flag.product),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        identity = {"stable_rank": (64.0, 1e-10), "stable_rank_ratio": (4.0, 1e-12)}
        yield KnownCase("identity", Spectrum(np.ones(64), 64, 64), identity, "rounding of 64 additions")
        rank_one = Spectrum(np.array([2.0, 0.0, 0.0]), 3, 3)
        yield KnownCase("rank one", rank_one, {"stable_rank": (1.0, 0.0)}, "exact")
        for exponent, expected in ((0.35, 18.888), (0.45, 9.232), (0.50, 6.817)):
            decay = Spectrum(ensembles.power_law_singular_values(512, exponent), 512, 512)
            yield KnownCase(
                f"σ_k = k^−{exponent}", decay, {"stable_rank": (expected, 5e-4)}, "printed to three decimals"
            )
        spiked = np.linalg.svd(ensembles.spiked(512, 512, np.array([3.0]), rng), compute_uv=False)
        # σ₁ of a spike θ fluctuates by about √(1 − θ⁻²)/√d·√2, here 0.06 of 3.33: 4 % in the square; three of them.
        yield KnownCase(
            "spike of 3 in square noise", Spectrum(spiked, 512, 512), {"stable_rank": (46.9, 5.6)},
            "(d + θ²)/(θ + 1/θ)², three standard deviations of σ₁²",
        )  # fmt: skip
