"""Singular values: the whole spectrum, kept.

What. σ_k against its rank k = 1 … r, descending, zeros included, in the unit of the weights, to 24 binary digits (those of
single precision, which take half the space on disk). Every other variable of a spectrum follows from them, in any
setting, without the matrix.

Reads. spectrum.

Null. None here: the raw values are not a statistic. singular_value_density draws the law of noise, and the variables made
from them carry nulls of their own.

Fails when. Values below rounding (σ₁√(r·eps)) are rounding; the flag `below_resolution` says that there are some. On
request only: a curve of r numbers for every matrix and step.

Reference. [@golub2013, §2.4].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Variable
from gedanken.instruments.spectrum._usable import OF_SPECTRA
from gedanken.kinds import Kind, Spectrum
from gedanken.status import Flag, Refusal

DIGITS = 24
"""Binary digits of an IEEE 754 single: what training in single precision knows of a weight."""


@final
@dataclass(frozen=True)
class SingularValues(Instrument):
    """All σ_k, against k."""

    reads = Kind.spectrum
    variables = (
        Variable(
            "singular_values", "σ_k", "weight", "singular values, descending, against their rank", (0, None), degree=1,
            scale="log", no_null="raw values are not a statistic", curve=True,
        ),
    )  # fmt: skip
    symmetries = OF_SPECTRA
    on_request = True

    def measure(self, array: Spectrum, rng: np.random.Generator) -> Reading:
        values = array.singular_values
        if len(values) == 0:
            raise Refusal(Flag.empty)
        flags = (Flag.below_resolution,) if len(array.resolved) < len(values) else ()
        ranks = np.arange(1.0, len(values) + 1)
        return {"singular_values": Curve(ranks, _single(values), n=len(values), flags=flags)}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        values = np.array([3.0, 2.0, 0.0])
        yield KnownCase("σ = 3, 2, 0", Spectrum(values, 3, 5), {"singular_values": (values, 0.0)}, "exact")


def _single(values: Float[np.ndarray, " r"]) -> Float[np.ndarray, " r"]:
    """The values to DIGITS binary digits, without single precision's bounds on their size."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(np.ldexp(mantissa, DIGITS)), exponent - DIGITS)
