"""Data: the batch of every step, by its number, and what is held out."""

import abc
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from gedanken.sources.training.tokens import Tokens

UNSCORED = -1
"""Target of a position that is not to be predicted."""

Batch = tuple[Int[np.ndarray, "sequence position"], Int[np.ndarray, "sequence position"]]
"""Inputs and targets."""


class Data(abc.ABC):
    """What a model is trained on. `tokens` is None where numbers are not text."""

    tokens: Tokens | None = None
    text_hash: str | None = None
    positions: int
    """Tokens in a sequence."""
    size: int | None = None
    """Tokens to train on, where there is an end to them."""

    @abc.abstractmethod
    def batch(self, number: int) -> Batch:
        """The batch of update `number`, counted from 0: always the same one."""

    @abc.abstractmethod
    def held_out(self, windows: int) -> Iterator[Batch]:
        """At most so many sequences that are never trained on, in batches, always the same ones."""
