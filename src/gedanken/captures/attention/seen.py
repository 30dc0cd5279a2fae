"""Seeing attention: queries, keys and masks of a running model as they enter the softmax, whatever kernel runs.

Three places are watched, none of which changes what is computed:
- transformers calls one function for each attention module, chosen by `AttentionInterface.get_interface` and given the
  module, queries and keys (after rotation, normalisation and biases), mask, scale, cap, window, position bias and sink;
- other code may call `scaled_dot_product_attention`, which is given nearly as much;
- what is left may call `softmax` on logits of prompt × head × query × key: those are seen, queries and keys are not.
"""

import threading
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from gedanken.captures.attention.visible import MASKED, Visible, by_mask, by_rule, by_tokens
from gedanken.status import Failure, Flag, Refusal


@dataclass(frozen=True)
class Seen:
    """One call of one attention module. Either queries and keys, or the `scores` z themselves."""

    visible: Visible
    query: torch.Tensor | None = None
    key: torch.Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None
    sink: torch.Tensor | None = None
    scores: torch.Tensor | None = None


Report = Callable[[Seen | Refusal], None]


@dataclass
class Masks:
    """Masks that were read during one pass: all layers share one or two. Kept, so that an id is not used twice."""

    _found: dict[int, tuple[torch.Tensor, Visible]] = field(default_factory=dict)

    def visible(self, mask: torch.Tensor, prompts: int) -> Visible:
        if id(mask) not in self._found:
            self._found[id(mask)] = mask, by_mask(mask, prompts)
        return self._found[id(mask)][1]

    def clear(self) -> None:
        self._found.clear()


class Watch:
    """Watches the modules of `reports` (a module → what is told of each of its calls) until it is closed.

    A module is told once a call: by the first of the three places that sees it.
    """

    def __init__(self, reports: Mapping[torch.nn.Module, Report], masks: Masks):
        self._reports, self._masks, self._stack = dict(reports), masks, ExitStack()
        self._told: dict[torch.nn.Module, bool] = {}
        _Interface.add(self)
        self._stack.callback(_Interface.remove, self)
        for module in self._reports:
            inside = _Inside(partial(self.tell, module))
            self._stack.callback(module.register_forward_pre_hook(partial(self._enter, inside)).remove)
            self._stack.callback(module.register_forward_hook(partial(self._leave, inside), always_call=True).remove)

    def close(self) -> None:
        self._stack.close()

    def watches(self, module: torch.nn.Module) -> bool:
        return module in self._reports and not self._told.get(module, False)

    def tell(self, module: torch.nn.Module, make: Callable[[Masks], Seen]) -> None:
        if not self.watches(module):
            return
        self._told[module] = True
        try:
            self._reports[module](make(self._masks))
        except Refusal as refusal:
            self._reports[module](refusal)

    def _enter(self, inside: "_Inside", module: torch.nn.Module, inputs: Any) -> None:
        self._told[module] = False
        inside.__enter__()

    def _leave(self, inside: "_Inside", module: torch.nn.Module, inputs: Any, output: Any) -> None:
        inside.__exit__(None, None, None)


@dataclass(frozen=True)
class Call:
    """What an attention function is given: tensors of prompt × head × position × width, options by name, and the mask as
    what `see` tells."""

    module: torch.nn.Module
    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    options: Mapping[str, Any]
    see: Callable[[], "Seen"]


Change = Callable[[Call], Call | tuple]
"""Gives the call that is made in the place of another, or what is handed back without any."""


@contextmanager
def changed_calls(
    model: torch.nn.Module, modules: Container[torch.nn.Module], change: Callable[[Call, int], Call | tuple]
) -> Iterator[None]:
    """What some modules' attention functions are given (or give), changed; `change` is told the call's number within a pass.

    Raises Failure where a module's queries do not come by, or where its logits are not products with keys alone.
    """
    calls: Counter[torch.nn.Module] = Counter()

    def changed(call: Call) -> Call | tuple:
        if call.module not in modules:
            return call
        calls[call.module] += 1
        if any(call.options.get(name) is not None for name in ("softcap", "position_bias", "s_aux")):
            raise Failure(
                "Logits with a soft cap, a position bias or a sink are not products of queries and keys alone."
            )
        return change(call, calls[call.module] - 1)

    def check(*_) -> None:
        if missing := [module for module in model.modules() if module in modules and not calls[module]]:
            raise Failure(f"The queries of {type(missing[0]).__name__} do not pass where they could be changed.")

    handles = [
        model.register_forward_pre_hook(lambda *_: calls.clear()),
        model.register_forward_hook(check),
    ]
    _Interface.add(changed)
    try:
        yield
    finally:
        _Interface.remove(changed)
        for handle in handles:
            handle.remove()


