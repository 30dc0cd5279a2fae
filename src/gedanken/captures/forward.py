"""Forward passes over prompts, watched by observers: what a running model shows is reduced while it runs.

One batch of whole prompts is in memory at a time. Observers register plain forward hooks, which change nothing, and are
told of each batch before and after its pass. The first half of the prompts fits what must be fitted, the second is
measured.
"""

import abc
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from gedanken.captures.base import Capture
from gedanken.sources.prompts import Prompts
from gedanken.sources.runnable import device_of
from gedanken.sources.running import Running
from gedanken.status import Failure, Progress

BATCH_TOKENS = 1024
"""Tokens of a batch unless another size is asked for: enough rows for the products to run at full speed, few enough that
the activations of all layers fit beside the weights."""

T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """Prompts that go through the model together, padded on the right; `mask` is true at their tokens. `output` is None
    before the pass."""

    tokens: torch.Tensor
    mask: torch.Tensor
    prompts: np.ndarray
    half: Literal["fit", "report"]
    output: Any = None


class Observer(abc.ABC):
    """Watches the passes of one model."""

    @abc.abstractmethod
    def attach(self, model: torch.nn.Module) -> None:
        """Register hooks on a model's modules."""

    def begin(self, batch: Batch) -> None:  # noqa: B027 (most need not know)
        """A batch is about to pass."""

    @abc.abstractmethod
    def batch(self, batch: Batch) -> None:
        """A batch has passed: take in what the hooks saw of it, and its output."""

    @abc.abstractmethod
    def forget(self) -> None:
        """Be as if nothing had passed: all prompts are about to pass again, in smaller batches."""

    @abc.abstractmethod
    def detach(self) -> None:
        """Remove the hooks."""

    @abc.abstractmethod
    def captures(self) -> list[Capture]:
        """What will be there to read once all batches have passed. May be asked before."""


def run_forward(
    model: torch.nn.Module,
    prompts: Prompts,
    observers: Sequence[Observer],
    *,
    batch: int | None = None,
    progress: Progress | None = None,
) -> int:
    """Pass all prompts through a model, and give the prompts that went at a time in the end.

    Without memory for a batch it is halved, and if there are observers all prompts pass again, because some may have
    counted a part of it. Raises Failure if there is no memory for one prompt.
    """
    size, place = batch or usual_batch(prompts), 0
    lengths = np.array([len(row) for row in prompts.tokens])
    with _watched(model, observers), torch.no_grad():
        while place < len(prompts):
            end = prompts.half if place < prompts.half else len(prompts)
            chosen = np.arange(place, min(place + size, end))
            try:
                passing = _batch(model, prompts, chosen)
                for observer in observers:
                    observer.begin(passing)
                passing = replace(passing, output=outputs(model, passing.tokens, passing.mask))
                for observer in observers:
                    observer.batch(passing)
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                if len(chosen) == 1:
                    raise Failure(
                        f"There is not enough memory for one prompt of {lengths[place]} tokens.",
                        "a smaller --context, or another --device",
                    ) from error
                size = len(chosen) // 2
                place = 0 if observers else place
                for observer in observers:
                    observer.forget()
            else:
                place += len(chosen)
                if progress:
                    progress(int(lengths[:place].sum()), prompts.count)
            finally:
                # Let go of before the next pass: the logits of two batches are never there together.
                passing = None
    return size


def _batch(model: torch.nn.Module, prompts: Prompts, chosen: np.ndarray) -> Batch:
    tokens, mask = padded([prompts.tokens[i] for i in chosen], device_of(model))
    return Batch(tokens, mask, chosen, "fit" if chosen[0] < prompts.half else "report")


