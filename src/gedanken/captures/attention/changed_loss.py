"""Loss of a changed model: −ln p of all prompts with attention changed in several ways, all of it or at one place."""

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from gedanken.captures.base import Capture
from gedanken.captures.forward import Batch, Observer
from gedanken.captures.loss import logits_of, nats
from gedanken.kinds import Kind
from gedanken.site import Site
from gedanken.sources.prompts import Prompts
from gedanken.status import Failure, Flag, Refusal
from gedanken.theory.row_sums import GROUPS

ALL_HEADS = Site("stream", "attention_pattern")
"""Where the loss stands that has every head changed."""


class ChangedLossObserver(Observer):
    """The loss of all prompts, which each batch passes again for every change at every site: nothing is fitted, so both
    halves count."""

    kind: ClassVar[Kind]

    def __init__(
        self, prompts: Prompts, parts: Sequence[Site], wanted: Callable[[Site], bool] | None, changes: int, dtype: str
    ):
        """parts: the sites that may be changed alone. wanted: which of ALL_HEADS and these are; None: ALL_HEADS alone."""
        sites = [ALL_HEADS] if wanted is None else [site for site in (ALL_HEADS, *parts) if wanted(site)]
        self._dtype, self._predicted = dtype, prompts.count - len(prompts)
        _, number = np.unique(prompts.document, return_inverse=True)
        self._group = number % GROUPS
        self._sums = {site: np.zeros((GROUPS, changes)) for site in sites}
        self._tokens = np.zeros(GROUPS, dtype=np.int64)
        self._refusals: dict[Site, Refusal] = {}
        self._model: torch.nn.Module | None = None

    def forget(self) -> None:
        for sums in (self._tokens, *self._sums.values()):
            sums.fill(0)
        self._refusals.clear()

    @abc.abstractmethod
    def _output(self, model: torch.nn.Module, site: Site, change: int, batch: Batch) -> Any:
        """What the model gives for a batch with one change at one site. May raise Failure or Refusal."""

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
                for change in range(sums.shape[1]):
                    logits = logits_of(self._model, self._output(self._model, site, change, batch))
                    found = nats(logits, batch.tokens, batch.mask).double().sum(dim=1)
                    np.add.at(sums[:, change], group, found.cpu().numpy())
            except Refusal as refusal:
                self._refusals[site] = refusal
            except Failure as failure:
                self._refusals[site] = Refusal(Flag.not_visible, failure.sentence)

    def captures(self) -> list[Capture]:
        return [
            Capture(site, self.kind, frozenset({self.kind}), self._predicted, 1, self._dtype, str(site), (),
                    lambda site=site: self.read(site), flops=1e4)
            for site in self._sums
        ]  # fmt: skip

    @abc.abstractmethod
    def read(self, site: Site) -> Any:
        """The object of the kind. Raises Refusal: `not_causal`, `not_visible` (what cannot be changed), `non_finite`."""

    def _losses(self, site: Site) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """−ln p, group × change, and tokens of the groups that have any; and which those are. Raises Refusal as `read`."""
        if site in self._refusals:
            raise self._refusals[site]
        if not np.isfinite(self._sums[site]).all():
            raise Refusal(Flag.non_finite, "a logit is NaN or infinite")
        live = self._tokens > 0
        return self._sums[site][live], self._tokens[live], live
