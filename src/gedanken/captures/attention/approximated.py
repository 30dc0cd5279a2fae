"""Approximated attention: a model whose attention weights p are replaced by others p̃ while a block lasts, and how far those
are from equilibrium.

Four kinds, of several strengths each. All give distributions over the visible keys: what is left is renormalised.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float

from gedanken.captures.attention.blockwise import products
from gedanken.captures.attention.places import Place
from gedanken.captures.attention.seen import Call, changed_calls
from gedanken.captures.attention.visible import Visible
from gedanken.site import Site
from gedanken.status import Failure

Rows = Float[torch.Tensor, "*row n"]

HALVINGS = 30
"""Of the interval, at most 1 wide, in which entmax' threshold lies: it is then known to 1e−9, below single precision."""


@dataclass(frozen=True)
class Approximation:
    """One of KINDS at a strength."""

    kind: str
    strength: float

    @property
    def name(self) -> str:
        return f"{self.kind} {self.strength:g}"

    def weights(self, logits: Rows, generator: torch.Generator) -> Rows:
        """p̃ of rows of logits, −∞ where a key is not seen; a row that sees none has zeros. `generator` draws on the host."""
        seen = torch.isfinite(logits)
        p = torch.where(seen.any(-1, keepdim=True), logits, 0.0).softmax(-1) * seen
        found = KINDS[self.kind](p, logits, self.strength, generator)
        total = found.sum(-1, keepdim=True)
        return torch.where(total > 0, found / torch.where(total > 0, total, 1.0), p)


def top_k(p: Rows, logits: Rows, strength: float, generator: torch.Generator) -> Rows:
    """The k largest weights."""
    kept = p.topk(min(int(strength), p.shape[-1]), dim=-1)
    return torch.zeros_like(p).scatter_(-1, kept.indices, kept.values)


def entmax(p: Rows, logits: Rows, strength: float, generator: torch.Generator) -> Rows:
    """[(α − 1)z − θ]₊^{1/(α−1)}, θ by bisection [@peters2019sparse, alg. 1]: the minimiser with Tsallis' entropy
    Σ(r − r^α)/(α(α − 1)); sparsemax at α = 2, softmax as α → 1."""
    z = (strength - 1) * (logits - logits.amax(-1, keepdim=True).nan_to_num(neginf=0.0))
    low = torch.full_like(z[..., :1], -1.0)
    width = 1.0
    for _ in range(HALVINGS):
        width /= 2
        middle = low + width
        enough = ((z - middle).clamp_(min=0) ** (1 / (strength - 1))).sum(-1, keepdim=True) >= 1
        low = torch.where(enough, middle, low)
    return (z - low).clamp_(min=0) ** (1 / (strength - 1))


def quantised(p: Rows, logits: Rows, strength: float, generator: torch.Generator) -> Rows:
    """Multiples of the row's largest weight over 2^bits − 1."""
    levels, top = 2**strength - 1, p.amax(-1, keepdim=True)
    return torch.round(levels * p / torch.where(top > 0, top, 1.0))


def dropout(p: Rows, logits: Rows, strength: float, generator: torch.Generator) -> Rows:
    """Each weight gone with this probability; a row that would lose all of them stays as it is."""
    return p * (torch.rand(p.shape, generator=generator) >= strength).to(p.device)


KINDS: Mapping[str, Callable[[Rows, Rows, float, torch.Generator], Rows]] = {
    "top-k": top_k,
    "entmax": entmax,
    "quantised": quantised,
    "dropout": dropout,
}

APPROXIMATIONS = tuple(
    Approximation(kind, strength)
    for kind, strengths in (
        ("top-k", (1, 2, 4, 8, 16)),
        ("entmax", (1.2, 1.4, 1.6, 1.8, 2.0)),
        ("quantised", (1, 2, 3, 4, 6)),
        ("dropout", (0.05, 0.1, 0.2, 0.4, 0.8)),
    )
    for strength in strengths
)
"""Five strengths of each kind, from slight to rough: keys, α (2 is sparsemax), bits, probability (our choice)."""


