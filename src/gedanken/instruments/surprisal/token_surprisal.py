"""Token surprisal: −ln p of the first tokens of a text, one by one, to be read beside the tokens themselves.

What. token_surprisal = −ln p of each of the first SHOWN predicted tokens, in nat, at least 0, in the order of the prompts.

Reads. surprisal.

Null. None for single tokens: the run on shuffled tokens shows what order is worth.

Fails when. No token is predicted. The first tokens of a prompt have little before them and are surprising for that reason.

Reference. Information of an event [@shannon1948mathematical, § 6].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Symmetry, Variable
from gedanken.kinds import SHOWN, Kind, Surprisal
from gedanken.status import Flag, Refusal


@final
@dataclass(frozen=True)
class TokenSurprisal(Instrument):
    """The first surprisals, one by one."""

    reads = Kind.surprisal
    variables = (
        Variable(
            "token_surprisal", "−ln p", "nat", "−ln p of the first predicted tokens, against the number of the token",
            (0, None), 1, curve=True, no_null="a single token has no distribution to be held against",
        ),
    )  # fmt: skip
    symmetries = frozenset({Symmetry.scale})
    exchangeable = ""

    def measure(self, array: Surprisal, rng: np.random.Generator) -> Reading:
        shown = array.nats[:SHOWN]
        if len(shown) == 0:
            raise Refusal(Flag.too_small, "no token is predicted")
        if not np.isfinite(shown).all():
            raise Refusal(Flag.non_finite)
        return {"token_surprisal": Curve(np.arange(len(shown), dtype=float), shown, n=len(shown))}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        nats = np.array([0.5, 1.5, 0.0])
        yield KnownCase("three tokens", Surprisal(nats, np.zeros(3, int)), {"token_surprisal": (nats, 0.0)}, "copied")
