"""The optimiser: AdamW with decay on matrices alone, and the learning rate of every step."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gedanken.sources.training.controls import RATE_JUMP, middle
from gedanken.sources.training.recipe import Recipe

EPS = 1e-8
"""Added to the root of the mean square [@kingma2015adam, alg. 1]."""


def learning_rate(recipe: Recipe, step: int) -> float:
    """Rate of the update that leads to `step` (1 … steps): linear up to `warmup`, then a half cosine, or constant."""
    jump = RATE_JUMP if recipe.control == "rate-jump" and step > recipe.steps // 2 else 1.0
    if step <= recipe.warmup:
        return jump * recipe.learning_rate * step / recipe.warmup
    if recipe.schedule == "constant":
        return jump * recipe.learning_rate
    done = (step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)
    share = recipe.final_fraction + (1 - recipe.final_fraction) * 0.5 * (1 + math.cos(math.pi * done))
    return jump * recipe.learning_rate * share


def optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW [@loshchilov2019, alg. 2]. A frozen layer's parameters take no part."""
    if recipe.control == "frozen-layer":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not name.startswith(middle(recipe)))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(recipe.beta1, recipe.beta2), eps=EPS, fused=True)


@torch.no_grad()
def last_updates(model: nn.Module, adamw: torch.optim.AdamW) -> dict[str, Tensor]:
    """ΔW of the last update, by parameter name, from the optimiser's state: no earlier copy of the weights is needed.

    W' = (1 − ηλ) W − η m̂/(√v̂ + ε) is solved for W, hence ΔW = −η (λ W' + m̂/(√v̂ + ε)) / (1 − ηλ). Empty before the
    first update.
    """
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = {}
    for group in adamw.param_groups:
        rate, decay, (beta1, beta2) = group["lr"], group["weight_decay"], group["betas"]
        for parameter in group["params"]:
            state = adamw.state.get(parameter)
            if state:
                count = float(state["step"])
                mean = state["exp_avg"] / (1 - beta1**count)
                root = (state["exp_avg_sq"] / (1 - beta2**count)).sqrt_() + group["eps"]
                found[names[parameter]] = mean.div_(root).add_(parameter, alpha=decay).mul_(-rate / (1 - rate * decay))
    return found


def state_tensors(model: nn.Module, adamw: torch.optim.AdamW) -> dict[str, Tensor]:
    """The optimiser's memory as named tensors: exp_avg.NAME and exp_avg_sq.NAME."""
    return {
        f"{kind}.{name}": adamw.state[parameter][kind]
        for name, parameter in model.named_parameters()
        if adamw.state.get(parameter)
        for kind in ("exp_avg", "exp_avg_sq")
    }


def restore(model: nn.Module, adamw: torch.optim.AdamW, tensors: Mapping[str, Tensor], step: int) -> None:
    """Put back what `state_tensors` gave after `step` updates."""
    for name, parameter in model.named_parameters():
        if f"exp_avg.{name}" in tensors:
            kept = {kind: tensors[f"{kind}.{name}"].to(parameter.device) for kind in ("exp_avg", "exp_avg_sq")}
            adamw.state[parameter] = {"step": torch.tensor(float(step), device=parameter.device)} | kept
