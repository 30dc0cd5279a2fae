"""One attention module over many prompts: its rows swept and summed, all heads of like prompts together."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool

from gedanken.captures.attention import blockwise
from gedanken.captures.attention.seen import Seen
from gedanken.captures.attention.visible import Visible
from gedanken.kinds import Attention, Ensemble
from gedanken.status import Flag, Refusal
from gedanken.theory import dipoles, row_sums
from gedanken.theory.row_sums import GRID, GROUPS, Sweep

SAMPLED = 8
"""Rows of a prompt whose dipoles are looked at: evenly spaced, so 200 prompts give 1,600, four times the draws that the
isotropic twin needs for a mean to 5 % of its spread."""


@dataclass
class HeadSums:
    """Sums over the prompts of one attention module, for every head.

    `rng` draws the isotropic twins. Refused once a call could not be seen or was not finite: then no sum would be whole.
    """

    rng: np.random.Generator
    temperatures: np.ndarray = field(default_factory=lambda: GRID)
    refusal: Refusal | None = None
    heads: int | None = None
    temperature: float = 1.0
    dimension: int = 0
    no_dipoles: str = ""
    _total: dict | None = None
    _dipoles: dict | None = None
    _other: dipoles.Keys | None = None
    """Of the prompt before: what queries are swapped with."""

    def add(self, seen: Seen, tokens: Bool[torch.Tensor, "prompt query"], prompts: np.ndarray) -> None:
        """Take in the prompts of one call; `tokens` says which queries are tokens, `prompts` their numbers."""
        if self.refusal is not None:
            return
        try:
            for places, rows in _alike(seen.visible, tokens):
                self._add(Bundle.of(seen, places, rows), [int(prompts[place]) % GROUPS for place in places])
        except Refusal as refusal:
            self.refusal = refusal

    def _add(self, bundle: "Bundle", groups: list[int]) -> None:
        self.heads, self.temperature, self.dimension = bundle.heads, 1 / bundle.scale, bundle.dimension
        self.no_dipoles = bundle.no_dipoles
        whole, without, first = bundle.sweeps(self.temperatures)
        if not np.isfinite(whole.weight).all() or np.isnan(whole.peak).any():
            raise Refusal(Flag.non_finite, "an attention logit is NaN or infinite")
        n = whole.weight[..., 0]
        if not (n == n[0]).all():
            raise Refusal(Flag.not_visible, "heads of this module see different keys, which is not read here")
        for number, group in enumerate(groups):
            own = bundle.of_prompt(number)
            of_whole, of_without = (Sweep(*(part[own] for part in swept)) for swept in (whole, without))
            part = row_sums.prompt_sums(of_whole, of_without, first[own], self.temperatures)
            if self._total is None:
                self._total = row_sums.empty_like(part)
            row_sums.add_into(self._total, part, group)
        if not self.no_dipoles:
            self._add_dipoles(bundle, groups)

    def _add_dipoles(self, bundle: "Bundle", groups: list[int]) -> None:
        query, key, seen = bundle.sampled()
        query, of_keys = query * bundle.scale, len(key) // bundle.prompts
        for number, group in enumerate(groups):
            own = key[number * of_keys : (number + 1) * of_keys]
            fields = query[bundle.of_prompt(number)]
            found = dipoles.sampled_sums(fields, own, seen, bundle.scale, self.rng, self._other)
            self._other = own, seen
            if self._dipoles is None:
                self._dipoles = {name: np.zeros((self.heads, GROUPS)) for name in found}
            for name, values in found.items():
                self._dipoles[name][:, group] += values
        self._other = own.copy(), seen

    def ensemble(self, head: int) -> Ensemble:
        """One head's sums. Raises Refusal where the attention could not be seen, or no row was."""
        if self.refusal is not None:
            raise self.refusal
        if self._total is None or head >= self.heads:
            raise Refusal(Flag.not_visible, "the module was not called, or has fewer heads than its configuration says")
        own = {name: values[head] for name, values in (self._dipoles or {}).items()}
        of_rows = row_sums.of_head(self._total, head)
        return Ensemble(
            self.temperatures, self.temperature, self.dimension, **of_rows, dipoles=own, no_dipoles=self.no_dipoles
        )


def _alike(visible: Visible, tokens: Bool[torch.Tensor, "prompt query"]) -> list[tuple[list[int], torch.Tensor]]:
    """Places of the prompts whose tokens see the same keys, with the rows of these tokens. Where a mask or a bias says it
    pair by pair, each stands alone."""
    alone = visible.dense is not None or visible.bias is not None
    told = [torch.where(tokens, part.to(tokens.device), -1).cpu().numpy() for part in (visible.start, visible.stop)]
    found: dict[tuple, list[int]] = {}
    for place in range(len(tokens)):
        found.setdefault((place,) if alone else tuple(part[place].tobytes() for part in told), []).append(place)
    return [(places, torch.nonzero(tokens[places[0]])[:, 0]) for places in found.values()]


