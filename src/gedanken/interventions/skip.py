"""Skip: a model with some of its blocks replaced by the identity, and what each such loss is.

For one batch the whole model runs once and keeps the stream that enters every block. A set of skipped blocks then begins
at the last block that any earlier set reached with the same blocks skipped before it, so that only what differs is run.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from gedanken.captures.blocks import Block, blocks_of
from gedanken.captures.forward import is_pretrained
from gedanken.captures.loss import surprisal
from gedanken.status import Failure

Layers = tuple[int, ...]
Place = tuple[Layers, int]
"""The blocks skipped before a block, and the block: where a stream stands."""


class Skipper:
    """Runs a decoder with blocks skipped: resid_post = resid_pre [@men2024shortgpt; @gromov2024unreasonable].

    Raises Failure if the blocks cannot be found, are in two stacks, or share their weights.
    """

    def __init__(self, model: torch.nn.Module):
        self.model = model
        self.blocks = decoder_blocks(model)
        self._modules = [model.get_submodule(block.name) for block in self.blocks]
        self._entering: list[torch.Tensor] = []
        self._widths: list[int] = []

    def __len__(self) -> int:
        return len(self.blocks)

    def surprisals(
        self,
        tokens: Int[torch.Tensor, "prompt position"],
        mask: Bool[torch.Tensor, "prompt position"],
        removals: Sequence[Collection[int]],
    ) -> list[Float[torch.Tensor, "prompt position-1"]]:
        """−ln p of every token (captures.loss.surprisal): of the whole model first, then with each set of blocks skipped.

        Raises Failure for a block that does not exist.
        """
        wanted = [tuple(sorted(set(removed))) for removed in removals]
        for removed in wanted:
            if not set(removed) <= set(range(len(self))):
                raise Failure(f"There are blocks 0 to {len(self) - 1}, and {list(removed)} were to be removed.")
        found = {(): self.whole(tokens, mask)}
        kept = {((), layer): stream for layer, stream in enumerate(self._entering)}
        starts = {(removed[:i], layer) for removed in wanted for i, layer in enumerate(removed)}
        for removed in by_prefix(set(wanted) - {()}, len(self)):
            kept = {place: stream for place, stream in kept.items() if place[0] == removed[: len(place[0])]}
            found[removed] = self._without(tokens, mask, removed, kept, starts)
        return [found[()], *(found[removed] for removed in wanted)]

    def whole(
        self, tokens: Int[torch.Tensor, "prompt position"], mask: Bool[torch.Tensor, "prompt position"]
    ) -> Float[torch.Tensor, "prompt position-1"]:
        """The surprisal of the unchanged model; keeps the stream that enters each block."""
        self._entering, self._widths = [], []

        def keep(module, args, kwargs, output):
            self._entering.append(_stream(args, kwargs))
            self._widths.append(len(output) if isinstance(output, tuple) else 0)

        hooks = [module.register_forward_hook(keep, with_kwargs=True) for module in self._modules]
        try:
            return surprisal(self.model, tokens, mask)
        finally:
            for hook in hooks:
                hook.remove()

    def stream(self) -> list[Float[torch.Tensor, "prompt position d"]]:
        """What entered each block in the last whole pass."""
        return self._entering

    def _without(
        self, tokens, mask, removed: Layers, kept: dict[Place, torch.Tensor], starts: Collection[Place]
    ) -> torch.Tensor:
        """From the last block on whose stream is kept; keeps the streams at which later sets start."""
        first = max(layer for i, layer in enumerate(removed) if (removed[:i], layer) in kept)
        handed = kept[removed[: removed.index(first)], first]

        def keep(layer: int, stream: torch.Tensor) -> None:
            place = removed[: bisect_left(removed, layer)], layer
            if layer > first and place in starts:
                kept[place] = stream

        identities = {
            module: self._identity(layer, handed if layer == first else None)
            for layer, module in enumerate(self._modules)
            if layer <= first or layer in removed
        }
        with torch.no_grad(), _replaced(identities), self._watched(keep):
            return surprisal(self.model, tokens, mask)

    @contextmanager
    def _watched(self, keep: Callable[[int, torch.Tensor], None]) -> Iterator[None]:
        """`keep` is told the number of each block that runs, and the stream that enters it."""

        def watcher(layer: int):
            return lambda module, args, kwargs: keep(layer, _stream(args, kwargs))

        hooks = [
            module.register_forward_pre_hook(watcher(layer), with_kwargs=True)
            for layer, module in enumerate(self._modules)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _identity(self, layer: int, kept: torch.Tensor | None) -> Callable[..., Any]:
        """A forward that hands on the stream (or `kept` instead of it), in the form that the block returns."""
        width = self._widths[layer]

        def forward(*args, **kwargs):
            stream = _stream(args, kwargs) if kept is None else kept
            return (stream, *([None] * (width - 1))) if width else stream

        return forward


def by_prefix(sets: Iterable[Layers], layers: int) -> list[Layers]:
    """Sets of blocks, each sorted, in an order in which those that share their first blocks follow one another, and
    those that go on unchanged for longest come first: they pass through all streams at which the others start."""
    return sorted(sets, key=lambda removed: (*removed, layers), reverse=True)


def decoder_blocks(model: torch.nn.Module) -> list[Block]:
    """The blocks of a model that has one stack of them. Raises Failure for any other."""
    blocks = blocks_of(model, model.config.to_dict() if is_pretrained(model) else {})
    if len({block.stack for block in blocks}) > 1:
        raise Failure(f"{type(model).__name__} has two stacks of blocks; only models with one can be pruned.")
    if any(block.passes > 1 for block in blocks):
        raise Failure(f"The blocks of {type(model).__name__} share their weights, so none can be removed alone.")
    return blocks


def _stream(args: tuple, kwargs: dict) -> torch.Tensor:
    return args[0] if args else kwargs["hidden_states"]


@contextmanager
def _replaced(forwards: dict[torch.nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Modules with another forward, for a while."""
    for module, forward in forwards.items():
        module.forward = forward
    try:
        yield
    finally:
        for module in forwards:
            del module.forward


def block_influence(
    stream: Sequence[Float[torch.Tensor, "prompt position d"]], mask: Bool[torch.Tensor, "prompt position"]
) -> Float[np.ndarray, "layer layer"]:
    """1 − mean cosine between the streams that enter block i and block j > i, over the tokens; 0 elsewhere.

    Row i, column i+1 is the block influence of ShortGPT [@men2024shortgpt, eq. 1]; column i+n the distance that n
    contiguous blocks from i go [@gromov2024unreasonable, §3].
    """
    kept = [torch.nn.functional.normalize(state[mask].double(), dim=-1) for state in stream]
    found = np.zeros((len(kept), len(kept)))
    for i, one in enumerate(kept):
        for j in range(i + 1, len(kept)):
            found[i, j] = 1.0 - float((one * kept[j]).sum(dim=-1).mean())
    return found
