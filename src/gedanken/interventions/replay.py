"""Replay: the blocks of a running model applied to any states of the stream, whole or with parts of them changed.

One pass over a prompt keeps what every block was called with beside the stream (masks, positions); a block can then be
applied again to other states. Depth is a loop over `step`, which a model with shared layers lets run beyond its own.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from gedanken.captures.attention.places import places_of
from gedanken.captures.attention.seen import changed_queries
from gedanken.captures.blocks import blocks_of
from gedanken.captures.forward import device_of, is_pretrained, outputs, padded
from gedanken.interventions.symmetric_scores import symmetric_scores
from gedanken.sources.architectures.layout import layout
from gedanken.sources.tensor_files.arrays import Arrays
from gedanken.status import Failure
from gedanken.theory.ensembles import haar_orthogonal

ATTENTION = ("W_Q", "W_K", "W_V", "W_O", "W_QKV", "W_KV")
"""Parts that a twin draws anew; fused ones are one matrix."""


class Replay:
    """The blocks of a model with one stack. `norm`: "post" where a block ends in a norm, "pre" where it begins with one,
    "other" elsewhere; known after the first `record`, as are `gains`.

    config: the model's own, as a dictionary. Raises Failure if no table knows the blocks, or they are in two stacks, or
    no module ends an MLP.
    """

    def __init__(self, model: torch.nn.Module, config: Mapping[str, Any]):
        self.model, self._config = model, config
        blocks = blocks_of(model, config)
        if len({block.stack for block in blocks}) > 1:
            raise Failure(f"{type(model).__name__} has two stacks of blocks; only models with one can be replayed.")
        if missing := [block.name for block in blocks if not block.mlp_end]:
            raise Failure(f"No one module ends the MLP of {missing[0]}, so its attention cannot be taken alone.")
        self.shared = len(blocks) == 1 and blocks[0].passes > 1
        self._modules = [model.get_submodule(block.name) for block in blocks for _ in range(block.passes)]
        self.layers = [block.layer for block in blocks for _ in range(block.passes)]
        """By pass: the layer that the weights are stored as."""
        self._mlp_ends = [model.get_submodule(block.mlp_end) for block in blocks]
        self._calls: list[tuple[tuple, dict]] = []
        self.norm = "other"
        self.gains: list[Float[np.ndarray, " d"] | None] = []
        """Of the norm that a block begins with, by layer; None where there is none."""

    def __len__(self) -> int:
        return len(self._modules)

    def causal(self, points: Float[np.ndarray, "n d"]) -> bool:
        """Whether what leaves the first layer at all tokens but the last is the same whatever the last one is."""
        changed = points.copy()
        changed[-1] = -changed[-1]
        return bool(np.array_equal(self.step(0, points)[:-1], self.step(0, changed)[:-1]))

    @property
    def biased(self) -> bool:
        """Whether blocks have biases."""
        return bool(self._biases())

    def _biases(self) -> set[torch.nn.Parameter]:
        return {p for m in self._modules for name, p in m.named_parameters() if name.endswith("bias")}

    @property
    def reusable(self) -> bool:
        """Whether there are different blocks, so that one can stand in for another."""
        return len(set(self._modules)) > 1

    def record(self, tokens: Int[np.ndarray, " n"]) -> list[Float[np.ndarray, "n d"]]:
        """The states of one prompt: what enters the first block and what leaves each.

        Raises Failure if the blocks do not pass on one row for each token.
        """
        self._calls, states, norms = [], [], []

        def enter(module, args, kwargs):
            self._calls.append((args, kwargs))
            if not states:
                states.append(_stream(args, kwargs).clone())

        def leave(module, args, output):
            states.append(_whole(output).clone())

        def normed(module, args, output):
            norms.append((module, len(states) - 1, args[0], output))

        handles = []
        for module in dict.fromkeys(self._modules):
            handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
            inside = [m for m in module.modules() if "norm" in type(m).__name__.lower() and not list(m.children())]
            handles += [m.register_forward_hook(normed) for m in inside]
            handles.append(module.register_forward_hook(leave))
        try:
            with torch.no_grad(), _uncached(self.model):
                rows, mask = padded([np.asarray(tokens)], device_of(self.model))
                outputs(self.model, rows, mask)
        finally:
            for handle in handles:
                handle.remove()
        if len(states) != len(self) + 1 or any(state.shape[-2] != len(tokens) for state in states):
            raise Failure(f"The blocks of {type(self.model).__name__} do not hand on one row for each token.")
        self._look(norms, states)
        return [_rows(state) for state in states]

    def step(self, layer: int, points: Float[np.ndarray, "n d"], block: int | None = None) -> Float[np.ndarray, "n d"]:
        """What leaves a layer when these points enter it. `block`: another layer's block in its place; beyond the last
        layer the last one's is applied again."""
        place = min(layer, len(self) - 1)
        args, kwargs = self._calls[place]
        like = _stream(args, kwargs)
        given = torch.as_tensor(points, dtype=like.dtype, device=like.device).reshape(like.shape)
        if args:
            args = (given, *args[1:])
        else:
            kwargs = kwargs | {"hidden_states": given}
        with torch.no_grad():
            return _rows(_whole(self._modules[place if block is None else block](*args, **kwargs)))

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The model in evaluation mode, and as it was afterwards."""
        training = self.model.training
        self.model.eval()
        try:
            yield
        finally:
            self.model.train(training)

    @contextmanager
    def without_mlp(self) -> Iterator[None]:
        """MLPs that add nothing: what is left of a block is its attention, with the norms, gains and biases around it."""
        handles = [module.register_forward_hook(lambda m, args, out: _zero(out)) for module in self._mlp_ends]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def uniform(self) -> Iterator[None]:
        """Attention with all scores zero: every visible token weighs the same."""
        with changed_queries(self.model, self._attentions(), 0.0):
            yield

    @contextmanager
    def symmetric(self) -> Iterator[None]:
        """Attention with the symmetric part of its scores."""
        with symmetric_scores(self.model, self._attentions()):
            yield

    def _attentions(self) -> dict[torch.nn.Module, None]:
        """The attention modules, all heads and calls of each."""
        places = places_of(self.model, self._config)
        return {self.model.get_submodule(place.module): None for place in places if place.module}

    @contextmanager
    def without_biases(self) -> Iterator[None]:
        """Blocks without any bias, of projections and of norms."""
        with _changed({parameter: torch.zeros_like(parameter) for parameter in self._biases()}):
            yield

    @contextmanager
    def twin(self, kind: str, rng: np.random.Generator) -> Iterator[None]:
        """Attention matrices drawn anew: `rotated` keeps the singular values, `gaussian` the Frobenius norm."""
        parameters = dict(self.model.named_parameters())
        pieces = layout(Arrays.of_module(self.model).tensors, self._config).pieces
        names = {piece.tensor for piece in pieces if piece.site.block == "attn" and piece.site.part in ATTENTION}
        drawn = {}
        for name in sorted(names & set(parameters)):
            matrix = parameters[name].detach()
            made = _rotated(matrix, rng) if kind == "rotated" else _gaussian(matrix, rng)
            drawn[parameters[name]] = made.to(matrix)
        with _changed(drawn):
            yield

    def _look(self, norms: list[tuple], states: list[torch.Tensor]) -> None:
        """Where the norms of the blocks are."""
        entered = [_stream(*call) for call in self._calls]
        first: dict[int, torch.nn.Module] = {}
        for module, layer, read, _ in norms:
            if torch.equal(read, entered[layer]) if read.shape == entered[layer].shape else False:
                first.setdefault(layer, module)
        ends = {layer for _, layer, _, out in norms
                if out.shape == states[layer + 1].shape and torch.equal(out, states[layer + 1])}  # fmt: skip
        every = set(range(len(self)))
        self.norm = "pre" if set(first) == every else "post" if ends == every else "other"
        self.gains = [_gain(first[layer], states[0]) if layer in first else None for layer in range(len(self))]


def _gain(norm: torch.nn.Module, like: torch.Tensor) -> np.ndarray:
    """What a norm multiplies each coordinate by: half the difference of what ±(1, −1, 1, …) become."""
    signs = torch.ones_like(like[..., :1, :])
    signs[..., 1::2] = -1
    with torch.no_grad():
        return (((norm(signs) - norm(-signs)) / 2) * signs).reshape(-1).double().cpu().numpy()


def _rotated(matrix: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    left, right = (torch.from_numpy(haar_orthogonal(size, rng)) for size in matrix.shape)
    return left @ matrix.double().cpu() @ right


def _gaussian(matrix: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    drawn = torch.from_numpy(rng.standard_normal(tuple(matrix.shape)))
    return drawn * (matrix.double().norm().cpu() / drawn.norm())


@contextmanager
def _changed(values: Mapping[torch.nn.Parameter, torch.Tensor]) -> Iterator[None]:
    """Parameters with other values, for a while."""
    before = {parameter: parameter.detach().clone() for parameter in values}
    with torch.no_grad():
        for parameter, value in values.items():
            parameter.copy_(value)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in before.items():
                parameter.copy_(value)


@contextmanager
def _uncached(model: torch.nn.Module) -> Iterator[None]:
    """Without a cache of keys and values, to which every replay would add."""
    config = model.config if is_pretrained(model) else None
    if config is None or "use_cache" not in config.to_dict():
        yield
        return
    before, config.use_cache = config.use_cache, False
    try:
        yield
    finally:
        config.use_cache = before


def _stream(args: tuple, kwargs: Mapping[str, Any]) -> torch.Tensor:
    return args[0] if args else kwargs["hidden_states"]


def _whole(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output


def _zero(output: Any) -> Any:
    if isinstance(output, tuple):
        return (torch.zeros_like(output[0]), *output[1:])
    return torch.zeros_like(output)


def _rows(state: torch.Tensor) -> Float[np.ndarray, "n d"]:
    return state.reshape(-1, state.shape[-1]).double().cpu().numpy()
