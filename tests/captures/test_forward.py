"""The pass: every prompt once, in two halves, in smaller batches where memory is short, and made once."""

import threading
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import running_models as models
import torch

from gedanken.captures.activations import StreamObserver
from gedanken.captures.attention.approximated import APPROXIMATIONS
from gedanken.captures.attention.approximated_loss import ApproximatedLossObserver
from gedanken.captures.attention.heated_loss import HeatedLossObserver
from gedanken.captures.attention.observer import AttentionObserver
from gedanken.captures.attention.places import places_of
from gedanken.captures.blocks import blocks_of
from gedanken.captures.forward import Observer, Pass, run_forward
from gedanken.captures.loss import LossObserver
from gedanken.sources.prompts import Prompts
from gedanken.sources.runnable import Live
from gedanken.sources.running import Options, Running
from gedanken.status import Failure


class Noting(Observer):
    """Notes what it is told."""

    def __init__(self):
        self.seen, self.attached = [], 0

    def attach(self, model):
        self.attached += 1

    def batch(self, batch):
        self.seen.append(batch)

    def forget(self):
        self.seen.clear()

    def detach(self):
        self.attached -= 1

    def captures(self):
        return []


class Tight(Noting):
    """Has memory for so many prompts at a time, in the half of the prompts given."""

    def __init__(self, most: int, half: str = "fit"):
        super().__init__()
        self.most, self.half = most, half

    def batch(self, batch):
        if batch.half == self.half and len(batch.prompts) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        super().batch(batch)


class Short(torch.nn.Module):
    """Has memory for so many prompts at a time."""

    def __init__(self, most: int, error: Exception):
        super().__init__()
        self.most, self.error, self.sizes = most, error, []
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, tokens):
        self.sizes.append(len(tokens))
        if len(tokens) > self.most:
            raise self.error
        return torch.zeros(*tokens.shape, 50)


def test_every_prompt_passes_once_in_its_half():
    prompts, noting = models.prompts(11), Noting()
    assert run_forward(models.model("llama"), prompts, [noting], batch=4) == 4
    for half, expected in (("fit", range(prompts.half)), ("report", range(prompts.half, 11))):
        found = np.concatenate([batch.prompts for batch in noting.seen if batch.half == half])
        np.testing.assert_array_equal(found, list(expected))
    for batch in noting.seen:
        for row, mask, prompt in zip(batch.tokens, batch.mask, batch.prompts, strict=True):
            np.testing.assert_array_equal(row[mask], prompts.tokens[prompt])
            assert mask[: len(prompts.tokens[prompt])].all()
    assert noting.attached == 0


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        torch.OutOfMemoryError("CUDA"),
    ],
)
def test_without_memory_the_batch_is_halved(error):
    model, noting = Short(3, error), Noting()
    assert run_forward(model, models.prompts(20), [noting], batch=10) == 2
    assert model.sizes[:3] == [10, 5, 2]
    assert sum(len(batch.prompts) for batch in noting.seen) == 20


def test_without_memory_for_one_prompt_a_sentence_says_so():
    noting = Noting()
    with pytest.raises(Failure, match="not enough memory for one prompt"):
        run_forward(Short(0, MemoryError()), models.prompts(4), [noting])
    assert noting.attached == 0


@pytest.mark.parametrize("half", ["fit", "report"])
def test_an_observer_without_memory_sends_all_prompts_through_again(half):
    """What is read then is, to the bit, what a pass in batches of that size gives."""

    def observed(*more: Observer, batch: int) -> tuple[int, dict]:
        model, prompts = models.model("llama"), models.prompts(9, equal=True)
        found = every_observer(model, prompts)
        size = run_forward(model, prompts, [*found, *more], batch=batch)
        return size, {(c.kind, str(c.site)): c.read() for observer in found for c in observer.captures()}

    tight = Tight(2, half)
    (size, found), (_, expected) = observed(tight, batch=5), observed(batch=2)
    assert size == 2 and sum(len(batch.prompts) for batch in tight.seen) == 9
    assert len(expected) > 20 and found.keys() == expected.keys()
    for key in expected:
        np.testing.assert_equal(parts(found[key]), parts(expected[key]), err_msg=str(key))