def changed_queries(
    model: torch.nn.Module, heads: Mapping[torch.nn.Module, Mapping[int, Sequence[int]] | None], factor: float
) -> AbstractContextManager[None]:
    """Queries of some heads of some modules multiplied by a factor, in the calls (numbered within a pass) given; None:
    of all heads in every call. Raises Failure as changed_calls does."""

    def change(call: Call, number: int) -> Call:
        of_calls, query = heads[call.module], call.query
        chosen = None if of_calls is None else list(of_calls.get(number, ()))
        if chosen is None or len(chosen) == query.shape[1]:
            return replace(call, query=query * factor)
        factors = torch.ones(query.shape[1], dtype=query.dtype, device=query.device)
        factors[chosen] = factor
        return replace(call, query=query * factors[:, None, None])

    return changed_calls(model, heads, change)


class _Interface:
    """The one place where transformers chooses an attention function, wrapped while anybody watches or changes."""

    _lock = threading.Lock()
    _watches: list["Watch | Change"] = []
    _original: Callable | None = None

    @classmethod
    def add(cls, watch: "Watch | Change") -> None:
        from transformers.modeling_utils import AttentionInterface

        with cls._lock:
            cls._watches.append(watch)
            if cls._original is None:
                cls._original = AttentionInterface.get_interface
                AttentionInterface.get_interface = cls._chosen

    @classmethod
    def remove(cls, watch: "Watch | Change") -> None:
        from transformers.modeling_utils import AttentionInterface

        with cls._lock:
            cls._watches.remove(watch)
            if not cls._watches:
                AttentionInterface.get_interface, cls._original = cls._original, None

    @staticmethod
    def _chosen(interface: Any, implementation: str, default: Callable) -> Callable:
        function = _Interface._original(interface, implementation, default)

        def watched(module, query, key, value, attention_mask, *args, **kwargs):
            for watch in tuple(_Interface._watches):
                see = partial(_of_interface, implementation, module, query, key, attention_mask, kwargs)
                if not isinstance(watch, Watch):
                    call = watch(Call(module, query, key, value, kwargs, partial(see, Masks())))
                    if not isinstance(call, Call):
                        return call
                    module, query, key, value, kwargs = call.module, call.query, call.key, call.value, call.options
                elif watch.watches(module):
                    watch.tell(module, see)
            return function(module, query, key, value, attention_mask, *args, **kwargs)

        return watched


def _of_interface(implementation, module, query, key, mask, kwargs, masks: Masks) -> Seen:
    if implementation.startswith("flex") or not isinstance(mask, torch.Tensor | None):
        raise Refusal(Flag.not_visible, "flexible attention keeps its mask as a program, which is not read here")
    prompts, queries, keys = query.shape[0], query.shape[2], key.shape[2]
    causal = kwargs.get("is_causal")
    causal = vars(module).get("is_causal", True) if causal is None else causal
    if mask is not None and mask.ndim == 4:
        visible = masks.visible(mask[..., :keys], prompts) if mask.shape[-1] != keys else masks.visible(mask, prompts)
    else:
        # Without a mask the plain implementation hides nothing; kernels are causal if the module is.
        rule = causal and queries > 1 and implementation != "eager"
        window = kwargs.get("sliding_window") if rule else None
        visible = by_rule(prompts, queries, keys, causal=rule, window=window, device=query.device)
        if mask is not None:
            visible = by_tokens(visible, mask.bool())
    bias = kwargs.get("position_bias")
    if bias is not None:
        bias = bias if visible.bias is None else bias + visible.bias
        visible = Visible(visible.start, visible.stop, visible.dense, bias)
    scale = kwargs.get("scaling")
    scale = query.shape[-1] ** -0.5 if scale is None else float(scale)
    return Seen(visible, query, key, scale, kwargs.get("softcap"), kwargs.get("s_aux"))


class _Inside(TorchFunctionMode):
    """Sees the calls of two functions inside one module."""

    def __init__(self, tell: Callable[[Callable[[Masks], Seen]], None]):
        super().__init__()
        self._tell = tell

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is functional.scaled_dot_product_attention:
            self._tell(partial(_of_product, args, kwargs))
        elif function in (functional.softmax, torch.softmax, torch.Tensor.softmax) and args and args[0].ndim == 4:
            self._tell(partial(_of_scores, args[0].detach()))
        return function(*args, **kwargs)


def _of_product(args: tuple, kwargs: Mapping[str, Any], masks: Masks) -> Seen:
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    given = dict(zip(names, args, strict=False)) | dict(kwargs)
    query, key, mask, scale = given["query"], given["key"], given.get("attn_mask"), given.get("scale")
    if query.ndim != 4:
        raise Refusal(
            Flag.not_visible, f"queries have {query.ndim} dimensions, where prompt, head, position and width are read"
        )
    prompts, queries, keys = query.shape[0], query.shape[2], key.shape[2]
    if mask is None:
        causal = given.get("is_causal", False)
        visible = by_rule(prompts, queries, keys, causal=causal, window=None, device=query.device)
    else:
        visible = masks.visible(mask if mask.ndim == 4 else mask.reshape((1,) * (4 - mask.ndim) + mask.shape), prompts)
    return Seen(visible, query, key, query.shape[-1] ** -0.5 if scale is None else float(scale))


def _of_scores(scores: torch.Tensor, masks: Masks) -> Seen:
    return Seen(by_mask(scores > MASKED, len(scores)), scores=scores)
