"""Layout: every tensor of a checkpoint becomes pieces or is skipped with a reason; nothing is dropped silently."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from gedanken.site import BLOCKS, Site
from gedanken.sources.architectures import (
    decoders,
    encoder_decoders,
    encoders,
    experts,
    gguf_names,
    site_names,
    torch_modules,
    vision,
)
from gedanken.sources.architectures.base import Cut, Piece, Skipped, piece
from gedanken.sources.architectures.family import Family
from gedanken.sources.architectures.sizes import Heads, heads, sizes
from gedanken.sources.tensor_files.base import TensorInfo

_GROUPS = (decoders, encoders, encoder_decoders, experts, vision, gguf_names, torch_modules, site_names)
FAMILIES: tuple[Family, ...] = tuple(family for group in _GROUPS for family in group.FAMILIES)

SCALES = ("_scale_inv", "_scale")
"""What is appended to a weight's name for the tensor that its stored values are to be multiplied by: DeepSeek's fp8
blocks [@deepseek2024v3, § 3.3], and per-tensor or per-row scales of other fp8 files."""

_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")
"""A word of a dotted name that is a number."""
_PARTS = ("W_E", "W_Q", "W_K", "W_V", "W_O", "W_router", "W_gate", "W_in", "W_out")
_W_E, _W_U = Site("embed", "W_E"), Site("unembed", "W_U")


@dataclass(frozen=True)
class Layout:
    """What a checkpoint consists of. `architecture` is its model type, else the family's name, else "unknown"."""

    architecture: str
    pieces: tuple[Piece, ...]
    skipped: tuple[Skipped, ...]
    heads: Heads | None


def layout(tensors: Mapping[str, TensorInfo], config: Mapping[str, Any], oriented: bool = False) -> Layout:
    """The pieces of named tensors, in the order of the network, from their names, shapes and the configuration.

    `oriented`: all tensors are out × in already, however the family stores them.
    """
    family = choose(tensors, config, oriented)
    known = sizes(config)
    named: list[tuple[Piece, str]] = []
    pieces: list[Piece] = []
    skipped: list[Skipped] = []
    for name, info in tensors.items():
        found = family.pieces(info, known, oriented) if family else None
        if scaled := scaled_by(name, tensors):
            skipped.append(Skipped(name, f"scale of {scaled}"))
        elif found is not None:
            named.extend((made, found[1]) for made in found[0])
        elif reason := _no_matrix(info):
            skipped.append(Skipped(name, reason))
        else:
            pieces.extend(_generic(info, ()))
    pieces.extend(_one_per_site(named, tensors))
    pieces = [replace(p, notes=(*p.notes, "scaled")) if scale_of(p.tensor, tensors) else p for p in pieces]
    pieces = _tied(pieces, family, config)
    name = config.get("model_type")
    architecture = name if isinstance(name, str) and name else family.name if family else "unknown"
    return Layout(architecture, tuple(sorted(pieces, key=_order)), tuple(skipped), _heads(pieces, config))


def scale_of(name: str, tensors: Mapping[str, TensorInfo]) -> str | None:
    """The tensor that scales `name`, if there is one and `name` is stored in an 8-bit float."""
    if name not in tensors or not tensors[name].dtype.startswith("F8"):
        return None
    return next((name + ending for ending in SCALES if name + ending in tensors), None)


def scaled_by(name: str, tensors: Mapping[str, TensorInfo]) -> str | None:
    """The tensor that `name` scales, if it does."""
    bases = (name.removesuffix(ending) for ending in SCALES if name.endswith(ending))
    return next((base for base in bases if scale_of(base, tensors) == name), None)


def choose(tensors: Mapping[str, TensorInfo], config: Mapping[str, Any], oriented: bool = False) -> Family | None:
    """The family that the configuration names, if its table fits the tensors; else the one that names most of them."""
    fitting = {family.name: family for family in FAMILIES if oriented or family.accepts(tensors)}
    stated = [family for family in fitting.values() if config.get("model_type") in family.model_types]
    text = config.get("text_config")
    if isinstance(text, Mapping):
        stated += [family for family in fitting.values() if text.get("model_type") in family.model_types]
    names = _one_of_each_kind(tensors)
    for candidates in (stated, fitting.values()):
        counts = [(sum(family.match(name) is not None for name in names), family) for family in candidates]
        most, best = max(counts, key=lambda count: count[0], default=(0, None))
        if most:
            return best
    return None


