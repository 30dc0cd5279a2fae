"""Goodness of the tail: the bootstrap p-value of the fitted power law.

What. tail_p ∈ (0, 1]: the share of synthetic samples, drawn from the fitted law above x_min and from the data below, that fit
their own best power law worse than the eigenvalues fit theirs; x_min is searched anew in each. Small means that a power
law is rejected. Its resolution is 1/(bootstrap + 1).

Reads. spectrum.

Null. None: it is itself a p-value, uniform where the power law holds for independent values. Eigenvalues repel each
other, so spectra fit better than independent samples do, and the test rejects too rarely.

Fails when. As the tail exponent does. A small p rejects; a large one says little where the tail is short: the search for
x_min walks to the last few values, where an exponential law passes as well. Raise minimum_count to test a longer tail.

Reference. [@clauset2009power, §4.1]; counting the data among the draws [@phipson2010permutation, eq. 2].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.spectrum._usable import OF_SPECTRA, SMALLEST, resolved
from gedanken.kinds import Kind, Spectrum
from gedanken.status import Flag, Refusal
from gedanken.theory import power_law

REJECTED = 0.1
"""Level at which a power law is ruled out [@clauset2009power, §4.1]."""


@final
@dataclass(frozen=True)
class TailGoodness(Instrument):
    """Bootstrap p of the power-law tail from `bootstrap` draws."""

    bootstrap: int = 100
    minimum_count: int = SMALLEST

    reads = Kind.spectrum
    variables = (
        Variable(
            "tail_p", "p_tail", "1", "share of samples of the fitted law that fit worse", (0, 1),
            no_null="it is itself a p-value",
        ),
    )  # fmt: skip
    symmetries = OF_SPECTRA
    on_request = True

    def measure(self, array: Spectrum, rng: np.random.Generator) -> Reading:
        values, _ = resolved(array, self.minimum_count)
        ascending = (values[::-1] / values[0]) ** 2
        try:
            fit = power_law.fit(ascending, self.minimum_count)
        except ValueError as nothing:
            raise Refusal(Flag.constant, "the eigenvalues are equal and have no tail") from nothing
        p = power_law.bootstrap_p(ascending, fit, self.bootstrap, rng, self.minimum_count)
        stderr = float(np.sqrt(p * (1 - p) / self.bootstrap))
        return {"tail_p": Value(p, stderr=stderr, n=fit.count, flags=(Flag.poor_fit,) if p < REJECTED else ())}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        spectrum = Spectrum(np.sqrt(np.sort(rng.exponential(size=400) + 1.0)[::-1]), 400, 400)
        yield KnownCase("all equal", Spectrum(np.ones(40), 40, 40), {"tail_p": Flag.constant}, "a refusal")
        few = Spectrum(spectrum.singular_values[:9], 9, 9)
        yield KnownCase("nine values", few, {"tail_p": Flag.too_small}, "a refusal")
        ladder = Spectrum(np.sqrt(np.repeat(np.arange(40.0, 0.0, -1.0), 10)), 400, 400)
        smallest = 1 / (self.bootstrap + 1)
        # Forty ties of ten: the distance to any continuous law is large, and no sample of one comes near it.
        yield KnownCase(
            "a ladder of ties", ladder, {"tail_p": (smallest, 3 * smallest)}, "three draws by chance at most"
        )
