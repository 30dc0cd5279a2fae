"""Activations: the residual stream before, within and after every block, and what attention and MLP add to it.

`resid_pre` of layer 0 is what enters the first block, `resid_post` what leaves a block (the last one before the final
norm, and the next block's `resid_pre`, which is not taken twice), `resid_mid` the stream between attention and MLP. In a
block that normalises after adding, the stream is what the norms give. `attn_out` and `mlp_out` are what is added, after
a norm of their own where the model has one. A block that adds both at once has no `resid_mid`.

Which tensor is which is read off the pass itself: what the MLP reads is, or was normalised from, the stream between.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gedanken.captures.base import Capture
from gedanken.captures.blocks import Block
from gedanken.captures.forward import Batch, Observer, each
from gedanken.captures.stream_sums import StreamSums
from gedanken.kinds import FIRST_POSITIONS, Kind, Moments, Stream, Trajectory
from gedanken.site import Site
from gedanken.sources.prompts import Prompts
from gedanken.status import Flag, Refusal

RESERVOIR = 4096
"""Tokens kept as points at most."""

TOGETHER = 16
"""Sites summed at a time, in the midst of the pass: enough to keep every core busy, few enough that most of them are still
in the cache."""

_OF_STATE = frozenset({Kind.stream, Kind.points, Kind.moments, Kind.spectrum})
_OF_SUMS = frozenset({Kind.spectrum})


@dataclass
class _Call:
    """One call of a block while it runs: the tensors that tell which is which, held so that none is freed before."""

    layer: int
    entered: torch.Tensor
    norms: dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    attention: torch.Tensor | None = None
    mlp: torch.Tensor | None = None
    read: torch.Tensor | None = None
    """What the MLP reads, and `before`, what that was normalised from, if it was: copies, as something may be added to
    them in place, while it is not known which of the two is the stream."""
    before: torch.Tensor | None = None


@dataclass(frozen=True)
class _Passing:
    """The batch in hand, on the host: `kept` are its rows that count, `excluded` how many at first positions do not."""

    mask: torch.Tensor
    kept: torch.Tensor
    excluded: int
    lengths: list[int]
    prompts: np.ndarray
    half: str
    device: torch.device

    @classmethod
    def of(cls, batch: Batch) -> "_Passing":
        mask = batch.mask.cpu()
        late = torch.arange(mask.shape[1]).expand_as(mask) >= FIRST_POSITIONS
        kept = torch.nonzero((mask & late).reshape(-1))[:, 0]
        lengths = mask.sum(dim=1).tolist()
        return cls(mask, kept, sum(lengths) - len(kept), lengths, batch.prompts, batch.half, batch.tokens.device)


class _Place:
    """What is kept of one site: of a state everything, elsewhere the sums of the second half alone."""

    def __init__(self, width: int, rows: int, state: bool):
        self.report, self.state = StreamSums(width), state
        self.fit, self.excluded = StreamSums(width, absolute=True), 0
        self.points = np.full((rows, width), np.nan, np.float32) if state else np.zeros((0, width), np.float32)


class StreamObserver(Observer):
    """Sums at every wanted site of the given blocks; at the states (what enters the first block and what leaves each) also
    those of the first half, and a reservoir of points."""

    def __init__(self, blocks: list[Block], prompts: Prompts, wanted: Callable[[Site], bool], dtype: str):
        self._blocks, self._dtype = blocks, dtype
        self._kept_tokens = sum(max(0, len(row) - FIRST_POSITIONS) for row in prompts.tokens[prompts.half :])
        self._start, self.prompt, self.position = _reservoir(prompts)
        self._stacks = {block.stack: block.width for block in blocks}
        self._layers = {stack: sum(b.passes for b in blocks if b.stack == stack) for stack in self._stacks}
        self._places: dict[Site, _Place] = dict.fromkeys(
            site for site in self._sites() if wanted(site) or _on_wanted_path(site, wanted)
        )
        self.forget()
        self._wanted = wanted
        self._handles: list[Any] = []
        self._batch: _Passing | None = None
        self._staged: dict[Site, torch.Tensor] = {}
        self._rooms: list[torch.Tensor] = []
        self._norm_after: dict[str, bool] = {}
        self._open: dict[str, _Call] = {}
        self._count: dict[str | None, int] = dict.fromkeys(self._stacks, 0)

    def forget(self) -> None:
        for site in self._places:
            self._places[site] = _Place(self._stacks[site.stack], len(self.prompt), _is_state(site))
        self._seen = dict.fromkeys(self._places, False)

    def _sites(self) -> Iterator[Site]:
        for stack, layers in self._layers.items():
            blocks = [block for block in self._blocks if block.stack == stack]
            yield Site("resid", "resid_pre", 0, stack)
            for layer in range(layers):
                block = blocks[layer if len(blocks) == layers else 0]
                if block.attention_end:
                    yield Site("attn", "attn_out", layer, stack)
                if block.attention_end and block.mlp_begin:
                    yield Site("resid", "resid_mid", layer, stack)
                if block.mlp_end:
                    yield Site("mlp", "mlp_out", layer, stack)
                yield Site("resid", "resid_post", layer, stack)

    # hooks

    def attach(self, model: torch.nn.Module) -> None:
        modules = dict(model.named_modules())
        for block in self._blocks:
            self._attach_block(block, modules)

    def detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles, self._rooms, self._batch = [], [], None
        self._staged.clear()
        self._open.clear()

    def begin(self, batch: Batch) -> None:
        self._batch = _Passing.of(batch)
        self._staged, self._open, self._count = {}, {}, dict.fromkeys(self._stacks, 0)

    def _attach_block(self, block: Block, modules: Mapping[str, torch.nn.Module]) -> None:
        add, inside = self._handles.append, modules[block.name]
        add(inside.register_forward_pre_hook(lambda _, args, kw: self._enter(block, args, kw), with_kwargs=True))
        for module in inside.modules():
            if _is_norm(module):
                add(module.register_forward_hook(lambda _, args, out: self._norm(block, args, out)))
        if block.attention_end:
            add(modules[block.attention_end].register_forward_hook(lambda _, args, out: self._attention(block, out)))
        if block.mlp_begin:
            add(
                modules[block.mlp_begin].register_forward_pre_hook(
                    lambda _, args, kw: self._mlp_begins(block, args, kw), with_kwargs=True
                )
            )
        if block.mlp_end:
            add(modules[block.mlp_end].register_forward_hook(lambda _, args, out: self._mlp_ends(block, out)))
        add(inside.register_forward_hook(lambda _, args, out: self._leave(block, out)))

    def _enter(self, block: Block, args: tuple, kwargs: dict) -> None:
        layer = self._count[block.stack]
        self._count[block.stack] += 1
        call = self._open[block.name] = _Call(layer, _first((*args, *kwargs.values())))
        if layer == 0:
            self._stage(Site("resid", "resid_pre", 0, block.stack), call.entered)

    def _norm(self, block: Block, args: tuple, out: torch.Tensor) -> None:
        call = self._open[block.name]
        call.norms[_memory(out)] = args[0], out
        if call.attention is not None and _memory(args[0]) == _memory(call.attention):
            self._stage(Site("attn", "attn_out", call.layer, block.stack), out)
        if call.mlp is not None and _memory(args[0]) == _memory(call.mlp):
            self._stage(Site("mlp", "mlp_out", call.layer, block.stack), out)

    def _attention(self, block: Block, out: Any) -> None:
        call = self._open[block.name]
        call.attention = _first((out,))
        self._stage(Site("attn", "attn_out", call.layer, block.stack), call.attention)

    def _mlp_begins(self, block: Block, args: tuple, kwargs: dict) -> None:
        call = self._open[block.name]
        read = _first((*args, *kwargs.values()))
        norm = call.norms.get(_memory(read))
        stream = norm[0] if norm else read
        site = Site("resid", "resid_mid", call.layer, block.stack)
        if not self._takes(site) or _memory(stream) == _memory(call.entered):
            return
        if block.name in self._norm_after:
            self._stage(site, read if self._norm_after[block.name] else stream)
        else:
            call.read, call.before = read.clone(), stream.clone()

    def _mlp_ends(self, block: Block, out: Any) -> None:
        call = self._open[block.name]
        call.mlp = _first((out,))
        self._stage(Site("mlp", "mlp_out", call.layer, block.stack), call.mlp)

    def _leave(self, block: Block, out: Any) -> None:
        call, left = self._open.pop(block.name), _first((out,))
        self._stage(Site("resid", "resid_post", call.layer, block.stack), left)
        # A block that ends in a norm normalises after adding: there the stream itself is normalised.
        self._norm_after[block.name] = _memory(left) in call.norms
        if call.read is not None:
            mid = call.read if self._norm_after[block.name] else call.before
            self._stage(Site("resid", "resid_mid", call.layer, block.stack), mid)
        if len(self._staged) >= TOGETHER:
            self._sum()

    def _takes(self, site: Site) -> bool:
        """Whether anything of this batch is kept of a site: of the first half states are, and between batches nothing."""
        if self._batch is None or site not in self._places:
            return False
        return self._places[site].state or self._batch.half == "report"

    def _stage(self, site: Site, tensor: torch.Tensor) -> None:
        """Copy into room that is kept: new memory would cost as much as the copying. A later tensor takes the place of an
        earlier one of the same site."""
        if not self._takes(site):
            return
        wide = torch.float64 if tensor.dtype == torch.float64 else torch.float32
        at = list(self._staged).index(site) if site in self._staged else len(self._staged)
        self._rooms += [torch.empty(0)] * (at + 1 - len(self._rooms))
        room = self._rooms[at]
        if len(room) < tensor.numel() or (room.dtype, room.device) != (wide, tensor.device):
            room = self._rooms[at] = torch.empty(tensor.numel(), dtype=wide, device=tensor.device)
        self._staged[site] = room[: tensor.numel()].view(tensor.shape).copy_(tensor.detach())

    # sums

    def batch(self, batch: Batch) -> None:
        self._sum()
        self._batch = None

    def _sum(self) -> None:
        """Add what is staged. A tensor that does not have one row of the stream's width for each token is no part of the
        stream, and is left out."""
        batch, staged, self._staged = self._batch, self._staged, {}

        def take(entry: tuple[Site, torch.Tensor]) -> None:
            site, tensor = entry
            width = self._stacks[site.stack]
            if tensor.numel() != batch.mask.numel() * width:
                return
            self._seen[site] = True
            rows, at = tensor.reshape(-1, width), self._places[site]
            if batch.half == "report":
                at.report.add(rows, batch.kept.to(rows.device))
            if at.state and batch.half == "fit":
                at.fit.add(rows, batch.kept.to(rows.device))
            elif at.state:
                at.excluded += batch.excluded
                self._keep(at.points, tensor.reshape(*batch.mask.shape, width), batch)

        each(take, staged.items(), batch.device)

    def _keep(self, points: np.ndarray, tensor: torch.Tensor, batch: "_Passing") -> None:
        for i, (prompt, length) in enumerate(zip(batch.prompts, batch.lengths, strict=True)):
            start = self._start.get(int(prompt))
            if start is not None:
                points[start : start + length] = tensor[i, :length].cpu().numpy()

    # reading

    def captures(self) -> list[Capture]:
        found = [self._capture(site) for site in self._places if self._wanted(site)]
        paths = [Site("stream", "resid_post", stack=stack) for stack in self._layers]
        return found + [self._path_capture(site) for site in paths if self._wanted(site)]

    def _capture(self, site: Site) -> Capture:
        width, state = self._stacks[site.stack], _is_state(site)
        return Capture(
            site=site,
            kind=Kind.stream if state else Kind.moments,
            kinds=_OF_STATE if state else _OF_SUMS,
            rows=self._kept_tokens,
            cols=width,
            dtype=self._dtype,
            raw_name=str(site),
            notes=(),
            read=lambda: self.stream(site) if state else self.moments(site),
            flops=SPECTRA * width**3,
        )

    def _path_capture(self, site: Site) -> Capture:
        return Capture(
            site=site,
            kind=Kind.trajectory,
            kinds=frozenset({Kind.trajectory}),
            rows=len(self.prompt),
            cols=self._stacks[site.stack],
            dtype=self._dtype,
            raw_name=str(site),
            notes=(),
            read=lambda: self.trajectory(site.stack),
            flops=PATH * (self._layers[site.stack] + 1),
        )

    def moments(self, site: Site) -> Moments:
        """The sums at a site over the second half. Raises Refusal: `not_visible`, `too_small`, `non_finite`."""
        place = self._places[site]
        if not self._seen[site]:
            raise Refusal(Flag.not_visible, f"the pass shows no {site.part} in this block: {_WHY[site.part]}")
        return _usable(place.report.moments(place.points), site)

    def stream(self, site: Site) -> Stream:
        """What was kept at a state. Raises Refusal: `not_visible`, `too_small`, `non_finite`."""
        report, place = self.moments(site), self._places[site]
        fit = _usable(place.fit.moments(place.points[:0]), site)
        return Stream(fit, report, place.excluded, place.fit.mean_absolute, place.points, self.prompt, self.position)

    def trajectory(self, stack: str | None) -> Trajectory:
        """The reservoir over depth. Raises Refusal(non_finite) if it is not finite at every state."""
        sites = _path(stack, self._layers[stack])
        states = [self._places[site].points for site in sites]
        for site, state in zip(sites, states, strict=True):
            if not np.isfinite(state).all():
                raise Refusal(Flag.non_finite, f"an activation at {site} is NaN or infinite")
        return Trajectory(states, np.linspace(0.0, 1.0, len(states)), self.prompt, self.position)


def _usable(moments: Moments, site: Site) -> Moments:
    """Raises Refusal if they are of fewer than two tokens, or not finite."""
    if moments.n < 2:
        raise Refusal(Flag.too_small, f"{moments.n} tokens behind the first {FIRST_POSITIONS} of their prompts")
    if not (np.isfinite(moments.total).all() and np.isfinite(np.trace(moments.second))):
        raise Refusal(Flag.non_finite, f"an activation at {site} is NaN or infinite")
    return moments


SPECTRA = 10.0
"""Operations over d³ of what is measured at one site: a values-only decomposition takes 4/3, one with vectors about 9."""

PATH = 3e9
"""Operations of one state of a path: the kernel of 2,048 points of some 600 coordinates."""

_WHY = {
    "resid_mid": "attention and MLP are added at once",
    "attn_out": "no module ends its attention",
    "mlp_out": "no module ends its MLP",
    "resid_pre": "its input is no table of tokens",
    "resid_post": "its output is no table of tokens",
}


def _path(stack: str | None, layers: int) -> list[Site]:
    """The states of the stream over depth."""
    first = Site("resid", "resid_pre", 0, stack)
    return [first, *(Site("resid", "resid_post", layer, stack) for layer in range(layers))]


def _is_state(site: Site) -> bool:
    return site.part == "resid_post" or (site.part == "resid_pre" and site.layer == 0)


def _on_wanted_path(site: Site, wanted: Callable[[Site], bool]) -> bool:
    """Whether a site is needed for a path over depth that is wanted."""
    return _is_state(site) and wanted(Site("stream", "resid_post", stack=site.stack))


def _reservoir(prompts: Prompts) -> tuple[dict[int, int], np.ndarray, np.ndarray]:
    """Prompts of the second half whose tokens are kept, evenly chosen: {prompt: first row}, and prompt and position of
    each row."""
    report = np.arange(prompts.half, len(prompts))
    count = len(report)
    while True:
        chosen = report[np.arange(count) * len(report) // max(count, 1)]
        lengths = [len(prompts.tokens[i]) for i in chosen]
        if sum(lengths) <= RESERVOIR:
            break
        count = min(count - 1, max(1, count * RESERVOIR // sum(lengths)))
        if count == 0:
            break
    starts = np.cumsum([0, *lengths])[: len(lengths)]
    position = np.concatenate([np.arange(length) for length in lengths]) if lengths else np.zeros(0, int)
    start = {int(prompt): int(at) for prompt, at in zip(chosen, starts, strict=True)}
    return start, np.repeat(chosen, lengths), position


def _is_norm(module: torch.nn.Module) -> bool:
    """LayerNorm, RMSNorm and their kin of every family; they hold no other module."""
    return "norm" in type(module).__name__.lower() and next(module.children(), None) is None


def _first(values: Any) -> torch.Tensor:
    """The first tensor among arguments, or in the tuple that a block gives."""
    for value in values:
        if isinstance(value, torch.Tensor):
            return value
        if isinstance(value, tuple):
            return _first(value)
    raise ValueError("a block was called without a tensor")


def _memory(tensor: torch.Tensor) -> tuple[int, int]:
    """Where a tensor's entries are: equal for a tensor and its reshaped views."""
    return tensor.data_ptr(), tensor.numel()
