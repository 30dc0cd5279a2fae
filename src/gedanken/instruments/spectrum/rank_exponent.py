"""Rank exponent: how steeply singular values fall with their rank.

What. rank_exponent α = minus the slope of ln σ_k on ln k over k ≤ K, by least squares; K = max(10, top_fraction·r). Any sign
in principle, 0 if all are equal, unit 1; larger means more structure. rank_exponent_fit is the R² of that line. Not the
tail exponent of WeightWatcher, which falls with structure: if λ_k ∝ k^(−2α) exactly, that one is 1 + 1/(2α).

Reads. spectrum.

Null. Gaussian twin of the same shape. It depends on shape and size (0.100 for 512 × 512, 0.056 for 2048 × 512), so values
of matrices of different shape compare only through it. Its R² is 0.86: a high R² is no evidence of a power law.

Fails when. Fewer than ten singular values lie above rounding. The least-squares error of the slope is invalid, because
ordered values depend on each other; none is given.

Reference. Definition of [@liu2026lifecycle] after its companion [@liu2026hidden]; the leading 20 % is ours: the range
that agrees with the paper's start values, 0.10 at a stable rank of 130.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.nulls import ENTRY_SHUFFLE, GAUSSIAN_TWIN
from gedanken.instruments.spectrum._usable import OF_SPECTRA, SMALLEST, resolved
from gedanken.kinds import Kind, Spectrum
from gedanken.status import Flag, Refusal
from gedanken.theory import ensembles

FLAT = 1e-12
"""Variance of ln σ below which all values are equal to rounding, and R² has no meaning."""


@final
@dataclass(frozen=True)
class RankExponent(Instrument):
    """Slope of ln σ on ln k over the leading `top_fraction` of ranks."""

    top_fraction: float = 0.2

    reads = Kind.spectrum
    variables = (
        Variable("rank_exponent", "α", "1", "minus the slope of ln σ on ln k over the leading ranks"),
        Variable(
            "rank_exponent_fit", "R²", "1", "squared correlation of ln σ with ln k over the leading ranks", (0, 1)
        ),
    )
    symmetries = OF_SPECTRA
    null_model = GAUSSIAN_TWIN
    data_null = ENTRY_SHUFFLE

    @classmethod
    def standard(cls) -> tuple[Instrument, ...]:
        return cls(), cls(top_fraction=1.0)

    def measure(self, array: Spectrum, rng: np.random.Generator) -> Reading:
        values, _ = resolved(array, SMALLEST)
        wanted = max(SMALLEST, round(self.top_fraction * array.size))
        count = min(wanted, len(values))
        flags = (Flag.rank_deficient,) if count < wanted else ()
        x = np.log(np.arange(1, count + 1))
        y = np.log(values[:count])
        x, y = x - x.mean(), y - y.mean()
        slope = float(x @ y) / float(x @ x)
        spread = float(y @ y)
        fit = Value(slope * float(x @ y) / spread, n=count, flags=flags) if spread > FLAT else Refusal(Flag.constant)
        return {"rank_exponent": Value(-slope, n=count, flags=flags), "rank_exponent_fit": fit}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        for exponent in (0.1, 0.45):
            decay = Spectrum(ensembles.power_law_singular_values(512, exponent), 512, 512)
            exact = {"rank_exponent": (exponent, 1e-12), "rank_exponent_fit": (1.0, 1e-12)}
            yield KnownCase(f"σ_k = k^−{exponent}", decay, exact, "a straight line, to rounding")
        flat = {"rank_exponent": (0.0, 1e-12), "rank_exponent_fit": Flag.constant}
        yield KnownCase("all equal", Spectrum(np.full(64, 0.3), 64, 64), flat, "exact")
        few = {"rank_exponent": Flag.too_small, "rank_exponent_fit": Flag.too_small}
        yield KnownCase("nine values", Spectrum(np.arange(9.0, 0.0, -1.0), 9, 9), few, "a refusal")
        if self == type(self)():
            noise = Spectrum(np.linalg.svd(rng.standard_normal((512, 512)), compute_uv=False), 512, 512)
            gaussian = {"rank_exponent": (0.1003, 0.0028), "rank_exponent_fit": (0.856, 0.04)}
            yield KnownCase(
                "512 × 512 noise", noise, gaussian, "mean of draws, four of their standard deviations 0.0007"
            )