def test_memory_failing_in_the_midst_of_a_pass_counts_nothing_twice(monkeypatch):
    """Sums grow while a model runs: at the last block the second half of the text finds no memory for three prompts."""
    monkeypatch.setattr("gedanken.captures.activations.TOGETHER", 1)

    def observed(batch: int, *, short: bool) -> tuple[int, dict]:
        model, prompts = models.model("llama"), models.prompts(9, equal=True)
        observer = StreamObserver(blocks_of(model, model.config.to_dict()), prompts, lambda site: True, "float32")
        calls = []

        def fail(_, args, kwargs):
            calls.append(len(args[0]))
            if short and len(calls) > 1 and calls[-1] > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")

        model.model.layers[-1].register_forward_pre_hook(fail, with_kwargs=True)
        return run_forward(model, prompts, [observer], batch=batch), {
            str(c.site): parts(c.read()) for c in observer.captures()
        }

    (size, found), (_, expected) = observed(4, short=True), observed(2, short=False)
    assert size == 2 and len(expected) > 5
    np.testing.assert_equal(found, expected)


def test_passes_that_another_observer_makes_are_not_counted():
    def observed(heated: bool) -> dict:
        model, prompts = models.model("llama"), models.prompts(6, equal=True)
        found = every_observer(model, prompts)
        run_forward(model, prompts, found if heated else found[:3], batch=2)
        return {(c.kind, str(c.site)): parts(c.read()) for observer in found[:2] for c in observer.captures()}

    np.testing.assert_equal(observed(heated=True), observed(heated=False))


def every_observer(model: torch.nn.Module, prompts: Prompts) -> list[Observer]:
    config = model.config.to_dict()
    places = places_of(model, config)
    return [
        StreamObserver(blocks_of(model, config), prompts, lambda site: True, "float32"),
        AttentionObserver(places),
        LossObserver(prompts, "float32"),
        HeatedLossObserver(places, prompts, None, "float32", np.array([0.5, 1.0])),
        ApproximatedLossObserver(places, prompts, None, "float32", APPROXIMATIONS[:2]),
    ]


def parts(value):
    """Values inside of dataclasses."""
    if is_dataclass(value):
        return {field.name: parts(vars(value)[field.name]) for field in fields(value)}
    return value


def test_without_memory_for_one_prompt_an_observer_too_ends_in_the_sentence():
    tight = Tight(0)
    with pytest.raises(Failure, match="not enough memory for one prompt of 12 tokens"):
        run_forward(models.model("llama"), models.prompts(4, equal=True), [tight])
    assert tight.attached == 0 and not tight.seen


def test_other_errors_are_not_hidden():
    with pytest.raises(RuntimeError, match="shapes"):
        run_forward(Short(0, RuntimeError("shapes")), models.prompts(4), [])


def test_the_pass_is_made_once_whoever_asks():
    calls = []

    class Counting(Short):
        def forward(self, tokens):
            calls.append(len(tokens))
            return super().forward(tokens)

    running = Running(Live(Counting(99, MemoryError())), models.prompts(6, equal=True), Options(batch=6))
    shared = Pass(running, running.model.skeleton(), [Noting()])
    threads = [threading.Thread(target=shared.make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [3, 3] and shared.over


def test_a_pass_that_failed_fails_again_without_running():
    model = Short(0, MemoryError())
    shared = Pass(Running(Live(model), models.prompts(4), Options()), model, [])
    for _ in range(2):
        with pytest.raises(Failure, match="memory"):
            shared.make()
    assert model.sizes == [2, 1]


def test_a_smaller_batch_than_asked_is_told():
    running = Running(Live(Short(2, MemoryError())), models.prompts(8, equal=True), Options(batch=4))
    shared = Pass(running, running.model.skeleton(), [Noting()])
    assert shared.said == ""
    shared.make()
    assert shared.said == "Memory did not suffice for 4 prompts at a time, so they went by 2."


def test_a_batch_that_an_observer_had_no_memory_for_is_told():
    model = models.model("llama")
    shared = Pass(Running(Live(model), models.prompts(8, equal=True), Options(batch=4)), model, [Tight(1)])
    shared.make()
    assert shared.said == "Memory did not suffice for 4 prompts at a time, so they went by 1."
