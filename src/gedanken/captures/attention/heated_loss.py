"""Heated loss: −ln p with attention logits divided by τ, over a grid of temperatures, all heads together or one alone.

Each batch is passed again for every temperature but τ = 1, so it costs as many passes more.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from gedanken.captures.attention.heated import heated_heads
from gedanken.captures.attention.places import Place
from gedanken.captures.base import Capture
from gedanken.captures.forward import Batch, Observer, outputs
from gedanken.captures.loss import logits_of, nats
from gedanken.kinds import HeatedLoss, Kind
from gedanken.site import Site
from gedanken.sources.prompts import Prompts
from gedanken.status import Failure, Flag, Refusal
from gedanken.theory.row_sums import GRID, GROUPS

ALL_HEADS = Site("stream", "attention_pattern")
"""Where the loss stands that has every head heated."""


class HeatedLossObserver(Observer):
    """The loss of all prompts over the grid: nothing is fitted, so both halves count.

    places: from `places_of`. wanted: which sites are heated, ALL_HEADS or one head each; None: ALL_HEADS alone.
    """

    def __init__(
        self,
        places: Sequence[Place],
        prompts: Prompts,
        wanted: Callable[[Site], bool] | None,
        dtype: str,
        temperatures: np.ndarray = GRID,
    ):
        self._places, self._dtype, self._temperatures = tuple(places), dtype, temperatures
        self._predicted = prompts.count - len(prompts)
        _, number = np.unique(prompts.document, return_inverse=True)
        self._group = number % GROUPS
        heads = [p.site(call, head) for p in places for call in range(p.passes) for head in range(p.heads or 0)]
        sites = [ALL_HEADS] if wanted is None else [site for site in (ALL_HEADS, *heads) if wanted(site)]
        self._sums = {site: np.zeros((GROUPS, len(temperatures))) for site in sites}
        self._tokens = np.zeros(GROUPS, dtype=np.int64)
        self._refusals: dict[Site, Refusal] = {}
        self._model: torch.nn.Module | None = None

    def attach(self, model: torch.nn.Module) -> None:
        self._model = model

    def detach(self) -> None:
        self._model = None

    def batch(self, batch: Batch) -> None:
        group = self._group[batch.prompts]
        np.add.at(self._tokens, group, batch.mask[:, 1:].sum(dim=1).cpu().numpy())
        for site, sums in self._sums.items():
            if site in self._refusals:
                continue
            try:
                for column, tau in enumerate(self._temperatures):
                    np.add.at(sums[:, column], group, self._by_prompt(site, float(tau), batch))
            except Refusal as refusal:
                self._refusals[site] = refusal
            except Failure as failure:
                self._refusals[site] = Refusal(Flag.not_visible, failure.sentence)

    def _by_prompt(self, site: Site, tau: float, batch: Batch) -> np.ndarray:
        """−ln p summed over each prompt of the batch."""
        if tau == 1:
            output = batch.output
        else:
            with heated_heads(self._model, tau, self._places, None if site == ALL_HEADS else [site]):
                output = outputs(self._model, batch.tokens, batch.mask)
        found = nats(logits_of(self._model, output), batch.tokens, batch.mask)
        return found.double().sum(dim=1).cpu().numpy()

    def captures(self) -> list[Capture]:
        kinds = frozenset({Kind.heated_loss})
        return [
            Capture(site, Kind.heated_loss, kinds, self._predicted, 1, self._dtype, str(site), (),
                    lambda site=site: self.read(site), flops=1e4)
            for site in self._sums
        ]  # fmt: skip

    def read(self, site: Site) -> HeatedLoss:
        """Sums by groups of documents. Raises Refusal: `not_causal`, `unseen` (heads that cannot be heated), `non_finite`."""
        if site in self._refusals:
            raise self._refusals[site]
        live = self._tokens > 0
        if not np.isfinite(self._sums[site]).all():
            raise Refusal(Flag.non_finite, "a logit is NaN or infinite")
        return HeatedLoss(self._temperatures, self._sums[site][live], self._tokens[live])
