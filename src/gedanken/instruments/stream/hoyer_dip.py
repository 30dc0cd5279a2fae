"""Two kinds of tokens: the dip of the distribution of their sparsity.

What. hoyer_dip = the distance sup|F − G| of the distribution F of Ω over tokens from the nearest one G with a single
mode, ∈ [1/(2n), 1/4], unit 1. Two populations of tokens raise it; a skewed one does not. With bimodality_hoyer above
5/9, a dip beyond its null says that the tokens are of two kinds.

Reads. stream: points of the report half, in the bases of hoyer_sparsity.

Null. n independent uniform values, the hardest of all unimodal laws. On request, every coordinate in a random order of
its own.

Fails when. There are fewer than ten rows. Its p takes tokens for independent; those of a prompt are not, so that it is
too small. No error: the dip has no smooth dependence on the rows.

Reference. [@hartigan1985dip, §2]; algorithm [@hartigan1985algorithm].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.nulls import law_band
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream._prompts import OF_COORDINATES
from gedanken.instruments.stream._sparsity import Basis, check_basis, sparsity
from gedanken.instruments.stream_nulls import STREAM_PERMUTATION
from gedanken.kinds import Kind, Stream
from gedanken.status import Flag, Refusal
from gedanken.theory import dip

SMALLEST = 10
"""Rows below which two peaks are no finding."""


@final
@dataclass(frozen=True)
class HoyerDip(Instrument):
    """Dip of Ω over tokens, in one basis of HoyerSparsity."""

    basis: str = "coordinates"
    removed: int = 0
    first: bool = False

    reads = Kind.stream
    variables = (
        Variable(
            "hoyer_dip", "dip Ω", "1", "distance of the law of Ω over tokens from one with a single mode", (0, 0.25)
        ),
    )
    symmetries = OF_COORDINATES
    exchangeable = "prompt"
    data_null = STREAM_PERMUTATION

    def __post_init__(self):
        check_basis(self.basis)

    @classmethod
    def standard(cls) -> tuple[Instrument, ...]:
        return cls(), cls(removed=16), cls(first=True)

    def measure(self, array: Stream, rng: np.random.Generator) -> Reading:
        rows, omega, _ = sparsity(array, Basis(self.basis, self.removed, self.first))
        if len(omega) < SMALLEST:
            raise Refusal(Flag.too_small, f"{len(omega)} rows, where {SMALLEST} are needed")
        if float(omega.var()) < (1e3 * np.finfo(float).eps) ** 2:
            raise Refusal(Flag.constant, "all tokens have one sparsity")
        # Rounded far above rounding noise and far below any spacing, so that equal tokens stay equal.
        return {"hoyer_dip": Value(dip.dip(np.round(omega, 9)), n=len(omega), flags=rows.flags)}

    def null(self, array: Stream, reading: Reading) -> dict[str, NullBand]:
        found = reading["hoyer_dip"]
        if isinstance(found, Refusal):
            return {}
        return {"hoyer_dip": law_band(found.value, dip.UniformDip(found.n), null="uniform")}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        n, d = 2400, 64
        rows = rng.standard_normal((n, d))
        yield KnownCase("normal rows", stream_of(rows), {"hoyer_dip": (0.0, 0.74 / np.sqrt(2000))}, "99.9 % point")
        rows = rows.copy()
        rows[::2, :24] *= 100.0
        # Two atoms of one half each would have 0.25; peaks of some width have less.
        yield KnownCase("two kinds", stream_of(rows), {"hoyer_dip": (0.2, 0.05)}, "two peaks of one half each")
