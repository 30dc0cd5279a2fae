"""Blocks of a running model: which modules they are, and where attention and MLP begin and end in each.

Found from the tables of sources/architectures, which know every matrix by its name: the module that holds W_O is where
attention ends, the one that holds W_in or W_gate is where the MLP begins, and a block is what holds all of a layer.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch

from gedanken.site import BLOCKS
from gedanken.sources.architectures.base import Piece
from gedanken.sources.architectures.layout import layout
from gedanken.sources.tensor_files.arrays import Arrays
from gedanken.status import Failure


@dataclass(frozen=True)
class Block:
    """Names of modules: the block, and in it where attention ends, where the MLP begins and where it ends.

    `layer` is that of its first call. `passes` is how often it is applied in one pass (layers that share weights).
    """

    name: str
    stack: str | None
    layer: int
    width: int
    attention_end: str | None
    mlp_begin: str | None
    mlp_end: str | None
    passes: int = 1


def blocks_of(model: torch.nn.Module, config: Mapping[str, Any]) -> list[Block]:
    """The blocks of a model, in order. Only names and shapes are looked at.

    Raises Failure if no table knows its parameters, or their names are not those of modules.
    """
    pieces = [piece for piece in layout(Arrays.of_module(model).tensors, config).pieces if piece.site.block in BLOCKS]
    layers: dict[tuple[str | None, int], list[Piece]] = defaultdict(list)
    for piece in pieces:
        layers[piece.site.stack, piece.site.layer].append(piece)
    found = [_block(stack, layer, group) for (stack, layer), group in layers.items()]
    modules = {name for name, _ in model.named_modules()}
    if not found or any(block.name not in modules for block in found):
        raise Failure(
            f"No table of architectures knows the layers of {type(model).__name__}, so its stream cannot be seen."
        )
    shared = config.get("num_hidden_layers", 0)
    if any("shared" in piece.notes for piece in pieces) and shared > len(found):
        found = [Block(**(vars(block) | {"passes": shared // len(found)})) for block in found]
    return sorted(found, key=lambda block: (block.stack == "decoder", block.layer))


def _block(stack: str | None, layer: int, group: Sequence[Piece]) -> Block:
    parts = {(piece.site.block, piece.site.part): piece for piece in group}
    name = _common([_module(piece) for piece in group])
    out, end = parts.get(("attn", "W_O")), parts.get(("mlp", "W_out"))
    mlp = [piece for piece in group if piece.site.block == "mlp"]
    begins = next((piece for piece in mlp if piece.site.part in ("W_gate", "W_in", "W_gate_in")), None)
    if any(piece.site.expert is not None or piece.site.part == "W_router" for piece in mlp):
        # Experts have no one module that begins or ends them but the whole MLP.
        whole = ".".join([name, _module(mlp[0])[len(name) + 1 :].split(".")[0]])
        first = last = whole
    else:
        first, last = begins and _module(begins), end and _module(end)
    width = next((piece.rows for piece in (out, end) if piece), group[0].cols)
    return Block(name, stack, layer, width, out and _module(out), first, last)


def _module(piece: Piece) -> str:
    return piece.tensor.rpartition(".")[0]


def _common(names: Sequence[str]) -> str:
    """The longest beginning that all names share, up to its last number: `model.layers.3`."""
    split = [name.split(".") for name in names]
    shared = [words[0] for words in takewhile(lambda words: len(set(words)) == 1, zip(*split, strict=False))]
    while shared and not shared[-1].isdigit():
        shared.pop()
    return ".".join(shared)
