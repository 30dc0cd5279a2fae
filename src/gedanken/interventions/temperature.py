"""Temperature: a model whose attention logits are divided by τ, all heads or some, and its loss against τ.

How attention is heated: captures/attention/heated.py. The instrument `loss_at_temperature` measures the same into a lab.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from gedanken.captures.attention.heated import heated_heads
from gedanken.captures.attention.places import places_of
from gedanken.site import Site
from gedanken.status import Failure

Loss = Callable[[torch.nn.Module], float]
"""Mean −ln p of a model on some text, in nat."""


@contextmanager
def heated(
    model: torch.nn.Module, tau: float, config: Mapping[str, Any], heads: Collection[Site] | None = None
) -> Iterator[torch.nn.Module]:
    """The model with attention logits divided by τ while the block lasts: all heads, or those at the sites given.

    config: the model's own, as a dictionary. Raises Failure for τ ≤ 0, a site that is no head of the model, or attention
    whose queries cannot be reached.
    """
    with heated_heads(model, tau, places_of(model, config), heads):
        yield model


def loss_against_temperature(
    model: torch.nn.Module,
    loss: Loss,
    temperatures: Sequence[float],
    config: Mapping[str, Any],
    heads: Collection[Site] | None = None,
) -> Float[np.ndarray, " temperature"]:
    """The loss at each τ. Raises Failure as `heated`."""
    found = []
    for tau in temperatures:
        with heated(model, float(tau), config, heads), torch.no_grad():
            found.append(float(loss(model)))
    return np.array(found)


def best_temperature(
    temperatures: Float[np.ndarray, " temperature"], losses: Float[np.ndarray, " temperature"]
) -> float:
    """τ of least loss, by a parabola in ln τ through the lowest point and its neighbours.

    Raises Failure if the lowest is at an end of the range: then the minimum was not passed.
    """
    lowest = int(np.argmin(losses))
    if lowest in (0, len(losses) - 1):
        raise Failure("The least loss is at an end of the temperatures tried.", "a wider range of temperatures")
    x = np.log(np.asarray(temperatures, dtype=np.float64)[lowest - 1 : lowest + 2])
    second, first, _ = np.polyfit(x - x[1], np.asarray(losses)[lowest - 1 : lowest + 2], 2)
    return float(np.exp(x[1] - first / (2 * second)))
