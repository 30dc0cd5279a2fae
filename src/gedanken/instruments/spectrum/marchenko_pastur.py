"""Marchenko–Pastur bulk: how much of a spectrum looks like noise, and what sticks out.

What. The eigenvalues λ = σ² of an m × n matrix with independent entries of variance s² fill s²(√N ± √r)², N = max(m, n),
r = min(m, n). With s² fitted to the bulk: noise_scale s (weight), bulk_edge λ₊ = s²(√N + √r)² (weight²), outlier_count the
eigenvalues above it, bulk_ks_distance the largest difference between the bulk and the law, soft_rank = λ₊/λ₁ ∈ (0, 1] or
above: near 1 without outliers.

Reads. spectrum.

Null. Gaussian twin of the same shape: a count of 0 to 2, a soft rank near 1. Eigenvalues repel, so the textbook p of the KS
distance is invalid; its band is drawn.

Fails when. More than a fifth of the values lie above the fitted edge (noise "bulk"): the median is then no longer that of
noise. With noise "entries", s² is the mean square of all entries, which large outliers inflate. Refused for products.

Reference. [@marchenko1967distribution]; noise from the median of the bulk [@gavish2014optimal]; soft rank
[@martin2021implicit].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.nulls import ENTRY_SHUFFLE, GAUSSIAN_TWIN
from gedanken.instruments.spectrum._usable import OF_SPECTRA, SMALLEST, independent_entries, resolved
from gedanken.kinds import Kind, Spectrum
from gedanken.status import Flag, Refusal
from gedanken.theory import ensembles
from gedanken.theory import marchenko_pastur as law

MOST_OUTLIERS = 0.2
"""Share of values above the edge beyond which the fitted noise is refused (latent-object-permanence, §2.2)."""


@final
@dataclass(frozen=True)
class MarchenkoPastur(Instrument):
    """Edge, outliers and fit of the noise bulk. `noise`: "bulk" fits s² to it, "entries" takes the mean squared entry."""

    noise: str = "bulk"

    reads = Kind.spectrum
    variables = (
        Variable("noise_scale", "s", "weight", "standard deviation of the entries of the noise bulk", (0, None), degree=1,
                 scale="log"),
        Variable("bulk_edge", "λ₊", "weight²", "upper edge of the noise bulk in λ = σ²", (0, None), degree=2, scale="log"),
        Variable("outlier_count", "k₊", "1", "number of eigenvalues above the bulk edge", (0, None),
                 aliases=("num_spikes",)),
        Variable("bulk_ks_distance", "D_MP", "1", "largest difference of the bulk and the Marchenko–Pastur law", (0, 1)),
        Variable("soft_rank", "λ₊/λ₁", "1", "bulk edge over the largest eigenvalue", (0, None), scale="log",
                 aliases=("mp_softrank",)),
    )  # fmt: skip
    symmetries = OF_SPECTRA
    null_model = GAUSSIAN_TWIN
    data_null = ENTRY_SHUFFLE

    def __post_init__(self):
        if self.noise not in ("bulk", "entries"):
            raise ValueError(f'noise is "bulk" or "entries", not {self.noise!r}')

    @classmethod
    def standard(cls) -> tuple[Instrument, ...]:
        return cls(), cls(noise="entries")

    def measure(self, array: Spectrum, rng: np.random.Generator) -> Reading:
        independent_entries(array)
        values, flags = resolved(array, SMALLEST)
        scale = float(values[0])
        eigenvalues = (values / scale) ** 2
        variance = self._variance(eigenvalues, array)
        edge = max(array.rows, array.cols) * law.edges(array.aspect, variance)[1]
        outliers = int(np.count_nonzero(eigenvalues > edge))
        n = len(values)
        below = n - outliers
        distance = law.ks_distance(eigenvalues, array.rows, array.cols, variance) if below else None
        # The twin has the same mean square, and so the same scale and edge where that is what they are made from.
        given = (*flags, Flag.null_is_exact) if self.noise == "entries" else flags
        return {
            "noise_scale": Value(scale * float(np.sqrt(variance)), n=below, flags=given),
            "bulk_edge": Value(scale**2 * edge, n=below, flags=given),
            "outlier_count": Value(float(outliers), n=n, flags=flags),
            "bulk_ks_distance": Refusal(Flag.too_small) if distance is None else Value(distance, n=below, flags=flags),
            "soft_rank": Value(edge, n=below, flags=flags),
        }

    def _variance(self, eigenvalues: np.ndarray, array: Spectrum) -> float:
        """Entry variance in units of λ₁."""
        if self.noise == "entries":
            return float(eigenvalues.sum()) / (array.rows * array.cols)
        fit = law.fit_bulk(eigenvalues, array.rows, array.cols)
        if fit.outliers > MOST_OUTLIERS * len(eigenvalues):
            raise Refusal(Flag.poor_fit, f"{fit.outliers} of {len(eigenvalues)} values lie above the fitted edge")
        return fit.variance

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        rows, cols, s = 800, 400, 0.02
        noise = np.linalg.svd(s * rng.standard_normal((rows, cols)), compute_uv=False)
        edge = s**2 * (np.sqrt(rows) + np.sqrt(cols)) ** 2
        # The median of a Gaussian spectrum fluctuates by about 1/r relative (rigidity): 1 % covers it with room, and
        # twice that in s²; λ₁ by r^(−2/3) = 2 %.
        pure = {
            "noise_scale": (s, 0.01 * s),
            "bulk_edge": (edge, 0.02 * edge),
            "outlier_count": (1.0, 1.0),
            "bulk_ks_distance": (0.0, 0.02),
            "soft_rank": (1.0, 0.05),
        }
        yield KnownCase(
            "800 × 400 noise", Spectrum(noise, rows, cols), pure, "rigidity of the bulk; r^(−2/3) at its edge"
        )
        if self.noise == "bulk":
            spikes = np.array([4.0, 3.0, 2.5])
            spiked = np.linalg.svd(ensembles.spiked(rows, cols, spikes, rng), compute_uv=False)
            expected = {"outlier_count": (3.5, 0.5)}
            yield KnownCase(
                "three spikes", Spectrum(spiked, rows, cols), expected, "three, and at most one of the noise"
            )