@dataclass(frozen=True)
class Bundle:
    """Prompts of a call whose rows see the same keys, swept together: the heads of the first prompt, of the next …

    `logits` by blocks, `heads` of one prompt, and what each row sees.
    """

    logits: blockwise.Logits
    rows: blockwise.Rows
    heads: int
    prompts: int
    dimension: int
    query: torch.Tensor | None
    key: torch.Tensor | None
    scale: float
    sink: np.ndarray | None
    no_dipoles: str

    @classmethod
    def of(cls, seen: Seen, places: list[int], rows: torch.Tensor) -> "Bundle":
        visible = seen.visible
        rows = rows.to(visible.start.device)
        dense = None if visible.dense is None else visible.dense[places[0]][:, rows]
        own = blockwise.Rows(visible.start[places[0], rows], visible.stop[places[0], rows], dense)
        sink = None if seen.sink is None else seen.sink.detach().double().cpu().numpy().reshape(-1)
        count = len(places)
        if seen.scores is not None:
            scores = seen.scores[places][:, :, rows].flatten(0, 1)
            scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
            told = "the module's queries and keys could not be seen, its logits were"
            heads = len(scores) // count
            return cls(lambda r, k: scores[:, r, k].clone(), own, heads, count, 0, None, None, 1.0, sink, told)
        query, key = seen.query[places][:, :, rows].flatten(0, 1), seen.key[places].flatten(0, 1)
        bias = visible.bias
        if bias is not None:
            bias = bias[places[0] if len(bias) > 1 else 0]
            bias = bias[:, rows] if bias.shape[1] > 1 else bias
        logits = blockwise.products(query, key, seen.scale, seen.softcap, bias)
        told = ""
        if seen.softcap is not None or bias is not None or sink is not None:
            told = "logits have a soft cap, a bias or a state without key, so −q·k is not the energy"
        heads = len(query) // count
        return cls(logits, own, heads, count, query.shape[-1], query, key, seen.scale, sink, told)

    def of_prompt(self, number: int) -> slice:
        """The heads of one prompt."""
        return slice(number * self.heads, (number + 1) * self.heads)

    def sweeps(self, temperatures: np.ndarray) -> tuple[Sweep, Sweep, np.ndarray]:
        """All keys; all but the first that any row sees; and the logit of that one (−∞ where it is not seen)."""
        b = row_sums.inverse(temperatures)
        start, stop, dense = self.rows.start, self.rows.stop, self.rows.dense
        first = int(start.min()) if dense is None else int(dense.any(dim=1).any(dim=0).int().argmax())
        sees = (start <= first) & (first < stop) if dense is None else dense[..., first]
        key = self.logits(slice(0, len(start)), slice(first, first + 1))[..., 0].double()
        logit = torch.where(sees, key, -torch.inf).cpu().numpy()
        others = torch.where(start == first, first + 1, start)
        if dense is not None:
            dense = dense.clone()
            dense[..., first] = False
            others = start
        rest = blockwise.Rows(others, torch.maximum(stop, others), dense)
        without = blockwise.sweep(self.logits, self.prompts * self.heads, rest, b)
        if self.sink is not None:
            state = np.broadcast_to(np.tile(self.sink, self.prompts)[:, None], logit.shape)
            without = row_sums.merged(without, row_sums.single(state, len(b)), b)
        return row_sums.merged(without, row_sums.single(logit, len(b)), b), without, logit

    def sampled(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Queries of a sample of the rows with at least two keys; all keys; and which of these each of the rows sees."""
        seen = self._seen(slice(None)).sum(-1) if self.rows.dense is not None else self.rows.stop - self.rows.start
        several = torch.nonzero(seen.reshape(-1, seen.shape[-1])[0] > 1)[:, 0]
        # The last of equal stretches: the longest rows among them.
        chosen = several[
            [(i + 1) * len(several) // SAMPLED - 1 for i in range(SAMPLED)] if len(several) > SAMPLED else ...
        ]
        query, key = (part.detach().double().cpu().numpy() for part in (self.query[:, chosen], self.key))
        return query, key, self._seen(chosen)[0].cpu().numpy()

    def _seen(self, rows) -> torch.Tensor:
        """Which keys some rows see, as an array; for few rows."""
        if self.rows.dense is not None:
            return self.rows.dense[:, rows]
        place = torch.arange(int(self.rows.stop.max()), device=self.rows.stop.device)
        if self.key is not None:
            place = torch.arange(self.key.shape[-2], device=self.rows.stop.device)
        return ((place >= self.rows.start[rows, None]) & (place < self.rows.stop[rows, None]))[None]


def attention_of(seen: Seen, place: int, tokens: Bool[torch.Tensor, " query"], head: int) -> Attention:
    """Queries and keys of one head in one prompt of a call. Raises Refusal(unseen) if only logits were seen."""
    if seen.query is None:
        raise Refusal(Flag.not_visible, "the module's queries and keys could not be seen, its logits were")

    def array(x: torch.Tensor) -> np.ndarray:
        return x.detach().to(torch.promote_types(x.dtype, torch.float32)).cpu().numpy()

    visible = seen.visible
    rows = torch.nonzero(tokens)[:, 0].to(visible.start.device)
    of_key = head * seen.key.shape[1] // seen.query.shape[1]
    dense, bias = visible.dense, visible.bias
    if dense is not None:
        dense = dense[place, head if dense.shape[1] > 1 else 0][rows].cpu().numpy()
    if bias is not None:
        bias = bias[place if len(bias) > 1 else 0, head if bias.shape[1] > 1 else 0]
        bias = array(bias[rows] if len(bias) > 1 else bias)
    return Attention(
        array(seen.query[place, head, rows]),
        array(seen.key[place, of_key]),
        seen.scale,
        visible.start[place, rows].cpu().numpy(),
        visible.stop[place, rows].cpu().numpy(),
        dense,
        bias,
        seen.softcap,
        None if seen.sink is None else float(seen.sink.detach().reshape(-1)[head]),
    )
