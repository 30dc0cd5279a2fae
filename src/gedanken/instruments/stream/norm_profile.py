"""Length of activations: its mean, its spread, and what the first positions do to it.

What. mean_norm and median_norm of ‖h‖ over tokens (activation); norm_variation their standard deviation over mean;
first_norm_ratio the mean norm at position 0 over that of the tokens kept; mean_share ‖μ‖²/⟨‖h‖²⟩ ∈ [0, 1], the part of
the uncentred second moment that one direction, the mean, holds; excluded_count the tokens at first positions that
are left out of everything else. Unit 1 where none is given.

Reads. stream: points of the report half; mean_share and excluded_count from the moments of all of it.

Null. None is drawn: lengths have no scale of their own. mean_share of independent directions about zero is about 1/n.

Fails when. All rows are zero.

Reference. Norms of first positions [@sun2024massive, §2]; mean directions [@ethayarajh2019contextual].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Reading, Symmetry, Value, Variable
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream._prompts import OF_STREAMS, rows_of, valued
from gedanken.instruments.stream._second_moment import SecondMoment
from gedanken.kinds import Kind, Stream
from gedanken.status import Flag, Refusal

NO_SCALE = "lengths have no scale of their own"


@final
@dataclass(frozen=True)
class NormProfile(Instrument):
    """Norms of tokens and the share of their mean."""

    reads = Kind.stream
    variables = (
        Variable("mean_norm", "⟨‖h‖⟩", "activation", "mean norm of tokens", (0, None), degree=1, scale="log",
                 no_null=NO_SCALE),
        Variable("median_norm", "med ‖h‖", "activation", "median norm of tokens", (0, None), degree=1, scale="log",
                 no_null=NO_SCALE),
        Variable("norm_variation", "CV‖h‖", "1", "standard deviation over mean of the norm of tokens", (0, None),
                 scale="log", no_null=NO_SCALE),
        Variable("first_norm_ratio", "‖h₀‖/⟨‖h‖⟩", "1", "mean norm at position 0 over the mean norm of tokens kept",
                 (0, None), scale="log", no_null=NO_SCALE),
        Variable("mean_share", "‖μ‖²/⟨‖h‖²⟩", "1", "squared norm of the mean over the mean squared norm", (0, 1),
                 no_null="independent tokens would have about 1/n"),
        Variable("excluded_count", "n₀", "1", "tokens at first positions, left out", (0, None), degree=0,
                 no_null="it is a count of what was left out"),
    )  # fmt: skip
    symmetries = OF_STREAMS | {Symmetry.scale}
    exchangeable = "prompt"

    def measure(self, array: Stream, rng: np.random.Generator) -> Reading:
        rows = rows_of(array)
        n, moment = len(rows.points), SecondMoment(rows)
        norms = np.sqrt(moment.norms)
        count, total, square = (moment.rest(rows.sums(values)) for values in (np.ones(n), norms, moment.norms))
        mean = total / count
        variation = np.sqrt(np.maximum(square / count - mean**2, 0.0)) / mean
        share = np.minimum(np.einsum("ij,ij->i", moment.total, moment.total) / count / square, 1.0)
        return {
            "mean_norm": valued(mean[-1], mean[:-1], n, rows.flags, rows.scale),
            "median_norm": Value(float(np.median(norms)) * rows.scale, n=n, flags=rows.flags),
            "norm_variation": valued(variation[-1], variation[:-1], n, rows.flags),
            "first_norm_ratio": _first(array, rows.scale, float(mean[-1])),
            "mean_share": valued(share[-1], share[:-1], n, rows.flags),
            "excluded_count": Value(float(array.excluded), n=n),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        axes = np.eye(8)[np.arange(2400) % 8] * np.where(np.arange(2400) % 24 == 0, 60.0, 3.0)[:, None]
        expected = {
            "mean_norm": (3.0, 1e-12),
            "median_norm": (3.0, 1e-12),
            "norm_variation": (0.0, 1e-7),
            "first_norm_ratio": (20.0, 1e-12),
            # 20 kept tokens of a prompt fall on 8 axes 2 or 3 times: those of positions 0 to 3 are short by one.
            "mean_share": (0.13, 1e-9),
            "excluded_count": (400.0, 0.0),
        }
        yield KnownCase("eight axes", stream_of(axes), expected, "rounding; the variance is a difference")


def _first(stream: Stream, scale: float, mean: float) -> Value | Refusal:
    first = stream.points[stream.position == 0].astype(np.float64) / scale
    if not len(first):
        return Refusal(Flag.too_small, "no prompt has its first position among the points")
    return Value(float(np.linalg.norm(first, axis=1).mean()) / mean, n=len(first))