def usual_batch(prompts: Prompts) -> int:
    """Prompts that go through the model at a time unless another number is asked for."""
    return max(1, BATCH_TOKENS // prompts.longest)


def padded(rows: Sequence[np.ndarray], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token rows as one [prompt, position] array, zeros behind the shorter ones, and where they are tokens."""
    longest = max(map(len, rows))
    tokens, mask = np.zeros((len(rows), longest), np.int64), np.zeros((len(rows), longest), bool)
    for i, row in enumerate(rows):
        tokens[i, : len(row)], mask[i, : len(row)] = row, True
    return torch.from_numpy(tokens).to(device), torch.from_numpy(mask).to(device)


def outputs(model: torch.nn.Module, tokens: torch.Tensor, mask: torch.Tensor) -> Any:
    """One pass. A transformers model is told the mask; an encoder–decoder reads the prompt on both sides; any other
    module is called with the tokens alone."""
    if not is_pretrained(model):
        return model(tokens)
    if model.config.is_encoder_decoder:
        begin = model.config.decoder_start_token_id or 0
        shifted = torch.cat([torch.full_like(tokens[:, :1], begin), tokens[:, :-1]], dim=1)
        return model(
            input_ids=tokens, attention_mask=mask.long(), decoder_input_ids=shifted, decoder_attention_mask=mask.long(),
            use_cache=False,
        )  # fmt: skip
    return model(input_ids=tokens, attention_mask=mask.long())


def is_pretrained(model: torch.nn.Module) -> bool:
    """Whether it is a transformers model."""
    from transformers import PreTrainedModel

    return isinstance(model, PreTrainedModel)


def each(work: Callable[[T], None], items: Iterable[T], device: torch.device) -> None:
    """Do some work on every item; on the host one core for each, because what is done to one would not keep more busy."""
    if device.type != "cpu":
        for item in items:
            work(item)
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        begun = [_pool().submit(work, item) for item in items]
        wait(begun)
        for made in begun:
            made.result()
    finally:
        torch.set_num_threads(threads)


@cache
def _pool() -> ThreadPoolExecutor:
    """A thread for each core, kept with the memory that threads keep."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), "each")


@contextmanager
def _watched(model: torch.nn.Module, observers: Sequence[Observer]) -> Iterator[None]:
    """Observers attached and the model in evaluation mode, both undone afterwards."""
    training = model.training
    model.eval()
    try:
        for observer in observers:
            observer.attach(model)
        yield
    finally:
        for observer in observers:
            observer.detach()
        model.train(training)


def _out_of_memory(error: BaseException) -> bool:
    """torch has an exception for devices; on the host, and from CUDA's libraries, comes a RuntimeError that says so."""
    told = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return told or any(sign in str(error) for sign in ("allocate memory", "out of memory", "ALLOC_FAILED"))


class Pass:
    """The passes of one snapshot: made when first needed, once in a process, whoever asks."""

    def __init__(self, running: Running, skeleton: torch.nn.Module, observers: Sequence[Observer]):
        self._running, self._observers = running, observers
        # Two operations for each parameter and token.
        self._token_work = 2.0 * sum(parameter.numel() for parameter in skeleton.parameters())
        self.work = self._token_work * running.prompts.count
        self._lock, self._over = threading.Lock(), False
        self._failure: Failure | None = None
        self.captures = [self._waiting(capture) for observer in observers for capture in observer.captures()]
        self.batch: int | None = None

    @property
    def over(self) -> bool:
        return self._over

    @property
    def said(self) -> str:
        """What must be told of a pass that is over; empty if nothing."""
        asked = self._running.options.batch or usual_batch(self._running.prompts)
        if self.batch is None or self.batch >= asked:
            return ""
        return f"Memory did not suffice for {asked} prompts at a time, so they went by {self.batch}."

    def make(self, progress: Progress | None = None) -> None:
        """Run the model, unless that was done. Raises Failure if it cannot be loaded or run, now and every later time."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._over:
                return
            try:
                options, prompts = self._running.options, self._running.prompts
                model = self._running.load()
                told = progress and (lambda done, _: progress(done * self._token_work, self.work))
                self.batch = run_forward(model, prompts, self._observers, batch=options.batch, progress=told)
            except Failure as failure:
                self._failure = failure
                raise
            self._over = True

    def _waiting(self, capture: Capture) -> Capture:
        """The capture, whose reading makes the pass first."""

        def read():
            self.make()
            return capture.read()

        return replace(capture, read=read)
