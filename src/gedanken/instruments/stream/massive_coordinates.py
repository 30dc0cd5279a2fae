"""Massive coordinates: the few residual dimensions that hold most of the energy, by index.

What. The coordinates are ordered by mean |h| on the fitted half. massive_energy_share the mean over tokens of the share
of ‖h‖² in the first four, with the first positions kept (`first`) or left out; massive_ratio the largest mean |h| over
the median one; massive_index the coordinate that has it; massive_profile the mean |h| of the first 16 over that
median, by coordinate index. hoyer_massive is what four such coordinates alone, among normal ones, make of a token's
sparsity: [1 − √(2/π)√(1−f) − Σ_top|h|/(√d‖h‖)]/(1 − 1/√d), f their share; to be held against hoyer_sparsity. Unit 1.

Reads. stream: points of the report half; the coordinates are chosen on the fitted half.

Null. On request, every coordinate in a random order of its own: it keeps their sizes, so only what single tokens add
shows. Equal coordinates would have a share of 4/d.

Fails when. There are fewer than six coordinates. With unequal scales the four largest hold more than 4/d without any
being massive.

Reference. Massive activations [@sun2024massive, §2]; outlier dimensions [@kovaleva2021bert].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Symmetry, Value, Variable
from gedanken.instruments.stream import _bases
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream._prompts import OF_COORDINATES, rows_of, valued
from gedanken.instruments.stream._second_moment import SecondMoment
from gedanken.instruments.stream_nulls import STREAM_PERMUTATION
from gedanken.kinds import Kind, Stream
from gedanken.status import Flag, Refusal
from gedanken.theory import hoyer

SHOWN = 16
"""Coordinates in the profile: the most that are ever taken out of a sparsity."""


@final
@dataclass(frozen=True)
class MassiveCoordinates(Instrument):
    """Energy in the `count` largest coordinates and the sparsity they explain; `first` keeps the first positions."""

    count: int = 4
    """As many as are taken for massive in latent-object-permanence, §2.10."""
    first: bool = False

    reads = Kind.stream
    variables = (
        Variable("massive_energy_share", "f", "1", "share of ‖h‖² in the largest coordinates, mean over tokens", (0, 1)),
        Variable("hoyer_massive", "s_MA", "1", "sparsity that the largest coordinates alone explain, mean over tokens",
                 (None, 1)),
        Variable("massive_ratio", "max⟨|h|⟩/med", "1", "largest mean |h| of a coordinate over the median one", (1, None),
                 scale="log", no_null="a permutation of tokens keeps it"),
        Variable("massive_index", "i_max", "1", "coordinate with the largest mean |h|", (0, None),
                 no_null="it is a label"),
        Variable("massive_profile", "⟨|h_i|⟩/med", "1", "mean |h| over its median, by coordinate index", (0, None),
                 scale="log", curve=True, no_null="a permutation of tokens keeps it"),
    )  # fmt: skip
    symmetries = OF_COORDINATES - {Symmetry.col_permutation}
    exchangeable = "prompt"
    data_null = STREAM_PERMUTATION

    @classmethod
    def standard(cls) -> tuple[Instrument, ...]:
        return cls(), cls(first=True)

    def measure(self, array: Stream, rng: np.random.Generator) -> Reading:
        rows = rows_of(array, first=self.first)
        top = np.abs(rows.points[:, _bases.massive(array, self.count)])
        n, d = rows.points.shape
        moment = SecondMoment(rows)
        share = np.minimum(np.sum(top**2, axis=1) / moment.norms, 1.0)
        explained = hoyer.massive(share, top.sum(axis=1) / np.sqrt(moment.norms), d)
        counts, shares, sums = (moment.rest(rows.sums(values)) for values in (np.ones(n), share, explained))
        shares, sums = shares / counts, sums / counts / hoyer.largest(d)
        return {
            "massive_energy_share": valued(shares[-1], shares[:-1], n, rows.flags),
            "hoyer_massive": valued(sums[-1], sums[:-1], n, rows.flags),
            **_profile(array.fit_absolute, array.fit.n),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        # One coordinate at A = 50 among 255 normal ones: f = A²/(A² + 255), and Ω_MA = 0.698 (anchor).
        d, a = 256, 50.0
        rows = rng.standard_normal((2400, d))
        rows[:, 7] = a
        expected = {
            # The three others chosen hold about 3/255 of the rest; the norm fluctuates by 1/√(2·2400·255).
            "massive_energy_share": (a**2 / (a**2 + d - 1), 0.002),
            "hoyer_massive": (0.698 / (1 - 1 / np.sqrt(d)), 0.01),
            "massive_ratio": (a / np.sqrt(2 / np.pi), 0.5),
            "massive_index": (7.0, 0.0),
        }
        case = stream_of(rows)
        order = np.sort(np.argsort(-case.fit_absolute)[:SHOWN])
        # Means of 2,000 |x| spread by 1.7 %, the median of 255 by 0.1 %: at most 6 %, times 62 for the large one.
        expected["massive_profile"] = (np.where(order == 7, a / np.sqrt(2 / np.pi), 1.0), 0.5)
        yield KnownCase("one coordinate at 50", case, expected, "closed form; fluctuation of means")


def _profile(absolute: np.ndarray, n: int) -> Reading:
    median = float(np.median(absolute))
    largest = float(absolute.max(initial=0.0))
    if not largest:
        return dict.fromkeys(("massive_ratio", "massive_index", "massive_profile"), Refusal(Flag.zero_matrix))
    index = int(np.argmax(absolute))
    if median <= np.finfo(float).eps * largest:
        refused = Refusal(Flag.constant, "the median coordinate is zero")
        return {"massive_ratio": refused, "massive_index": Value(float(index), n=n), "massive_profile": refused}
    shown = np.sort(np.argsort(-absolute, kind="stable")[:SHOWN])
    return {
        "massive_ratio": Value(largest / median, n=n),
        "massive_index": Value(float(index), n=n),
        "massive_profile": Curve(shown.astype(float), absolute[shown] / median, n=n),
    }
