"""Loss: how badly the text is predicted, by token and by byte.

What. loss = mean of −ln p over all predicted tokens, in nat/token, at least 0; bits_per_byte = Σ −log₂ p over the UTF-8
bytes of those tokens, in bit/byte, which compares models whose tokenizers differ. Errors are jackknifed over documents,
in at most 64 groups: tokens of one document are not independent.

Reads. surprisal.

Null. None of its own: what a loss is held against are the runs on shuffled and resampled tokens and with random weights.

Fails when. No token is predicted. Bits per byte are refused where the bytes are unknown (tokens given as such, resampled
tokens, a tokenizer that does not tell). A loss on a text that was seen in training says nothing of other text.

Reference. Mean negative log-likelihood [@shannon1951, eq. 1]; bits per byte [@gao2020pile, § 3.1]; jackknife
[@efron1981jackknife, eq. 1.5].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Instrument, KnownCase, Reading, Symmetry, Value, Variable
from gedanken.kinds import Kind, Surprisal
from gedanken.status import Flag, Refusal
from gedanken.theory import jackknife

MOST_GROUPS = 64
"""Groups of documents left out one at a time: the relative error of a standard error from them is 1/√(2·64) = 9 %."""

_NO_NULL = "it is held against other runs: shuffled or resampled tokens, random weights"


@final
@dataclass(frozen=True)
class Loss(Instrument):
    """Mean surprisal by token and by byte."""

    reads = Kind.surprisal
    variables = (
        Variable("loss", "ℒ", "nat/token", "mean −ln p of the predicted tokens", (0, None), 1, no_null=_NO_NULL),
        Variable(
            "bits_per_byte", "BPB", "bit/byte", "Σ −log₂ p of the predicted tokens over their bytes", (0, None), 1,
            no_null=_NO_NULL,
        ),
    )  # fmt: skip
    symmetries = frozenset({Symmetry.scale, Symmetry.row_permutation})
    exchangeable = "document"

    def measure(self, array: Surprisal, rng: np.random.Generator) -> Reading:
        if len(array.nats) == 0:
            raise Refusal(Flag.too_small, "no token is predicted")
        if not np.isfinite(array.nats).all():
            raise Refusal(Flag.non_finite)
        documents = int(array.document.max()) + 1
        group = array.document * min(documents, MOST_GROUPS) // documents
        nats, tokens = np.bincount(group, array.nats), np.bincount(group)
        reading = {"loss": _ratio(nats, tokens, len(array.nats))}
        if array.bytes is None:
            return reading | {"bits_per_byte": Refusal(Flag.no_bytes)}
        number = np.arange(documents) * min(documents, MOST_GROUPS) // documents
        size = np.bincount(number, array.bytes)
        if size.sum() == 0:
            return reading | {"bits_per_byte": Refusal(Flag.too_small, "the predicted tokens stand for no byte")}
        return reading | {"bits_per_byte": _ratio(nats / math.log(2), size, len(array.nats))}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        document = np.repeat(np.arange(4), 25)
        uniform = Surprisal(np.full(100, math.log(50.0)), document, np.full(4, 50))
        yield KnownCase(
            "uniform over 50 tokens of two bytes",
            uniform,
            {"loss": (math.log(50.0), 1e-12), "bits_per_byte": (math.log2(50.0) / 2, 1e-12)},
            "rounding of a hundred additions",
        )
        yield KnownCase(
            "certain", Surprisal(np.zeros(10), np.zeros(10, int)), {"loss": (0.0, 0.0), "bits_per_byte": Flag.no_bytes},
            "exact",
        )  # fmt: skip
        yield KnownCase("nothing", Surprisal(np.zeros(0), np.zeros(0, int)), {"loss": Flag.too_small}, "no token")


def _ratio(sums: Float[np.ndarray, " groups"], sizes: np.ndarray, n: int) -> Value:
    """Σ sums / Σ sizes with its jackknife over groups; without an error where there is one group."""
    value = float(sums.sum() / sizes.sum())
    rest = sizes.sum() - sizes
    if len(sums) < 2 or (rest <= 0).any():
        return Value(value, n=n)
    left_out = (sums.sum() - sums) / rest
    return Value(value, jackknife.stderr(left_out), n=n, left_out=tuple(left_out.tolist()))
