"""Places of attention in a model: the modules that hold queries and keys, by the tables of architectures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from gedanken.captures.blocks import blocks_of
from gedanken.site import Site
from gedanken.sources.architectures.layout import layout
from gedanken.sources.architectures.sizes import sizes
from gedanken.sources.tensor_files.arrays import Arrays
from gedanken.status import Failure

_HOLDS_QUERIES = ("W_Q", "W_QKV", "W_Q_up", "W_Q_down", "W_K", "W_KV")


@dataclass(frozen=True)
class Place:
    """An attention module: its name (None for a layer without one), where its first call stands, and how many heads.

    `passes`: how often it is called in a pass, each time as the next layer.
    """

    module: str | None
    stack: str | None
    layer: int
    block: str
    heads: int | None
    passes: int = 1

    def site(self, call: int, head: int | None) -> Site:
        return Site(self.block, "attention_pattern", self.layer + call, self.stack, head=head)


def places_of(model: torch.nn.Module, config: Mapping[str, Any]) -> list[Place]:
    """Every attention of a model, and every layer that has none. Only names and shapes are looked at.

    Raises Failure if no table knows the model's layers.
    """
    pieces = layout(Arrays.of_module(model).tensors, config).pieces
    blocks = {(block.stack, block.layer): block for block in blocks_of(model, config)}
    known = sizes(config)
    found: dict[tuple, str] = {}
    for piece in pieces:
        site = piece.site
        if site.block in ("attn", "cross_attn") and site.part in _HOLDS_QUERIES:
            # the tensor is MODULE.PROJECTION.weight, or MODULE.in_proj_weight
            depth = 2 if piece.tensor.endswith(".weight") else 1
            found.setdefault((site.stack, site.layer, site.block), piece.tensor.rsplit(".", depth)[0])
    places = []
    for (stack, layer, block), name in found.items():
        own = config.get("decoder_attention_heads") if stack == "decoder" else None
        heads = own or known.get("heads") or _stated_heads(model.get_submodule(name))
        passes = blocks[stack, layer].passes if (stack, layer) in blocks else 1
        places.append(Place(name, stack, layer, block, heads, passes))
    without = [place for place in blocks if (*place, "attn") not in found]
    places += [Place(None, stack, layer, "attn", None) for stack, layer in without]
    if not places:
        raise Failure(f"No table of architectures knows the layers of {type(model).__name__}.")
    return sorted(places, key=lambda place: (place.stack == "decoder", place.layer, place.block))


def _stated_heads(module: torch.nn.Module) -> int | None:
    """What the module itself says, for modules of our own training that come without a configuration."""
    stated = vars(module).get("heads")
    return stated if isinstance(stated, int) else None
