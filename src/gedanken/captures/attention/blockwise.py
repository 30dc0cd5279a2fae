"""Sweeps over temperatures, block by block of keys: never an array of queries × keys.

Temperatures that are halves of each other share exponentials, e^{2x} = (e^x)². Within a block the sums are of x = z − m,
m the row's largest logit in the block: then (⟨x⟩²)/Var x ≤ 1/p(m) ≤ the block's length, so that S₂/S₀ − (S₁/S₀)² loses at
most a factor of that length (KEYS) in precision; blocks are merged by their means and deviations.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from gedanken.theory.row_sums import Sweep

KEYS = 512
"""Keys of a block."""

ENTRIES = {"cpu": 1 << 17, "cuda": 1 << 23}
"""Row–key pairs in a block: on a CPU those whose four exponentials at a time stay near the cache, on a GPU those that
fill it."""

Logits = Callable[[slice, slice], Float[torch.Tensor, "head row key"]]
"""Logits of some rows and keys, all of them, seen or not: an array of its own, to be written to."""


@dataclass(frozen=True)
class Rows:
    """Rows to sweep: which keys each of them sees (start ≤ j < stop, and `dense` where that is given)."""

    start: Int[torch.Tensor, " row"]
    stop: Int[torch.Tensor, " row"]
    dense: Bool[torch.Tensor, "_head row key"] | None = None


def products(
    query: Float[torch.Tensor, "head row d"],
    key: Float[torch.Tensor, "kv_head key d"],
    scale: float,
    softcap: float | None = None,
    bias: Float[torch.Tensor, "_head _row key"] | None = None,
) -> Logits:
    """Logits of queries and keys, computed block by block, in single precision at least.

    Consecutive query heads share a key head.
    """
    kind = torch.promote_types(query.dtype, torch.float32)
    heads, kv_heads = len(query), len(key)
    scaled, turned = query.to(kind) * scale, key.to(kind).transpose(1, 2)

    def logits(rows: slice, keys: slice) -> torch.Tensor:
        block = scaled[:, rows]
        grouped = block.reshape(kv_heads, -1, block.shape[-1])
        z = torch.bmm(grouped, turned[..., keys]).view(heads, block.shape[1], -1)
        if softcap is not None:
            z = z.div_(softcap).tanh_().mul_(softcap)
        if bias is not None:
            z = z.add_(bias[:, rows if bias.shape[1] > 1 else slice(None), keys])
        return z

    return logits


def sweep(
    logits: Logits,
    heads: int,
    rows: Rows,
    inverse_temperatures: Float[np.ndarray, " b"],
    keys: int = KEYS,
    entries: int | None = None,
) -> Sweep:
    """The sweep of every head and row, in float64; the first inverse temperature must be 0.

    Memory is that of one block (`entries` pairs, five numbers each) beside the result.
    """
    device = rows.start.device
    entries = entries or ENTRIES["cuda" if device.type == "cuda" else "cpu"]
    levels = _levels(tuple(inverse_temperatures.tolist()))
    b = torch.tensor(inverse_temperatures, dtype=torch.float64, device=device)
    found, at = [], 0
    starts, stops = rows.start.tolist(), rows.stop.tolist()
    while at < len(starts):
        end, low, high = at + 1, starts[at], stops[at]
        while end < len(starts):
            wider = min(low, starts[end]), max(high, stops[end])
            if heads * (end + 1 - at) * min(keys, wider[1] - wider[0]) > entries:
                break
            end, (low, high) = end + 1, wider
        total = _Running.empty(heads, end - at, b)
        for first in range(low, high, keys):
            block = slice(first, min(first + keys, high))
            z = logits(slice(at, end), block)
            total.add(*_block(z, _hidden(rows, slice(at, end), block, starts, stops), b, levels))
        found.append(total)
        at = end
    return Sweep(*(np.concatenate([part.array(name) for part in found], axis=1) for name in Sweep._fields))


def _hidden(rows: Rows, at: slice, keys: slice, starts: list[int], stops: list[int]) -> torch.Tensor | None:
    """Which pairs of a block are not seen, None if all are."""
    inside = max(starts[at]) <= keys.start and min(stops[at]) >= keys.stop
    if inside and rows.dense is None:
        return None
    place = torch.arange(keys.start, keys.stop, device=rows.start.device)
    hidden = (place < rows.start[at, None]) | (place >= rows.stop[at, None])
    return hidden[None] if rows.dense is None else hidden[None] | ~rows.dense[:, at, keys]


@lru_cache(maxsize=8)
def _levels(inverse_temperatures: tuple[float, ...]) -> list[tuple[list[int], list[int]]]:
    """Inverse temperatures (but the first) in the order of their exponentials: those that are no double of another, then
    the doubles of those, and so on. For each level their places, and the places in the level before that are squared."""
    left = list(range(1, len(inverse_temperatures)))
    doubles = {
        j: i
        for j in left
        for i in left
        if i != j and math.isclose(inverse_temperatures[j], 2 * inverse_temperatures[i], rel_tol=1e-14)
    }
    levels = [([j for j in left if j not in doubles], [])]
    while following := [j for j in left if doubles.get(j) in levels[-1][0]]:
        levels.append((following, [levels[-1][0].index(doubles[j]) for j in following]))
    return levels


def _block(
    z: torch.Tensor, hidden: torch.Tensor | None, b: torch.Tensor, levels: list
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Peak and second logit, and weight, mean and deviation at every inverse temperature, in float64."""
    heads, count, keys = z.shape
    if hidden is not None:
        z.masked_fill_(hidden, -torch.inf)
    peak = z.amax(-1)
    top = z == peak[..., None]
    second = torch.where(top.sum(-1) > 1, peak, z.masked_fill(top, -torch.inf).amax(-1))
    x = z.sub_(torch.where(torch.isfinite(peak), peak, 0.0)[..., None]).view(-1, keys)
    features = torch.empty(len(x), 3, keys, dtype=x.dtype, device=x.device)
    features[:, 0] = 1.0
    features[:, 1] = x
    if hidden is not None:
        hidden = hidden.expand(heads, count, keys).reshape(-1, keys)
        features[:, 0].masked_fill_(hidden, 0.0)
        features[:, 1].masked_fill_(hidden, 0.0)
    torch.mul(features[:, 1], features[:, 1], out=features[:, 2])
    sums = torch.empty(len(x), 3, len(b), dtype=torch.float64, device=x.device)
    sums[..., 0] = features.sum(-1)
    powers = None
    for places, squared in levels:
        if powers is None:
            powers = torch.mul(x, b[places].to(x.dtype)[:, None, None]).exp_()
        else:
            powers = powers[squared] if len(squared) != len(powers) else powers
            torch.mul(powers, powers, out=powers)
        sums[..., places] = torch.bmm(features, powers.permute(1, 2, 0)).double()
    weight, first, squares = (sums[:, i].view(heads, count, -1) for i in range(3))
    mean = first / torch.where(weight > 0, weight, 1.0)
    return peak.double(), second.double(), weight, mean, (squares - mean * first).clamp_(min=0.0)


