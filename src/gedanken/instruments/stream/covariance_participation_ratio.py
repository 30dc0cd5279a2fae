"""Number of directions that activations use, counted by the second moment of the energy, without the bias of few rows.

What. (tr Σ)²/tr Σ² of the covariance Σ of tokens, ∈ [1, d], unit 1, with both traces estimated without bias:
covariance_participation_ratio. participation_ratio, of the covariance's spectrum, is the plug-in value, too small by
1/PR → 1/PR + 1/n. Tokens of one prompt depend on each other, which is a bias of its own:
covariance_participation_ratio_across_prompts is made of pairs of tokens in different prompts only (where the mean is
unknown, of differences of tokens at the same place in two prompts, half the text apart). Centring: about the mean, about
zero, or of standardised coordinates.

Reads. stream: points of the report half, first positions left out. Errors leave out groups of prompts, or of pairs of
prompts, which are the same at every place.

Null. On request, every coordinate in a random order of its own: the ratio of the variances alone.

Fails when. There are fewer than four rows, nothing varies, or an estimate of tr Σ² is not positive. About zero, a mean
alone makes it small: look at mean_share. Each trace is unbiased, their ratio nearly so. In correlations, the scales
are those of the rows themselves, and are not left out with a group.

Reference. Unknown mean [@himeno2014estimations, eq. 2.2]; bias of the plug-in value [@chun2025estimating].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Symmetry, Value, Variable
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream._prompts import OF_COORDINATES, Rows, valued
from gedanken.instruments.stream._second_moment import CENTRINGS, SecondMoment, differences, second_moment
from gedanken.instruments.stream_nulls import STREAM_PERMUTATION
from gedanken.kinds import Kind, Stream
from gedanken.status import Flag, Refusal
from gedanken.theory import participation


@final
@dataclass(frozen=True)
class CovarianceParticipationRatio(Instrument):
    """Unbiased (tr Σ)²/tr Σ²; `centring`: "centred", "uncentred" or "correlation"."""

    centring: str = "centred"

    reads = Kind.stream
    variables = (
        Variable("covariance_participation_ratio", "PR_C", "1", "(tr Σ)²/tr Σ² of tokens, traces unbiased", (0, None),
                 scale="log"),
        Variable("covariance_participation_ratio_across_prompts", "PR_C×", "1",
                 "(tr Σ)²/tr Σ² from pairs of tokens in different prompts", (0, None), scale="log"),
    )  # fmt: skip
    symmetries = OF_COORDINATES | {Symmetry.scale}
    exchangeable = "prompt"
    data_null = STREAM_PERMUTATION
    version = 2

    def __post_init__(self):
        if self.centring not in CENTRINGS:
            raise ValueError(f"centring is one of {', '.join(CENTRINGS)}, not {self.centring!r}")

    @classmethod
    def standard(cls) -> tuple[Instrument, ...]:
        return tuple(cls(centring=name) for name in CENTRINGS)

    def measure(self, array: Stream, rng: np.random.Generator) -> Reading:
        moment = second_moment(array, self.centring, least=4)
        known_mean = self.centring == "uncentred"
        traces = _single(moment) if known_mean else _about_mean(moment)
        return {
            "covariance_participation_ratio": _ratio(traces, moment.rows),
            "covariance_participation_ratio_across_prompts": _ratio(_across(moment), moment.rows)
            if known_mean
            else self._of_differences(array),
        }

    def _of_differences(self, array: Stream) -> Value | Refusal:
        try:
            pairs = differences(array, self.centring)
        except Refusal as refusal:
            return refusal
        return _ratio(_across(pairs), pairs.rows)

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        d, n = 60, 2000
        variances = np.ones(d) if self.centring == "correlation" else np.arange(1, d + 1) ** -0.5
        exact = variances.sum() ** 2 / np.sum(variances**2)
        # Relative error of tr Σ² estimated from n normal rows, √(8 tr Σ⁴/(n (tr Σ²)²) + 4/n²); of halves for differences.
        spread = np.sqrt(8 * np.sum(variances**4) / np.sum(variances**2) ** 2 / (n / 2) + 16 / n**2)
        rows = rng.standard_normal((round(n * 1.2), d)) * np.sqrt(variances)
        if self.centring != "uncentred":
            rows += 5.0
        expected = dict.fromkeys((v.name for v in self.variables), (exact, 4 * spread * exact))
        yield KnownCase("2,000 normal rows", stream_of(rows), expected, "four standard errors of tr Σ²")


def _about_mean(moment: SecondMoment) -> participation.Traces:
    """Unknown mean; with each group left out, and with none."""
    n, total = moment.n, np.einsum("ij,ij->i", moment.total, moment.total)
    safe = np.where(n >= 4, n, np.nan)
    trace = (moment.rest(moment.rows.sums(moment.norms)) - total / safe) / (safe - 1)
    square = (moment.square - 2 * moment.along_total / safe + (total / safe) ** 2) / (safe - 1) ** 2
    return participation.unknown_mean(safe, trace, square, moment.fourth / (safe - 1))


def _single(moment: SecondMoment) -> participation.Traces:
    """Mean zero, pairs of any two rows."""
    fourth = moment.rest(moment.rows.sums(moment.norms**2))
    return participation.zero_mean(moment.rest(moment.rows.sums(moment.norms)) ** 2, fourth, moment.square, fourth)


def _across(moment: SecondMoment) -> participation.Traces:
    """Mean zero, pairs of rows in different prompts."""
    rows = moment.rows
    group = rows.group[rows.prompt_starts]
    norms = np.add.reduceat(moment.norms, rows.prompt_starts) ** 2
    own_norms, own_second = (
        np.bincount(group, weights=w, minlength=rows.groups) for w in (norms, moment.own_of_prompts)
    )
    return participation.zero_mean(
        moment.rest(rows.sums(moment.norms)) ** 2, moment.rest(own_norms), moment.square, moment.rest(own_second)
    )


def _ratio(traces: participation.Traces, rows: Rows) -> Value | Refusal:
    squared, square = traces
    # Sums of n terms carry a rounding of n·eps of the largest.
    if not (np.isfinite(square[-1]) and square[-1] > 1e-12 * abs(squared[-1]) and squared[-1] > 0):
        return Refusal(Flag.too_small, "the estimate of tr Σ² is not positive")
    if rows.groups < 2 or not np.all(square > 0):
        return Value(float(squared[-1] / square[-1]), n=len(rows.points), flags=rows.flags)
    ratio = squared / square
    return valued(ratio[-1], ratio[:-1], len(rows.points), rows.flags)
