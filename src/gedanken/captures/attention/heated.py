"""Heated attention: a model whose attention logits are divided by τ, all heads or some, while a block lasts.

transformers hands queries to one attention function, where they are divided by τ: for plain dot products that divides the
logits. Soft caps and position biases would not be divided, so modules that have them are refused.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import torch

from gedanken.captures.attention.places import Place
from gedanken.captures.attention.seen import changed_queries
from gedanken.site import Site
from gedanken.status import Failure


@contextmanager
def heated_heads(
    model: torch.nn.Module, tau: float, places: Sequence[Place], heads: Collection[Site] | None = None
) -> Iterator[torch.nn.Module]:
    """The model with attention logits divided by τ: all heads, or those at the sites given. places: from `places_of`.

    Raises Failure for τ ≤ 0, a site that is no head of the model, or attention whose queries cannot be reached.
    """
    if not tau > 0:
        raise Failure(f"A temperature is above zero, and {tau} was asked for.")
    known = {
        place.site(call, head): (place.module, call, head)
        for place in places
        if place.module is not None
        for call in range(place.passes)
        for head in range(place.heads or 0)
    }
    wanted = set(known) if heads is None else set(heads)
    if unknown := wanted - set(known):
        raise Failure(f"{sorted(map(str, unknown))[0]} is no attention head of {type(model).__name__}.")
    by_module: dict[torch.nn.Module, dict[int, list[int]]] = {}
    for module, call, head in (known[site] for site in wanted):
        by_module.setdefault(model.get_submodule(module), {}).setdefault(call, []).append(head)
    with changed_queries(model, by_module, 1 / tau):
        yield model
