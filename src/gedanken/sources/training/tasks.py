"""Tasks with a known answer: modular addition, and copying."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from gedanken.sources.training.data import UNSCORED, Batch, Data
from gedanken.sources.training.randomness import generator
from gedanken.sources.training.recipe import Recipe
from gedanken.status import Failure


class Modular(Data):
    """a + b = c mod p as the tokens a, +, b, =; only the answer after = is scored [@power2022grokking].

    Half of the p² pairs are trained on, the others held out; the split does not depend on the seed.
    """

    positions = 4
    TRAINED = 0.5
    """Share of the pairs: where generalisation comes late but does come [@power2022grokking, fig. 1]."""

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        p = recipe.modulus
        if recipe.vocabulary < p + 2:
            raise Failure(
                f"Sums modulo {p} take {p + 2} tokens, but the model has only {recipe.vocabulary}.",
                f"--set vocabulary={p + 2}",
            )
        if recipe.context < self.positions:
            raise Failure(f"A sum takes a context of {self.positions} tokens.", f"--set context={self.positions}")
        pairs = generator(0, "modular").permutation(p * p)
        self.size = round(self.TRAINED * p * p)
        self._trained, self._held_out = pairs[: self.size], pairs[self.size :]

    def batch(self, number: int) -> Batch:
        rng = generator(self.recipe.seed, "batch", number)
        return self._sums(self._trained[rng.integers(0, self.size, self.recipe.batch)])

    def held_out(self, windows: int) -> Iterator[Batch]:
        pairs = self._held_out[:windows]
        for first in range(0, len(pairs), self.recipe.batch):
            yield self._sums(pairs[first : first + self.recipe.batch])

    def _sums(self, pairs: Int[np.ndarray, " pair"]) -> Batch:
        p = self.recipe.modulus
        a, b = np.divmod(pairs.astype(np.int64), p)
        inputs = np.stack([a, np.full_like(a, p), b, np.full_like(a, p + 1)], axis=1)
        targets = np.full_like(inputs, UNSCORED)
        targets[:, -1] = (a + b) % p
        return inputs, targets


class Copy(Data):
    """Random tokens, a separator (token 0), then the same tokens again, of which all are scored."""

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        self.length = recipe.context // 2
        """Tokens to copy: with the separator, and without the last, they fill the context."""
        self.positions = 2 * self.length

    def batch(self, number: int) -> Batch:
        return self._sequences(generator(self.recipe.seed, "batch", number), self.recipe.batch)

    def held_out(self, windows: int) -> Iterator[Batch]:
        for first in range(0, windows, self.recipe.batch):
            yield self._sequences(generator(0, "copies held out", first), min(self.recipe.batch, windows - first))

    def _sequences(self, rng: np.random.Generator, count: int) -> Batch:
        word = rng.integers(1, self.recipe.vocabulary, (count, self.length))
        whole = np.concatenate([word, np.zeros((count, 1), word.dtype), word], axis=1)
        inputs, targets = whole[:, :-1], whole[:, 1:].copy()
        targets[:, : self.length] = UNSCORED
        return inputs, targets
