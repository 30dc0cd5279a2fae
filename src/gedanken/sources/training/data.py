"""Data: the batch of every step, by its number, and what is held out."""

import abc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int

from gedanken.sources.training.recipe import Recipe
from gedanken.sources.training.tokens import Tokens
from gedanken.status import Failure

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


def open_data(recipe: Recipe, tokenizer: Path | None = None) -> Data:
    """The data of a recipe. tokenizer: the file of a run that goes on (default: learnt afresh).

    Raises Failure if the text cannot be read, is too short, or does not fit the vocabulary or the context.
    """
    from gedanken.sources.training.corpus import Corpus
    from gedanken.sources.training.tasks import Copy, Modular

    match recipe.task:
        case "text":
            return Corpus.of(recipe, tokenizer)
        case "modular":
            return Modular(recipe)
        case "copy":
            return Copy(recipe)
    raise Failure(f"There is no task {recipe.task!r}.")