def _one_of_each_kind(tensors: Mapping[str, TensorInfo]) -> list[str]:
    """The names of the matrices, of those that differ in numbers alone only the first."""
    kinds: dict[str, str] = {}
    for name, info in tensors.items():
        if len(info.shape) > 1:
            kinds.setdefault(_NUMBER.sub("#", name), name)
    return list(kinds.values())


def _no_matrix(info: TensorInfo) -> str:
    """Why a tensor that no rule names is no matrix; empty if it is one."""
    if len(info.shape) == 0:
        return "scalar"
    if len(info.shape) == 1 or (len(info.shape) > 2 and max(info.shape) == prod(info.shape)):
        return "vector"
    if info.name.rpartition(".")[2].endswith("bias"):
        return "bias or mask"
    return ""


def _generic(info: TensorInfo, notes: tuple[str, ...]) -> Iterator[Piece]:
    """A tensor under its own name: as it is, each matrix of a stack of experts, or a kernel as out × rest."""
    notes = ("generic", *notes)
    if len(info.shape) == 2:
        yield piece(Site("other", info.name), info, Cut(), notes)
    elif info.shape[0] == 1:
        yield piece(Site("other", info.name), info, Cut(expert=0), notes)
    elif len(info.shape) == 3 and info.shape[0] and "expert" in info.name:
        for expert in range(info.shape[0]):
            yield piece(Site("other", f"{info.name}[{expert}]"), info, Cut(expert=expert), notes)
    else:
        yield piece(Site("other", info.name), info, Cut(), (*notes, "kernel"))


def _one_per_site(named: list[tuple[Piece, str]], tensors: Mapping[str, TensorInfo]) -> Iterator[Piece]:
    """Where several tensors claim one site (two towers, say), the larger tower has it, the others keep their names."""
    weight: dict[str, int] = defaultdict(int)
    claims: dict[Site, list[tuple[Piece, str]]] = defaultdict(list)
    for made, prefix in named:
        weight[prefix] += made.rows * made.cols
        claims[made.site].append((made, prefix))
    beaten: dict[str, None] = {}
    for claimants in claims.values():
        winner = max(claimants, key=lambda claim: weight[claim[1]])[0].tensor
        beaten.update({made.tensor: None for made, _ in claimants if made.tensor != winner})
    yield from (made for made, _ in named if made.tensor not in beaten)
    for tensor in beaten:
        yield from _generic(tensors[tensor], ("namesake",))


def _tied(pieces: list[Piece], family: Family | None, config: Mapping[str, Any]) -> list[Piece]:
    """Note on the embedding that it is the output head too, where the model has a head and the file holds none."""
    if family is None or not family.tied_if or _headless(config):
        return pieces
    sites = {made.site for made in pieces}
    if _W_U in sites or Site.parse("unembed.W_class") in sites or Site.parse(family.tied_if) not in sites:
        return pieces
    return [replace(p, notes=(*p.notes, "tied")) if p.site.part == "W_E" else p for p in pieces]


def _heads(pieces: list[Piece], config: Mapping[str, Any]) -> Heads | None:
    """The heads that the configuration states, unless a matrix contradicts them (layers that differ, say)."""
    stated = heads(config)
    if stated is None:
        return None
    rows = {"W_Q": stated.heads * stated.head_dim, "W_K": stated.kv_heads * stated.head_dim}
    return stated if all(made.rows == rows.get(made.site.part, made.rows) for made in pieces) else None


def _headless(config: Mapping[str, Any]) -> bool:
    """The configuration says that the checkpoint is a bare model (`GPT2Model`), not that it is tied."""
    classes = config.get("architectures")
    if not isinstance(classes, list) or not classes:
        return False
    return all(str(name).endswith("Model") and not str(name).endswith("HeadModel") for name in classes)


def _order(made: Piece) -> tuple:
    site = made.site
    place = {"embed": 0, "unembed": 2, "other": 3}.get(site.block, 1)
    block = BLOCKS.index(site.block) if site.block in BLOCKS else 0
    part = _PARTS.index(site.part) if site.part in _PARTS else len(_PARTS)
    expert = -1 if site.expert is None else site.expert
    return place, site.stack == "decoder", site.layer or 0, block, expert, part
