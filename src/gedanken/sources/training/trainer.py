"""Trainer: a model, its optimiser and its data, one update at a time."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from gedanken.sources.training.controls import RANK_ONE, middle
from gedanken.sources.training.data import Data
from gedanken.sources.training.model import GPT, INIT_STD, token_loss
from gedanken.sources.training.optimiser import last_updates, learning_rate, optimiser, restore, state_tensors
from gedanken.sources.training.randomness import generator
from gedanken.sources.training.recipe import Recipe
from gedanken.status import Failure

WINDOWS = 64
"""Held-out sequences of a quick validation."""


@dataclass(frozen=True, slots=True)
class Update:
    """What one update was: `loss` (nat per token) of its batch before it, `gradient_norm` before clipping."""

    step: int
    tokens: int
    loss: float
    learning_rate: float
    gradient_norm: float
    seconds: float


class Trainer:
    """A run at one step. The same recipe and data give the same losses bit for bit, on one machine with one number of
    threads; on a GPU its own kernels may differ in the last bits.

    Raises Failure if the device is not there.
    """

    def __init__(self, recipe: Recipe, data: Data):
        self.recipe, self.data, self.step = recipe, data, 0
        self.last: Update | None = None
        self.device = device_of(recipe)
        self.model = GPT(recipe).to(self.device)
        self.optimiser = optimiser(self.model, recipe)
        self._forward = torch.compile(self.model) if recipe.compile else self.model

    @property
    def tokens(self) -> int:
        return self.step * self.recipe.batch * self.data.positions

    def advance(self) -> Update:
        """One update. Raises Failure, with the weights as they were before it, if loss or gradient are not finite."""
        start = time.perf_counter()
        step, rate = self.step + 1, learning_rate(self.recipe, self.step + 1)
        self.optimiser.zero_grad(set_to_none=True)
        loss = self._loss(*self.data.batch(self.step))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        found, size = loss.item(), norm.item()
        if not (math.isfinite(found) and math.isfinite(size)):
            what = "loss" if not math.isfinite(found) else "gradient"
            raise Failure(
                f"The {what} of step {step} is not finite (learning rate {rate:.3g}); training stopped at step "
                f"{self.step}, whose weights are kept.",
                "a smaller learning rate, or a longer warm-up",
            )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.step = step
        if self.recipe.control == "rank-one" and step > self.recipe.steps // 2:
            self._grow()
        self.last = Update(step, self.tokens, found, rate, size, time.perf_counter() - start)
        return self.last

    @torch.no_grad()
    def validation_loss(self, windows: int = WINDOWS) -> float:
        """Loss on held-out sequences, in nat per token."""
        total, count = 0.0, 0
        for inputs, targets in self.data.held_out(windows):
            scored = int((targets >= 0).sum())
            total += self._loss(inputs, targets).item() * scored
            count += scored
        return total / count

    def gradients(self) -> dict[str, Tensor]:
        """The gradients that made the last update, clipped, by parameter name; empty before the first."""
        return {name: p.grad for name, p in self.model.named_parameters() if p.grad is not None}

    def updates(self) -> dict[str, Tensor]:
        """What the optimiser's last update added to each parameter, by name; empty before the first."""
        return last_updates(self.model, self.optimiser)

    def weights(self) -> dict[str, Tensor]:
        """The parameters themselves, detached but not copied, by name."""
        return {name: parameter.detach() for name, parameter in self.model.named_parameters()}

    def memory(self) -> dict[str, Tensor]:
        """The optimiser's memory, not copied."""
        return state_tensors(self.model, self.optimiser)

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor], memory: Mapping[str, Tensor] | None = None, step: int = 0) -> None:
        """Go on from saved weights, and from the optimiser's memory after `step` updates.

        Raises Failure if the weights are not those of this recipe's model.
        """
        for name, parameter in self.model.named_parameters():
            if name not in weights:
                raise Failure(f"The weights to start from hold no {name}.")
            if weights[name].shape != parameter.shape:
                shapes = " but ".join("×".join(map(str, t.shape)) for t in (weights[name], parameter))
                raise Failure(f"{name} is {shapes} in the recipe: the weights are of another model.")
            parameter.copy_(weights[name])
        if memory is not None:
            restore(self.model, self.optimiser, memory, step)
        self.step = step

    def _loss(self, inputs, targets) -> Tensor:
        inputs, targets = (torch.from_numpy(part).to(self.device, non_blocking=True) for part in (inputs, targets))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            logits = self._forward(inputs)
        return token_loss(logits, targets)

    @torch.no_grad()
    def _grow(self) -> None:
        """The planted failure `rank-one` (controls.py), of which σ₁ at the start is INIT_STD (√d + √d)."""
        weight = self.model.get_parameter(f"{middle(self.recipe)}attn.W_Q.weight")
        rng = generator(self.recipe.seed, "rank-one")
        u, v = (torch.from_numpy(rng.standard_normal(n)).to(weight) for n in weight.shape)
        start = INIT_STD * sum(n**0.5 for n in weight.shape)
        growth = RANK_ONE * start / (self.recipe.steps - self.recipe.steps // 2)
        weight.addr_(u / u.norm(), v / v.norm(), alpha=growth)


@contextmanager
def training_threads(count: int) -> Iterator[None]:
    """torch's threads while training; the number there was is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_of(recipe: Recipe) -> torch.device:
    """The device that a recipe trains on. Raises Failure if it is not there."""
    try:
        device = torch.device(recipe.device)
    except RuntimeError as unknown:
        raise Failure(f"There is no device {recipe.device!r}.", "--set device=cpu") from unknown
    if device.type == "cuda" and not torch.cuda.is_available():
        raise Failure(
            f"The recipe{' ' + recipe.preset if recipe.preset else ''} trains on a GPU, and there is none here.",
            "--preset cpu8, or --set device=cpu --set precision=float32 --set compile=false",
        )
    return device
