"""Tail exponent: whether the largest eigenvalues follow a power law, and how heavy it is.

What. For λ = σ² ≥ x_min the density is fitted as ρ(λ) ∝ λ^(−a): tail_exponent a = 1 + n/Σ ln(λ/x_min) > 1 with stderr
(a − 1)/√n, where x_min = tail_start (weight²) is the eigenvalue that minimises ks_distance and tail_count n the number of
eigenvalues from it on. exponential_ratio and lognormal_ratio are the mean log-likelihood of the power law minus that of
the rival, in nat per eigenvalue (negative: the rival is better), with Vuong's two-sided p beside each. alpha_hat =
a·log₁₀ λ₁ and log_alpha_norm = log₁₀ Σλ^a follow WeightWatcher. Smaller a means more structure; not the rank exponent,
which grows with it.

Reads. spectrum.

Null. Gaussian twin of the same shape. It has no power law: its fit at r = 512 gives 6–9 at a KS distance of 0.11–0.13, so
read the exponent beside its null, its flags and the ratios, never alone. alpha_hat and log_alpha_norm depend on the unit
of the weights and have none.

Fails when. Fewer than ten eigenvalues lie above rounding, or all are equal. Flagged `poor_fit` if a rival is better at
p < 0.1, `short_tail` below 50 values, `at_bound` if the tail is the shortest that was searched.

Reference. [@clauset2009power, eqs. 3.1–3.2, §3.3, §5]; comparison of laws [@vuong1989likelihood, eq. 5.6]; alpha_hat and
log_alpha_norm [@martin2021predicting].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log10
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.nulls import ENTRY_SHUFFLE, GAUSSIAN_TWIN
from gedanken.instruments.spectrum._usable import OF_SPECTRA, SMALLEST, resolved
from gedanken.kinds import Kind, Spectrum
from gedanken.status import Flag, Refusal
from gedanken.theory import power_law

RELIABLE = 50
"""Values from which the maximum-likelihood exponent is reliable [@clauset2009power, §3.1]."""

DOUBT = 0.1
"""Level at which a rival counts as better [@clauset2009power, §5.1]."""

_P = "it is itself a p-value"
_UNIT = "depends on the unit of the weights, which no null fixes"


@final
@dataclass(frozen=True)
class TailExponent(Instrument):
    """Maximum-likelihood power-law tail of the eigenvalues, with at least `minimum_count` of them in it."""

    minimum_count: int = SMALLEST

    reads = Kind.spectrum
    variables = (
        Variable(
            "tail_exponent", "a", "1", "exponent of the fitted eigenvalue density above x_min", (1, None), scale="log",
            aliases=("alpha",),
        ),
        Variable("ks_distance", "D", "1", "largest difference of empirical and fitted distribution", (0, 1), aliases=("D",)),
        Variable(
            "tail_start", "x_min", "weight²", "eigenvalue from which the tail is fitted", (0, None), degree=2, scale="log",
            aliases=("xmin",),
        ),
        Variable("tail_count", "n", "1", "number of eigenvalues in the fitted tail", (1, None), scale="log"),
        Variable("exponential_ratio", "ℛ_exp", "nat", "log-likelihood per value, power law minus exponential"),
        Variable("exponential_p", "p_exp", "1", "two-sided p of the comparison with the exponential law", (0, 1), no_null=_P),
        Variable("lognormal_ratio", "ℛ_ln", "nat", "log-likelihood per value, power law minus log-normal"),
        Variable("lognormal_p", "p_ln", "1", "two-sided p of the comparison with the log-normal law", (0, 1), no_null=_P),
        Variable(
            "alpha_hat", "α̂", "1", "tail exponent times log₁₀ of the largest eigenvalue", degree=None, no_null=_UNIT,
            aliases=("alpha_weighted",),
        ),
        Variable(
            "log_alpha_norm", "log Σλᵃ", "1", "log₁₀ of the sum of eigenvalues to the power of the tail exponent",
            degree=None, no_null=_UNIT, aliases=("log_alpha_norm",),
        ),
    )  # fmt: skip
    symmetries = OF_SPECTRA
    null_model = GAUSSIAN_TWIN
    data_null = ENTRY_SHUFFLE

    def measure(self, array: Spectrum, rng: np.random.Generator) -> Reading:
        values, flags = resolved(array, self.minimum_count)
        scale = float(values[0])
        ascending = (values[::-1] / scale) ** 2
        try:
            fit = power_law.fit(ascending, self.minimum_count)
        except ValueError as nothing:
            raise Refusal(Flag.constant, "the eigenvalues are equal and have no tail") from nothing
        tail = ascending[len(ascending) - fit.count :]
        exponential = power_law.against_exponential(tail, fit.start, fit.exponent)
        lognormal = power_law.against_lognormal(tail, fit.start, fit.exponent)
        flags += self._doubts(fit, exponential, lognormal)
        largest = 2 * log10(scale)
        # log₁₀ Σλᵃ with λ₁ taken out of the sum, which then cannot overflow.
        norm = fit.exponent * largest + log10(float(np.sum(ascending**fit.exponent)))
        count = fit.count
        return {
            "tail_exponent": Value(fit.exponent, stderr=fit.stderr, n=count, flags=flags),
            "ks_distance": Value(fit.ks_distance, n=count, flags=flags),
            "tail_start": Value(fit.start * scale**2, n=count, flags=flags),
            "tail_count": Value(float(count), n=len(values), flags=flags),
            "exponential_ratio": Value(exponential.ratio, n=count),
            "exponential_p": Value(exponential.p, n=count),
            "lognormal_ratio": Value(lognormal.ratio, n=count),
            "lognormal_p": Value(lognormal.p, n=count),
            "alpha_hat": Value(fit.exponent * largest, stderr=fit.stderr * abs(largest), n=count, flags=flags),
            "log_alpha_norm": Value(norm, n=count, flags=flags),
        }

    def _doubts(self, fit, *rivals) -> tuple[Flag, ...]:
        doubts = []
        if any(rival.ratio < 0 and rival.p < DOUBT for rival in rivals):
            doubts.append(Flag.poor_fit)
        if fit.count < RELIABLE:
            doubts.append(Flag.short_tail)
        if fit.count == self.minimum_count:
            doubts.append(Flag.at_bound)
        return tuple(doubts)

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        count = 5000
        sample = np.sort(power_law.sample(3.0, 0.5, count, rng))[::-1]
        pareto = Spectrum(np.sqrt(sample), count, count)
        # (a − 1)/√n is 0.028 for all of them; the chosen start keeps at least a tenth: three standard errors of that.
        expected = {"tail_exponent": (3.0, 0.27), "ks_distance": (0.0, 0.03)}
        yield KnownCase(
            "5000 Pareto values of exponent 3", pareto, expected, "three standard errors of a tenth of them"
        )
        names = ("tail_start", "tail_count", "exponential_ratio", "exponential_p", "lognormal_ratio", "lognormal_p")
        equal = dict.fromkeys((*names, "tail_exponent", "alpha_hat", "log_alpha_norm"), Flag.constant)
        yield KnownCase("all equal", Spectrum(np.full(64, 0.3), 64, 64), equal, "a refusal")
