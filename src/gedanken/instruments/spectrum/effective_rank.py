"""Effective rank: the number of directions, counted by entropy.

What. effective_rank = exp(−Σ p ln p) with p = σ/Σσ; energy_effective_rank the same with p = σ²/Σσ²; both ∈ [1, rank W],
unit 1. spectral_entropy = −Σ p ln p / ln r with p = σ²/Σσ² and r = min(m, n), ∈ [0, 1]: 1 if all singular values are equal.

Reads. spectrum.

Null. Gaussian twin of the same shape. For large r and c = min/max: energy_effective_rank → r e^{−c/2},
spectral_entropy → 1 − c/(2 ln r), effective_rank → 0.805 r for square matrices.

Fails when. The matrix is zero; the entropy of a matrix with one row or column is refused, for ln r = 0. Quantisation
noise fills small singular values and raises effective_rank more than energy_effective_rank.

Reference. [@roy2007effective, §2, definition 1]; entropy of the energy distribution [@alter2000singular].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.nulls import ENTRY_SHUFFLE, GAUSSIAN_TWIN
from gedanken.instruments.spectrum._usable import OF_SPECTRA, nonzero
from gedanken.kinds import Kind, Spectrum
from gedanken.status import Flag, Refusal


@final
@dataclass(frozen=True)
class EffectiveRank(Instrument):
    """exp of the entropy of σ and of σ², and the latter relative to its maximum."""

    reads = Kind.spectrum
    variables = (
        Variable("effective_rank", "r_eff", "1", "exp of the entropy of σ/Σσ", (1, None), scale="log"),
        Variable("energy_effective_rank", "r_E", "1", "exp of the entropy of σ²/Σσ²", (1, None), scale="log"),
        Variable("spectral_entropy", "H", "1", "entropy of σ²/Σσ² over its maximum ln r", (0, 1)),
    )
    symmetries = OF_SPECTRA
    null_model = GAUSSIAN_TWIN
    data_null = ENTRY_SHUFFLE

    def measure(self, array: Spectrum, rng: np.random.Generator) -> Reading:
        values = nonzero(array)
        values = values[values > 0] / values[0]
        of_energy = _entropy(values**2)
        relative = Value(of_energy / log(array.size), n=len(values)) if array.size > 1 else Refusal(Flag.too_small)
        return {
            "effective_rank": Value(exp(_entropy(values)), n=len(values)),
            "energy_effective_rank": Value(exp(of_energy), n=len(values)),
            "spectral_entropy": relative,
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        equal = {
            "effective_rank": (32.0, 1e-11),
            "energy_effective_rank": (32.0, 1e-11),
            "spectral_entropy": (1.0, 1e-12),
        }
        yield KnownCase("all equal", Spectrum(np.ones(32), 32, 40), equal, "rounding of 32 terms")
        one = {"effective_rank": (1.0, 0.0), "energy_effective_rank": (1.0, 0.0), "spectral_entropy": (0.0, 0.0)}
        yield KnownCase("rank one", Spectrum(np.array([5.0, 0.0, 0.0]), 3, 3), one, "exact")
        noise = Spectrum(np.linalg.svd(rng.standard_normal((512, 512)), compute_uv=False), 512, 512)
        # Linear statistics of a Gaussian spectrum fluctuate by O(1/r) relative; the limit is reached likewise.
        limits = {"effective_rank": (0.805 * 512, 1.5), "energy_effective_rank": (512 * exp(-0.5), 1.5)}
        yield KnownCase("512 × 512 noise", noise, limits, "limit to O(1) of 512")


def _entropy(weights: Float[np.ndarray, " k"]) -> float:
    """−Σ p ln p of positive weights, in nat; weights that vanish beside the sum add nothing."""
    share = weights / weights.sum()
    share = share[share > 0]
    return max(0.0, -float(share @ np.log(share)))
