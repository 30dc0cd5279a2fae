"""One attention module over many prompts: its rows swept and summed, all heads together."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool

from gedanken.captures.attention import blockwise
from gedanken.captures.attention.seen import Seen
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

    def add(self, seen: Seen, tokens: Bool[torch.Tensor, "prompt query"], prompts: np.ndarray) -> None:
        """Take in the prompts of one call; `tokens` says which queries are tokens, `prompts` their numbers."""
        if self.refusal is not None:
            return
        try:
            for place, prompt in enumerate(prompts):
                self._add_prompt(seen, place, torch.nonzero(tokens[place])[:, 0], int(prompt) % GROUPS)
        except Refusal as refusal:
            self.refusal = refusal

    def _add_prompt(self, seen: Seen, place: int, rows: torch.Tensor, group: int) -> None:
        prompt = Prompt.of(seen, place, rows)
        self.heads, self.temperature, self.dimension = prompt.heads, 1 / seen.scale, prompt.dimension
        whole, without, first = prompt.sweeps(self.temperatures)
        if not np.isfinite(whole.weight).all() or np.isnan(whole.peak).any():
            raise Refusal(Flag.non_finite, "an attention logit is NaN or infinite")
        n = whole.weight[..., 0]
        if not (n == n[0]).all():
            raise Refusal(Flag.not_visible, "heads of this module see different keys, which is not read here")
        part = row_sums.prompt_sums(whole, without, first, self.temperatures)
        if self._total is None:
            self._total = row_sums.empty_like(part)
        row_sums.add_into(self._total, part, group)
        self.no_dipoles = prompt.no_dipoles
        if not self.no_dipoles:
            self._add_dipoles(prompt, group)

    def _add_dipoles(self, prompt: "Prompt", group: int) -> None:
        found = prompt.dipoles(self.rng)
        if self._dipoles is None:
            self._dipoles = {name: np.zeros((self.heads, GROUPS)) for name in found}
        for name, values in found.items():
            self._dipoles[name][:, group] += values

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


@dataclass(frozen=True)
class Prompt:
    """One prompt of a call: logits of all its heads by blocks, which rows are tokens, and what each sees."""

    logits: blockwise.Logits
    rows: blockwise.Rows
    heads: int
    dimension: int
    query: torch.Tensor | None
    key: torch.Tensor | None
    scale: float
    sink: np.ndarray | None
    no_dipoles: str

    @classmethod
    def of(cls, seen: Seen, place: int, rows: torch.Tensor) -> "Prompt":
        visible = seen.visible
        rows = rows.to(visible.start.device)
        dense = None if visible.dense is None else visible.dense[place][:, rows]
        own = blockwise.Rows(visible.start[place, rows], visible.stop[place, rows], dense)
        sink = None if seen.sink is None else seen.sink.detach().double().cpu().numpy().reshape(-1)
        if seen.scores is not None:
            scores = seen.scores[place][:, rows]
            scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
            told = "the module's queries and keys could not be seen, its logits were"
            return cls(lambda r, k: scores[:, r, k].clone(), own, len(scores), 0, None, None, 1.0, sink, told)
        query, key = seen.query[place][:, rows], seen.key[place]
        bias = visible.bias
        if bias is not None:
            bias = bias[place if len(bias) > 1 else 0]
            bias = bias[:, rows] if bias.shape[1] > 1 else bias
        logits = blockwise.products(query, key, seen.scale, seen.softcap, bias)
        told = ""
        if seen.softcap is not None or bias is not None or sink is not None:
            told = "logits have a soft cap, a bias or a state without key, so −q·k is not the energy"
        return cls(logits, own, len(query), query.shape[-1], query, key, seen.scale, sink, told)

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
        without = blockwise.sweep(self.logits, self.heads, rest, b)
        if self.sink is not None:
            state = np.broadcast_to(self.sink[:, None], logit.shape)
            without = row_sums.merged(without, row_sums.single(state, len(b)), b)
        return row_sums.merged(without, row_sums.single(logit, len(b)), b), without, logit

    def dipoles(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Sums over a sample of the rows with at least two keys, by head: see `dipoles.row_sums`."""
        seen = self._seen(slice(None)).sum(-1) if self.rows.dense is not None else self.rows.stop - self.rows.start
        several = torch.nonzero(seen.reshape(-1, seen.shape[-1])[0] > 1)[:, 0]
        # The last of equal stretches: the longest rows among them.
        chosen = several[
            [(i + 1) * len(several) // SAMPLED - 1 for i in range(SAMPLED)] if len(several) > SAMPLED else ...
        ]
        query = self.query[:, chosen].detach().double().cpu().numpy()
        key = self.key.detach().double().cpu().numpy()
        shown = self._seen(chosen)[0].cpu().numpy()
        return dipoles.sampled_sums(query * self.scale, key, shown, self.scale, rng)

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
