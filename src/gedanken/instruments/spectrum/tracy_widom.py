"""Tracy–Widom edge test: whether the largest eigenvalue could be that of noise.

What. edge_statistic = (λ₁/s² − μ)/w, where μ = (√(N−1) + √r)² and w = (√(N−1) + √r)(1/√(N−1) + 1/√r)^{1/3} centre
and scale the largest eigenvalue of an N × r matrix of independent entries of variance s²; s² is the mean square left when
every eigenvalue that is no noise at p < 0.001 is taken out. Any sign, no unit. Above 0.98 noise is rejected at 5 %.

Reads. spectrum.

Null. The Tracy–Widom law with β = 1: mean −1.207, standard deviation 1.268; p is one-sided, from its upper tail.
On request, the matrix's own entries in random order.

Fails when. More than a fifth of the eigenvalues would have to be taken out, or the matrix is a product. Entries with heavy
tails exceed the edge without any direction standing out: compare with an entry shuffle.

Reference. [@johnstone2001distribution, theorem 1.1]; noise after [@kritchman2009nonparametric]; law evaluated by
[@bornemann2010numerical, §6].
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.nulls import ENTRY_SHUFFLE
from gedanken.instruments.spectrum._usable import OF_SPECTRA, SMALLEST, independent_entries, resolved
from gedanken.instruments.spectrum.marchenko_pastur import MOST_OUTLIERS
from gedanken.kinds import Kind, Spectrum
from gedanken.status import Flag, Refusal
from gedanken.theory import ensembles, tracy_widom


@final
@dataclass(frozen=True)
class TracyWidom(Instrument):
    """Johnstone's statistic of the largest eigenvalue over fitted noise."""

    reads = Kind.spectrum
    variables = (Variable("edge_statistic", "s_TW", "1", "largest eigenvalue, centred and scaled as that of noise"),)
    symmetries = OF_SPECTRA
    data_null = ENTRY_SHUFFLE
    version = 2

    def measure(self, array: Spectrum, rng: np.random.Generator) -> Reading:
        independent_entries(array)
        values, flags = resolved(array, SMALLEST)
        eigenvalues = (values / values[0]) ** 2
        try:
            variance, above = tracy_widom.fit_noise(eigenvalues, array.rows, array.cols)
        except ValueError as nothing:
            raise Refusal(Flag.poor_fit, "no value lies below the edge of the noise") from nothing
        if above > MOST_OUTLIERS * len(eigenvalues):
            raise Refusal(Flag.poor_fit, f"{above} of {len(eigenvalues)} values lie above the edge of the noise")
        statistic = tracy_widom.edge_statistic(1.0, array.rows, array.cols, variance)
        return {"edge_statistic": Value(statistic, n=len(values), flags=flags)}

    def null(self, array: Spectrum, reading: Reading) -> Mapping[str, NullBand]:
        low, median, high = (tracy_widom.quantile(p) for p in (0.025, 0.5, 0.975))
        p = tracy_widom.sf(reading["edge_statistic"].value)
        return {"edge_statistic": NullBand("tracy_widom", median, low, high, p, 0)}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        rows, cols = 800, 400
        noise = np.linalg.svd(rng.standard_normal((rows, cols)), compute_uv=False)
        # −1.21 ± 1.27; the fitted variance, known to √(2/mn), moves λ₁/s² by 0.25 % of m, or 0.36 w.
        expected = {"edge_statistic": (-1.2065, 4.0)}
        yield KnownCase(
            "800 × 400 noise", Spectrum(noise, rows, cols), expected, "three standard deviations, the fit's included"
        )
        spiked = np.linalg.svd(ensembles.spiked(rows, cols, np.array([3.0]), rng), compute_uv=False)
        at = rows * ensembles.spike_singular_value(3.0, cols / rows) ** 2
        centre, width = tracy_widom.centring(rows, cols)
        statistic = (at - centre) / width
        # A spike of 3 scatters by about 2/√rows·θ in σ, 5 % in λ; the fitted noise by 1 %.
        yield KnownCase(
            "a spike of 3", Spectrum(spiked, rows, cols), {"edge_statistic": (statistic, 0.2 * at / width)},
            "three standard deviations of the spike, and the noise's",
        )  # fmt: skip
