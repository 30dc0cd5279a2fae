"""Key susceptibility: how the mean key answers a change of the query.

What. key_susceptibility = mean over rows of tr χ, χ = ∂M/∂q = Cov_p(k)/T ≥ 0; longitudinal_share = mean of
qᵀχq/(|q|² tr χ) ∈ [0, 1]; mean_key = mean |M|, M = Σ p k; fluctuation_dissipation_residual = relative difference of Σ qᵀχq
from the numerical derivative of M and from the covariance: an identity, a test of the code and of nothing else.

Reads. ensemble, of an even sample of rows (flag `sampled`).

Null. None for the residual and the mean key, which a vector common to all keys moves. For the longitudinal share, 1/d: a
query without a preferred direction sees any covariance at its mean.

Fails when. Logits have a soft cap or a bias, or only logits were seen: then −q·k is not the energy.

Reference. Fluctuation–dissipation theorem [@kubo1957statistical].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.ensemble import _known as known
from gedanken.instruments.ensemble._groups import OF_ENSEMBLES, sampled, sampled_mean
from gedanken.kinds import Ensemble, Kind
from gedanken.status import Flag


@final
@dataclass(frozen=True)
class KeySusceptibility(Instrument):
    """Trace of Cov_p(k)/T, and how much of it lies along the query."""

    reads = Kind.ensemble
    variables = (
        Variable(
            "key_susceptibility",
            "tr χ",
            "key²/T",
            "mean tr Cov_p(k)/T",
            (0, None),
            None,
            no_null="it has the scale of the keys",
        ),
        Variable(
            "longitudinal_share",
            "χ∥",
            "1",
            "mean qᵀχq/(|q|² tr χ)",
            (0, 1),
            None,
            no_null="isotropy would give 1/d; the band is that of field_alignment",
        ),
        Variable(
            "mean_key",
            "M",
            "key",
            "mean |Σ p k|",
            (0, None),
            None,
            no_null="a vector common to all keys moves it and leaves attention as it is",
        ),
        Variable(
            "fluctuation_dissipation_residual",
            "δ",
            "1",
            "relative difference of qᵀχq from a derivative and from a covariance",
            (0, None),
            None,
            no_null="an identity: it says that the code is right",
        ),
    )
    symmetries = OF_ENSEMBLES
    exchangeable = "prompt"

    def measure(self, array: Ensemble, rng: np.random.Generator) -> Reading:
        rows = sampled(array)
        answer, expected = (float(array.dipoles[name].sum()) for name in ("response", "heat_capacity"))
        scale = max(abs(answer), abs(expected))
        residual = Value(abs(answer - expected) / scale if scale > 0 else 0.0, n=rows, flags=(Flag.sampled,))
        return {
            "key_susceptibility": sampled_mean(array, "susceptibility"),
            "longitudinal_share": sampled_mean(array, "longitudinal"),
            "mean_key": sampled_mean(array, "mean_key"),
            "fluctuation_dissipation_residual": residual,
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        query = np.array([[1.0, 1.0, 0.0, 0.0]])
        key = np.array([[0.0, 0.0, 1.0, 0.0], [-1.0, -1.0, 0.0, 0.0], [-4.0, 0.0, 0.0, 1.0], [0.0, -6.0, 0.0, 0.0]])
        expected = {
            "key_susceptibility": (1.4020088016, 1e-9),
            "longitudinal_share": (1.2331725497 / 2 / 1.4020088016, 1e-9),
            "mean_key": (np.linalg.norm([-0.58546009, -0.42923444, 0.64391426, 0.08714432]), 1e-8),
            # of the order of the squared step, 1e-8
            "fluctuation_dissipation_residual": (0.0, 1e-7),
        }
        row = known.of_row(query, key, 0.5)
        yield KnownCase("E = 0, 2, 4, 6 at T = 2", row, expected, "printed digits; the derivative's step")
