"""Approximated loss: −ln p with attention weights replaced by approximations, and how far these are from equilibrium.

Each batch is passed again for every approximation, so it costs twenty passes more.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from gedanken.captures.attention.approximated import APPROXIMATIONS, Approximation, Damage, approximated_attention
from gedanken.captures.attention.changed_loss import ALL_HEADS, ChangedLossObserver
from gedanken.captures.attention.places import Place
from gedanken.captures.forward import Batch, outputs
from gedanken.kinds import ApproximatedLoss, Kind
from gedanken.site import Site
from gedanken.sources.prompts import Prompts
from gedanken.theory.row_sums import GROUPS

DAMAGE = tuple(field.name for field in fields(Damage) if field.name != "keys")


class ApproximatedLossObserver(ChangedLossObserver):
    """The loss with each approximation, and without.

    places: from `places_of`. wanted: where weights are approximated, ALL_HEADS or one layer each; None: ALL_HEADS alone.
    """

    kind = Kind.approximated_loss

    def __init__(
        self,
        places: Sequence[Place],
        prompts: Prompts,
        wanted: Callable[[Site], bool] | None,
        dtype: str,
        approximations: Sequence[Approximation] = APPROXIMATIONS,
    ):
        layers = [place.site(call, None) for place in places if place.module for call in range(place.passes)]
        super().__init__(prompts, layers, wanted, 1 + len(approximations), dtype)
        self._places, self._approximations = tuple(places), tuple(approximations)
        names = (*DAMAGE, "rows")
        self._damage = {site: {name: np.zeros((GROUPS, len(approximations))) for name in names} for site in self._sums}

    def forget(self) -> None:
        super().forget()
        for sums in self._damage.values():
            for values in sums.values():
                values.fill(0)

    def _output(self, model: torch.nn.Module, site: Site, change: int, batch: Batch) -> Any:
        if change == 0:
            return batch.output
        approximation, group = self._approximations[change - 1], self._group[batch.prompts]

        def told(damage: Damage) -> None:
            rows = (damage.keys > 1) & batch.mask[:, None].to(damage.keys.device)
            for name, sums in self._damage[site].items():
                of_rows = rows if name == "rows" else vars(damage)[name] * rows
                np.add.at(sums[:, change - 1], group, of_rows.sum(dim=(1, 2)).double().cpu().numpy())

        layers = None if site == ALL_HEADS else [site]
        # Each batch draws its own: the number of its first prompt.
        seed = int(batch.prompts[0])
        with approximated_attention(model, approximation, self._places, layers, seed, told):
            return outputs(model, batch.tokens, batch.mask)

    def read(self, site: Site) -> ApproximatedLoss:
        nats, tokens, live = self._losses(site)
        sums = self._damage[site]
        damage = {name: sums[name][live] for name in DAMAGE}
        names = tuple(approximation.name for approximation in self._approximations)
        return ApproximatedLoss(names, nats[:, 1:], nats[:, 0], tokens, damage, sums["rows"][live])
