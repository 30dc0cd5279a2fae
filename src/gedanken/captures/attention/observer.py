"""AttentionObserver: every head's canonical ensemble, reduced while a model runs."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from gedanken.captures.attention.head_sums import HeadSums, attention_of
from gedanken.captures.attention.places import Place, places_of
from gedanken.captures.attention.seen import Masks, Report, Seen, Watch
from gedanken.captures.base import Capture
from gedanken.captures.forward import Batch, Observer, each, outputs
from gedanken.kinds import Attention, Ensemble, Kind
from gedanken.site import Site
from gedanken.status import Flag, Refusal
from gedanken.theory.row_sums import GRID

NO_ATTENTION = "this layer has no softmax attention that a table of architectures knows"


class AttentionObserver(Observer):
    """Reduces the attention of the second half of the prompts: each head to an `Ensemble`.

    places: from `places_of`. queries and keys of one batch are kept until its pass is over, then swept and let go.
    """

    def __init__(
        self,
        places: Sequence[Place],
        wanted: Callable[[Site], bool] = lambda site: True,
        dtype: str = "float32",
        temperatures: np.ndarray = GRID,
    ):
        self._dtype, self._masks, self._watch, self._start = dtype, Masks(), None, None
        self._staged: dict[tuple[Place, int], Seen | Refusal] = {}
        self._calls: dict[Place, int] = {}
        self._wanted, self._temperatures = wanted, temperatures
        self._sums: dict[tuple[Place, int], HeadSums] = dict.fromkeys(
            (place, call)
            for place in places
            for call in range(place.passes)
            if any(wanted(site) for site in self._sites(place, call))
        )
        self.forget()

    def forget(self) -> None:
        for place, call in self._sums:
            refusal = Refusal(Flag.not_visible, NO_ATTENTION) if place.module is None else None
            self._sums[place, call] = HeadSums(_generator(place.site(call, None)), self._temperatures, refusal)

    @staticmethod
    def _sites(place: Place, call: int) -> list[Site]:
        return [place.site(call, head) for head in (range(place.heads) if place.heads else (None,))]

    def attach(self, model: torch.nn.Module) -> None:
        places = {place for place, _ in self._sums if place.module is not None}
        reports = {model.get_submodule(place.module): self._report(place) for place in places}
        self._watch = Watch(reports, self._masks)
        self._start = model.register_forward_pre_hook(lambda *_: self._begin())

    def _begin(self) -> None:
        """A new pass: what a broken one left is forgotten."""
        self._staged.clear()
        self._calls.clear()
        self._masks.clear()

    def _report(self, place: Place) -> Report:
        def report(seen: Seen | Refusal) -> None:
            # A module that several layers share is called once for each of them, in order.
            call = self._calls.get(place, 0)
            self._calls[place] = call + 1
            if (place, call) not in self._sums:
                return
            self._staged[place, call] = seen

        return report

    def batch(self, batch: Batch) -> None:
        staged = dict(self._staged)
        self._begin()
        if batch.half != "report":
            return

        def take(entry: tuple[tuple[Place, int], HeadSums]) -> None:
            key, sums = entry
            found = staged.pop(key, None)
            if isinstance(found, Refusal):
                sums.refusal = sums.refusal or found
            elif found is not None:
                sums.add(found, _tokens_of(found, batch.mask), batch.prompts)

        each(take, self._sums.items(), batch.tokens.device)

    def staged(self, mask: torch.Tensor) -> dict[Site, Attention | Refusal]:
        """Every head of the first prompt of the pass that was just made."""
        found: dict[Site, Attention | Refusal] = {}
        for (place, call), sums in self._sums.items():
            seen = self._staged.get((place, call), sums.refusal or Refusal(Flag.not_visible))
            for head, site in enumerate(self._sites(place, call)):
                try:
                    if isinstance(seen, Refusal):
                        raise seen
                    found[site] = attention_of(seen, 0, _tokens_of(seen, mask)[0], head)
                except Refusal as refusal:
                    found[site] = refusal
        return found

    def detach(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._start.remove()
        self._watch = None
        self._begin()

    def captures(self) -> list[Capture]:
        return [
            self._capture(place, call, site, number)
            for place, call in self._sums
            for number, site in enumerate(self._sites(place, call))
            if self._wanted(site)
        ]

    def _capture(self, place: Place, call: int, site: Site, head: int) -> Capture:
        def read() -> Ensemble:
            sums = self._sums[place, call]
            if place.heads is None and sums.refusal is None:
                raise Refusal(Flag.not_visible, "the number of heads is not known")
            return sums.ensemble(head)

        kinds = frozenset({Kind.ensemble})
        # Reading an ensemble is sums over some thousand numbers.
        return Capture(site, Kind.ensemble, kinds, 0, 0, self._dtype, place.module or str(site), (), read, flops=1e5)


def _tokens_of(seen: Seen, mask: torch.Tensor) -> torch.Tensor:
    """Which queries are tokens; all, where queries are not the prompt's tokens (a decoder of another length)."""
    queries = seen.visible.start.shape[1]
    if mask.shape[1] == queries:
        return mask
    return torch.ones(len(mask), queries, dtype=torch.bool, device=mask.device)


def _generator(site: Site) -> np.random.Generator:
    """A random stream of its own for every attention."""
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(str(site).encode(), digest_size=8).digest()))


def attentions(
    model: torch.nn.Module, config: Mapping[str, Any], tokens: torch.Tensor, mask: torch.Tensor
) -> dict[Site, Attention | Refusal]:
    """Queries and keys of every head on the first of some prompts, for a closer look at it.

    config: the model's own, as a dictionary. Raises Failure if no table of architectures knows the model.
    """
    observer = AttentionObserver(places_of(model, config))
    observer.attach(model)
    try:
        with torch.no_grad():
            outputs(model, tokens, mask)
        return observer.staged(mask)
    finally:
        observer.detach()
