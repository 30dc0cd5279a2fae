"""Heated loss: −ln p with attention logits divided by τ, over a grid of temperatures, all heads together or one alone.

Each batch is passed again for every temperature but τ = 1, so it costs as many passes more.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from gedanken.captures.attention.changed_loss import ALL_HEADS, ChangedLossObserver
from gedanken.captures.attention.heated import heated_heads
from gedanken.captures.attention.places import Place
from gedanken.captures.forward import Batch, outputs
from gedanken.kinds import HeatedLoss, Kind
from gedanken.site import Site
from gedanken.sources.prompts import Prompts
from gedanken.theory.row_sums import GRID


class HeatedLossObserver(ChangedLossObserver):
    """The loss over the grid.

    places: from `places_of`. wanted: which sites are heated, ALL_HEADS or one head each; None: ALL_HEADS alone.
    """

    kind = Kind.heated_loss

    def __init__(
        self,
        places: Sequence[Place],
        prompts: Prompts,
        wanted: Callable[[Site], bool] | None,
        dtype: str,
        temperatures: np.ndarray = GRID,
    ):
        heads = [p.site(call, head) for p in places for call in range(p.passes) for head in range(p.heads or 0)]
        super().__init__(prompts, heads, wanted, len(temperatures), dtype)
        self._places, self._temperatures = tuple(places), temperatures

    def _output(self, model: torch.nn.Module, site: Site, change: int, batch: Batch) -> Any:
        tau = float(self._temperatures[change])
        if tau == 1:
            return batch.output
        with heated_heads(model, tau, self._places, None if site == ALL_HEADS else [site]):
            return outputs(model, batch.tokens, batch.mask)

    def read(self, site: Site) -> HeatedLoss:
        nats, tokens, _ = self._losses(site)
        return HeatedLoss(self._temperatures, nats, tokens)