@dataclass(frozen=True)
class Damage:
    """What an approximation does to rows, beside how many keys they see: see kinds.ApproximatedLoss."""

    keys: Float[torch.Tensor, "*row"]
    excess_free_energy: Float[torch.Tensor, "*row"]
    dropped_mass: Float[torch.Tensor, "*row"]
    pattern_distance: Float[torch.Tensor, "*row"]
    tsallis_excess: Float[torch.Tensor, "*row"]


def damage_of(logits: Rows, changed: Rows) -> Damage:
    """Of weights p̃ in the place of softmax. F[p̃]/T + ln Z is taken as KL(p̃‖p), which it equals, because nothing cancels."""
    seen = torch.isfinite(logits)
    z = torch.where(seen.any(-1, keepdim=True), logits, 0.0)
    log_p = z.log_softmax(-1)
    p = log_p.exp() * seen
    kept = changed > 0
    log_ratio = torch.where(kept, changed, 1.0).log() - torch.where(kept, log_p, 0.0)
    levels = torch.where(seen, logits - z.amax(-1, keepdim=True), 0.0)

    def tsallis(r: torch.Tensor) -> torch.Tensor:
        return -(r * levels).sum(-1) - 0.5 * (r - r**2).sum(-1)

    least = Approximation("entmax", 2.0).weights(logits, torch.Generator())
    return Damage(
        seen.sum(-1).to(p.dtype),
        (changed * log_ratio).sum(-1),
        (p * ~kept).sum(-1),
        (changed - p).abs().sum(-1),
        tsallis(changed) - tsallis(least),
    )


@contextmanager
def approximated_attention(
    model: torch.nn.Module,
    approximation: Approximation,
    places: Sequence[Place],
    layers: Collection[Site] | None = None,
    seed: int = 0,
    told: Callable[[Damage], None] = lambda damage: None,
) -> Iterator[torch.nn.Module]:
    """The model with p̃ in the place of p: in all layers, or those at the sites given (`layers.3.attn.attention_pattern`).

    places: from `places_of`. told: is handed the damage of each call, prompt × head × row.
    Raises Failure for a site that is no attention of the model, or attention that cannot be reached.
    """
    known = {
        place.site(call, None): (place.module, call) for place in places if place.module for call in range(place.passes)
    }
    wanted = set(known) if layers is None else set(layers)
    if unknown := wanted - set(known):
        raise Failure(f"{sorted(map(str, unknown))[0]} is no attention of {type(model).__name__}.")
    chosen: dict[torch.nn.Module, set[int]] = {}
    for module, call in (known[site] for site in wanted):
        chosen.setdefault(model.get_submodule(module), set()).add(call)
    generator = torch.Generator().manual_seed(seed)

    def change(call: Call, number: int) -> Call | tuple:
        if number not in chosen[call.module]:
            return call
        logits = _logits(call)
        changed = approximation.weights(logits, generator)
        told(damage_of(logits, changed))
        value = call.value.repeat_interleave(call.query.shape[1] // call.value.shape[1], dim=1)
        given = (changed @ value.to(changed.dtype)).to(value.dtype)
        return given.transpose(1, 2).contiguous(), None

    with changed_calls(model, chosen, change):
        yield model


def _logits(call: Call) -> Float[torch.Tensor, "prompt head query key"]:
    """Logits of a call, −∞ where a key is not seen."""
    seen = call.see()
    every = slice(None)
    found = torch.stack([products(q, k, seen.scale)(every, every) for q, k in zip(seen.query, seen.key, strict=True)])
    bias = seen.visible.bias
    shown = _shown(seen.visible, found.shape[-1])
    return (found if bias is None else found + bias).masked_fill_(~shown, -torch.inf)


def _shown(visible: Visible, keys: int) -> Bool[torch.Tensor, "prompt _head query key"]:
    place = torch.arange(keys, device=visible.start.device)
    shown = ((place >= visible.start[..., None]) & (place < visible.stop[..., None]))[:, None]
    return shown if visible.dense is None else shown & visible.dense