@dataclass
class _Running:
    """A sweep that grows: `row_sums.merged` on a device, in place of a copy for every block."""

    b: torch.Tensor
    peak: torch.Tensor
    second: torch.Tensor
    weight: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor
    started: bool = False

    @classmethod
    def empty(cls, heads: int, rows: int, b: torch.Tensor) -> "_Running":
        nothing = torch.full((heads, rows), -torch.inf, dtype=torch.float64, device=b.device)
        zeros = (torch.zeros(heads, rows, len(b), dtype=torch.float64, device=b.device) for _ in range(3))
        return cls(b, nothing, nothing.clone(), *zeros)

    def add(self, peak, second, weight, mean, deviation) -> None:
        if not self.started:
            self.peak, self.second, self.weight, self.mean, self.deviation = peak, second, weight, mean, deviation
            self.started = True
            return
        top = torch.maximum(self.peak, peak)
        self.second = torch.maximum(torch.minimum(self.peak, peak), torch.maximum(self.second, second))
        drops = [torch.where(torch.isfinite(part), part - top, 0.0)[..., None] for part in (self.peak, peak)]
        factors = [torch.exp(drop * self.b) for drop in drops]
        old, new = self.weight * factors[0], weight * factors[1]
        self.peak, self.weight = top, old + new
        share = new / torch.where(self.weight > 0, self.weight, 1.0)
        apart = mean + drops[1] - self.mean - drops[0]
        self.deviation = self.deviation * factors[0] + deviation * factors[1] + apart**2 * old * share
        self.mean = self.mean + drops[0] + apart * share

    def array(self, name: str) -> np.ndarray:
        return vars(self)[name].cpu().numpy()
