"""Prompts: a text as token sequences of bounded length, with their documents, in two halves; and token nulls of them.

A document shorter than the context is one prompt. From longer ones passages are taken, evenly over the documents and at
random places within each, so that prompts depend on each other as little as the text allows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gedanken.sources.texts.base import Text
from gedanken.sources.tokenizers import Tokenizer
from gedanken.status import Failure

LETTERS = 8
"""Characters of a passage for each token of the context: English prose has 4 to 5 in a token, source code 3. A passage
that gives fewer tokens than the context is left out."""


@dataclass(frozen=True)
class Prompts:
    """Token sequences with the document that each comes from, documents in order.

    `special` says which tokens the tokenizer put in; `bytes` is what the tokens after the first of each prompt stand for
    in UTF-8, None where that is unknown.
    """

    tokens: tuple[np.ndarray, ...]
    special: tuple[np.ndarray, ...]
    document: np.ndarray
    bytes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def given(cls, tokens: Sequence[np.ndarray]) -> "Prompts":
        """Token sequences as they are, each its own document. Raises Failure if one is no sequence of token ids."""
        rows = tuple(np.asarray(row) for row in tokens)
        if any(row.ndim != 1 or row.dtype.kind not in "iu" for row in rows):
            raise Failure("Prompts that are given as tokens are sequences of whole numbers.")
        rows = tuple(row.astype(np.int64) for row in rows)
        return checked(cls(rows, tuple(np.zeros(len(row), bool) for row in rows), np.arange(len(rows))))

    @cached_property
    def half(self) -> int:
        """How many prompts fit what must be fitted: those of the first documents, as near to half as documents allow."""
        middle = len(self) / 2
        ends = [place for place in range(1, len(self)) if self.document[place] != self.document[place - 1]]
        return min(ends, key=lambda end: abs(end - middle), default=len(self) // 2)

    @property
    def longest(self) -> int:
        return max(map(len, self.tokens))

    @property
    def count(self) -> int:
        """Tokens in all."""
        return sum(map(len, self.tokens))

    def shuffled(self, rng: np.random.Generator) -> "Prompts":
        """The tokens of each prompt in random order; special tokens keep their places."""
        return self._with(lambda tokens: rng.permutation(tokens))

    def unigram(self, rng: np.random.Generator) -> "Prompts":
        """Every token drawn anew from all tokens of all prompts; special tokens keep their places."""
        pool = np.concatenate([row[~special] for row, special in zip(self.tokens, self.special, strict=True)])
        return replace(self._with(lambda tokens: rng.choice(pool, len(tokens))), bytes=None)

    def _with(self, change) -> "Prompts":
        made = []
        for row, special in zip(self.tokens, self.special, strict=True):
            changed = row.copy()
            changed[~special] = change(row[~special])
            made.append(changed)
        return replace(self, tokens=tuple(made))


def prompts_of(text: Text, tokenizer: Tokenizer, count: int, context: int) -> Prompts:
    """`count` prompts of at most `context` tokens of a text (all that it gives, if those are fewer).

    Raises Failure if the text is empty or gives fewer than two prompts of at least two tokens.
    """
    documents = [document for document in text.documents() if document.strip()]
    if not documents:
        raise Failure(f"The text {text.name} is empty.")
    if context < 2:
        raise Failure(f"A prompt of {context} token has nothing to predict.", "--context 80")
    found, longest = [], 0
    for number, place, passage, whole in _passages(documents, context, len(documents) > count):
        encoded = tokenizer.encode(passage, context)
        longest = max(longest, len(encoded.tokens))
        if len(encoded.tokens) == context or (whole and len(encoded.tokens) > 1):
            found.append((number, place, encoded))
        if len(found) == count:
            break
    if len(found) < 2:
        total = f" (it has {longest} token{'s' * (longest != 1)} in all)" if longest < context else ""
        raise Failure(
            f"The text {text.name} gives {len(found)} prompt{'s' * (len(found) != 1)} of {context} tokens, and a scan needs "
            f"two halves{total}.",
            "a longer text, or a smaller --context",
        )
    found.sort(key=lambda entry: entry[:2])
    sizes = [encoded.predicted_bytes for _, _, encoded in found]
    return checked(
        Prompts(
            tuple(encoded.tokens for _, _, encoded in found),
            tuple(encoded.special for _, _, encoded in found),
            np.array([number for number, _, _ in found]),
            None if None in sizes else np.array(sizes),
        )
    )


def checked(prompts: Prompts) -> Prompts:
    """The prompts. Raises Failure if there are fewer than two or one has nothing to predict."""
    if len(prompts) < 2 or min(map(len, prompts.tokens)) < 2:
        raise Failure("A scan needs two prompts or more, of at least two tokens each.")
    return prompts


def _passages(documents: Sequence[str], context: int, spread: bool) -> Iterator[tuple[int, int, str, bool]]:
    """(document, place in it, passage, whether that is all of it), by rounds over the documents.

    The first round takes one passage of each, the next another of those that have more. With `spread` the documents come
    in random order, else in their own.
    """
    size = LETTERS * context
    # Seeded by a constant: which prompts are taken is part of what `text` means, not of a measurement.
    rng = np.random.default_rng(0)
    order = rng.permutation(len(documents)) if spread else np.arange(len(documents))
    places = {number: rng.permutation(max(1, len(documents[number]) // size)) for number in order}
    for turn in range(max(map(len, places.values()))):
        for number in order:
            if turn < len(places[number]):
                place, document = int(places[number][turn]), documents[number]
                if len(document) < 2 * size and len(places[number]) == 1:
                    yield int(number), 0, document, True
                else:
                    start = _beginning(document, place * size)
                    yield int(number), place, document[start : (place + 1) * size + size // 4], False


def _beginning(document: str, start: int) -> int:
    """The beginning of the next line or word, unless that is far off."""
    if start == 0:
        return 0
    near = document[start : start + 80]
    for sign in ("\n", " "):
        if sign in near:
            return start + near.index(sign) + 1
    return start
