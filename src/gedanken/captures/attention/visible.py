"""Which keys a query sees: as intervals where a mask is one (causal, window, padding), else the mask itself."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int

MASKED = -3e4
"""Additive masks lie below: the least finite number of their type, −65504 in half precision. Logits do not."""

_ROWS = 256
"""Rows of a mask that are looked at together, so that no second mask is made."""


@dataclass(frozen=True)
class Visible:
    """Query i of prompt b sees the keys start[b, i] ≤ j < stop[b, i], of those only the `dense` ones if that is given.

    `bias` is added to the logits. Head dimensions are 1 where all heads are alike.
    """

    start: Int[torch.Tensor, "prompt query"]
    stop: Int[torch.Tensor, "prompt query"]
    dense: Bool[torch.Tensor, "prompt _head query key"] | None = None
    bias: Float[torch.Tensor, "_prompt _head _query key"] | None = None


def by_rule(
    prompts: int, queries: int, keys: int, *, causal: bool, window: int | None, device: torch.device
) -> Visible:
    """All keys, or those up to the query's own position, at most `window` of them."""
    place = torch.arange(queries, device=device)
    stop = torch.clamp(place + 1, max=keys) if causal else torch.full_like(place, keys)
    start = torch.clamp(place + 1 - window, min=0) if window else torch.zeros_like(place)
    return Visible(start.expand(prompts, -1), stop.expand(prompts, -1))


def by_tokens(rule: Visible, tokens: Bool[torch.Tensor, "prompt key"]) -> Visible:
    """A rule where keys that are padding are not seen."""
    first, last, whole = _intervals(tokens[:, None])
    if not whole:
        queries = rule.start.shape[1]
        return Visible(rule.start, rule.stop, tokens[:, None, None].expand(-1, 1, queries, -1), rule.bias)
    return Visible(torch.maximum(rule.start, first), torch.minimum(rule.stop, last), bias=rule.bias)


def by_mask(mask: torch.Tensor, prompts: int) -> Visible:
    """From a mask [prompt, head, query, key]: Boolean (true is seen), or added to the logits."""
    mask = mask.expand(prompts, *mask.shape[1:])
    seen = mask if mask.dtype == torch.bool else mask > MASKED
    bias = None if mask.dtype == torch.bool or not _adds(mask) else mask
    start, stop, whole = _intervals(seen[:, 0])
    if whole and (seen.shape[1] == 1 or bool((seen == seen[:, :1]).all())):
        return Visible(start, stop, bias=bias)
    anywhere = torch.zeros_like(start), torch.full_like(stop, seen.shape[-1])
    return Visible(*anywhere, dense=seen, bias=bias)


def _adds(mask: torch.Tensor) -> bool:
    """Whether an additive mask adds anything but −∞."""
    blocks = (mask[:, :, at : at + _ROWS] for at in range(0, mask.shape[2], _ROWS))
    return any(bool(((block > MASKED) & (block != 0)).any()) for block in blocks)


def _intervals(seen: Bool[torch.Tensor, "prompt query key"]) -> tuple[torch.Tensor, torch.Tensor, bool]:
    """First key seen and the one after the last (0 and 0 if none is); whether all in between are seen, in every row."""
    keys, starts, stops, whole = seen.shape[-1], [], [], True
    for at in range(0, seen.shape[1], _ROWS):
        block = seen[:, at : at + _ROWS].to(torch.uint8)
        any_seen = block.amax(-1) > 0
        start = torch.where(any_seen, block.argmax(-1), 0)
        stop = torch.where(any_seen, keys - block.flip(-1).argmax(-1), 0)
        whole = whole and bool((block.sum(-1) == stop - start).all())
        starts.append(start)
        stops.append(stop)
    return torch.cat(starts, 1), torch.cat(stops, 1), whole
