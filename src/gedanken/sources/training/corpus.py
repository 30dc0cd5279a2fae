"""Corpus: text as one row of tokens, some documents held out; a batch is windows that start anywhere."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int

from gedanken.sources.texts.base import Given, Text
from gedanken.sources.texts.open import open_text
from gedanken.sources.training.data import Batch, Data
from gedanken.sources.training.dataset_text import DatasetText
from gedanken.sources.training.randomness import generator
from gedanken.sources.training.recipe import Recipe
from gedanken.sources.training.tokens import BytePairs, Bytes, Tokens
from gedanken.status import Failure


class Corpus(Data):
    """Tokens to train on and tokens held out. The control `shuffled` puts both in random order."""

    def __init__(self, recipe: Recipe, tokens: Tokens, train, held_out, text_hash: str):
        self.recipe, self.tokens, self.text_hash, self.size = recipe, tokens, text_hash, len(train)
        for which, row in (("training text", train), ("held-out text", held_out)):
            if len(row) <= recipe.context:
                raise Failure(
                    f"The {which} has {len(row)} tokens; a context of {recipe.context} needs {recipe.context + 1} at least.",
                    "a longer text, or a smaller context",
                )
        if tokens.vocabulary > recipe.vocabulary:
            raise Failure(
                f"The tokens are numbered to {tokens.vocabulary}, but the model has only {recipe.vocabulary} of them.",
                f"--set vocabulary={tokens.vocabulary}",
            )
        if recipe.control == "shuffled":
            train = generator(recipe.seed, "shuffled").permutation(train)
            held_out = generator(recipe.seed, "shuffled held out").permutation(held_out)
        self._train, self._held_out, self.positions = train, held_out, recipe.context

    @classmethod
    def of(cls, recipe: Recipe, tokenizer: Path | None = None) -> "Corpus":
        """The recipe's text, in its tokens. Raises Failure (see open_data)."""
        used = documents(_text(recipe), recipe.text_limit)
        train, held_out = _split(used, recipe.held_out)
        if recipe.tokens == "bytes":
            tokens = Bytes()
        else:
            tokens = BytePairs.load(tokenizer) if tokenizer else BytePairs.learnt(train, recipe.vocabulary)
        text_hash = Given(recipe.text, used).fingerprint()
        return cls(recipe, tokens, tokens.encode(train), tokens.encode(held_out), text_hash)

    def batch(self, number: int) -> Batch:
        recipe = self.recipe
        rng = generator(recipe.seed, "batch", number)
        return _windows(self._train, rng.integers(0, len(self._train) - recipe.context, recipe.batch), recipe.context)

    def held_out(self, windows: int) -> Iterator[Batch]:
        """Windows side by side, so that none is counted twice."""
        recipe = self.recipe
        starts = np.arange(0, len(self._held_out) - recipe.context, recipe.context)[:windows]
        for first in range(0, len(starts), recipe.batch):
            yield _windows(self._held_out, starts[first : first + recipe.batch], recipe.context)


def documents(text: Text, limit: int) -> list[str]:
    """Documents of a text, in its order: all of them or, beyond `limit` bytes, as many as fit, drawn evenly.

    The choice does not depend on the seed of the run. Raises Failure if the text is empty.
    """
    found = [document for document in text.documents() if document]
    if not found:
        raise Failure(f"The text {text.name} is empty.")
    sizes = np.array([len(document.encode("utf-8", "replace")) for document in found])
    order = generator(0, "documents").permutation(len(found))
    count = max(1, int(np.searchsorted(np.cumsum(sizes[order]), limit, side="right")))
    kept = [found[i] for i in sorted(order[:count])]
    return kept if len(kept) > 1 else [kept[0].encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")]


def _text(recipe: Recipe) -> Text:
    name = recipe.text
    return DatasetText.parse(name, recipe.text_limit) if name.startswith(DatasetText.PREFIX) else open_text(name)


def _split(used: list[str], share: float) -> tuple[list[str], list[str]]:
    """Whole documents drawn evenly, about `share` of the characters; the end of the only document if there is one."""
    if len(used) == 1:
        cut = round(len(used[0]) * (1 - share))
        return [used[0][:cut]], [used[0][cut:]]
    order = generator(0, "held out").permutation(len(used))
    sizes = np.cumsum([len(used[i]) for i in order])
    count = min(max(1, int(np.searchsorted(sizes, share * sizes[-1])) + 1), len(used) - 1)
    chosen = set(order[:count].tolist())
    return [d for i, d in enumerate(used) if i not in chosen], [d for i, d in enumerate(used) if i in chosen]


def _windows(row: Int[np.ndarray, " token"], starts: Int[np.ndarray, " sequence"], context: int) -> Batch:
    both = row[starts[:, None] + np.arange(context + 1)].astype(np.int64)
    return both[:, :-1], both[:, 1:]
