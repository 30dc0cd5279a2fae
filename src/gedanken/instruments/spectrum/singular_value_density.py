"""Density of singular values, with the law of noise over it.

What. Share of the singular values per unit of σ in 40 equal bins from the smallest to the largest, or to twice the bulk edge
if outliers lie beyond (their number is outlier_count); y against the middle of the bin, in 1/weight.

Reads. spectrum.

Null. The Marchenko–Pastur law of an m × n matrix whose entry variance is fitted to the bulk, averaged over each bin; where
no bulk can be fitted (flag `poor_fit`), that of a matrix with the same mean squared entry. It is drawn as a line: the
eigenvalues of noise are so rigid that their histogram hardly scatters.

Fails when. Fewer than ten values lie above rounding. For products of thin factors the density is given without a law.

Reference. [@marchenko1967distribution; @bai2010spectral, §3.1].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Variable
from gedanken.instruments.spectrum._usable import OF_SPECTRA, SMALLEST, resolved
from gedanken.instruments.spectrum.marchenko_pastur import MOST_OUTLIERS
from gedanken.kinds import Kind, Spectrum
from gedanken.status import Flag
from gedanken.theory import marchenko_pastur as law

BEYOND = 2.0
"""How far past the bulk edge (in σ) the bins may reach: further, and the bulk would fall into few bins."""


@final
@dataclass(frozen=True)
class SingularValueDensity(Instrument):
    """Histogram of σ in `bins` bins, as a density."""

    bins: int = 40

    reads = Kind.spectrum
    variables = (
        Variable(
            "singular_value_density", "ρ(σ)", "1/weight",
            "share of singular values per unit of σ, against the singular value [weight]", (0, None), degree=-1, curve=True,
        ),
    )  # fmt: skip
    symmetries = OF_SPECTRA

    def measure(self, array: Spectrum, rng: np.random.Generator) -> Reading:
        values, flags = resolved(array, SMALLEST)
        scale = float(values[0])
        values = values / scale
        variance, doubts = self._variance(values, array)
        flags += doubts
        edges = self._edges(values, array, variance)
        widths = np.diff(edges)
        density = np.diff(np.searchsorted(values[::-1], edges)) / len(values) / widths
        null = None
        if variance is not None:
            null = np.diff(law.singular_value_cdf(edges, array.rows, array.cols, variance)) / widths / scale
        centres = scale * (edges[1:] + edges[:-1]) / 2
        curve = Curve(centres, density / scale, null_low=null, null_high=null, n=len(values), flags=flags)
        return {"singular_value_density": curve}

    def _edges(self, values: np.ndarray, array: Spectrum, variance: float | None) -> Float[np.ndarray, " edges"]:
        top, bottom = float(values[0]), float(values[-1])
        if variance is not None:
            ends = np.sqrt(max(array.rows, array.cols) * np.array(law.edges(array.aspect, variance)))
            top, bottom = min(top, BEYOND * ends[1]), min(bottom, ends[0])
        if not top > bottom * (1 + 1e-9):
            top, bottom = 1.05 * top, 0.96 * bottom
        # A hair beyond both ends, so that rounding leaves no value outside.
        return np.linspace(bottom * (1 - 1e-12), top * (1 + 1e-12), self.bins + 1)

    def _variance(self, values: np.ndarray, array: Spectrum) -> tuple[float | None, tuple[Flag, ...]]:
        """Entry variance of the law to draw, and what must be said of it."""
        if array.rank_bound is not None:
            return None, (Flag.no_null,)
        fit = law.fit_bulk(values**2, array.rows, array.cols)
        if fit.outliers <= MOST_OUTLIERS * len(values):
            return fit.variance, ()
        return float(values @ values) / (array.rows * array.cols), (Flag.poor_fit,)

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        equal = np.zeros(self.bins)
        # The bins then span 4 % below the value to 5 % above it: one of them holds everything.
        equal[int(4 / 9 * self.bins)] = self.bins / (0.09 * 2.0)
        two = Spectrum(np.full(50, 2.0), 50, 50, rank_bound=50)
        tolerance = 1e-6 * equal.max()
        yield KnownCase(
            "all equal to 2", two, {"singular_value_density": (equal, tolerance)}, "one bin, to rounding of its width"
        )
