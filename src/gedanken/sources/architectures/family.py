"""How a family's table of names is read: a stored tensor's name → the pieces in it.

A table maps patterns to rules. A pattern is the end of a dotted name; in it `L` stands for the layer's number, `E` for
the expert's, `J` for the layer within a group (ALBERT) and `^` for the name's beginning, every other word for itself:

    "layers.L.self_attn.q_proj.weight"  →  "layers.L.attn.W_Q"

The longest pattern wins. Nothing here knows a model; the tables of the families stand in the files beside this one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gedanken.site import Site
from gedanken.sources.architectures.base import Cut, Piece, piece
from gedanken.sources.tensor_files.base import TensorInfo

_NUMBERED = ("L", "E", "J")
_LONGEST = 9
"""Digits of a layer's or expert's number; a longer word is none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a named tensor is. `site` is a site with L, E, J in place of numbers, without its part if `parts` are given.

    `parts` lie one after the other along the rows of each of `groups` periods, `widths` rows each: names of sizes
    (sizes.py), or nothing for equal parts. `transposed`: stored in × out. `stacked`: one matrix per expert along the
    first axis. `whole` names the part where sizes are not known or do not fit, and the tensor stays in one piece.
    """

    site: str
    parts: tuple[str, ...] = ()
    widths: tuple[str, ...] = ()
    groups: str = ""
    transposed: bool = False
    stacked: bool = False
    notes: tuple[str, ...] = ()
    whole: str = ""

    def __post_init__(self):
        if self.parts and not self.whole:
            raise ValueError(f"the rule for {self.site} has parts and needs a name for the whole")

    def cuts(self, rows: int, sizes: Mapping[str, int]) -> list[tuple[str, Cut]] | None:
        """Part and cut of each piece of a tensor that has `rows` rows; None if the sizes are unknown or do not fit."""
        if not self.parts:
            return [("", Cut(transposed=self.transposed))]
        groups = rows // 2 if self.groups == "pairs" else sizes.get(self.groups or "one", 0)
        if groups == 0 or rows % groups:
            return None
        period = rows // groups
        if self.widths:
            widths = [sizes.get(name, 0) for name in self.widths]
        else:
            widths = [period // len(self.parts)] * len(self.parts)
        if 0 in widths or sum(widths) != period:
            return None
        ends = np.cumsum(widths).tolist()
        return [
            (part, Cut(self.transposed, None, groups, end - width, end))
            for part, width, end in zip(self.parts, widths, ends, strict=True)
        ]


@dataclass(frozen=True)
class Family:
    """Models whose parameters are named alike.

    `model_types` are the words of a configuration (or of a GGUF header) that choose it. `tall`, for families whose
    names alone do not tell them apart: the pattern of a tensor, and whether it has more rows than columns. `tied_if`: a
    site whose presence, where there is no output head, says that the embedding serves as the head.
    """

    name: str
    rules: Mapping[str, str | Rule]
    model_types: tuple[str, ...] = ()
    tall: tuple[str, bool] | None = None
    tied_if: str = ""

    @cached_property
    def _by_ending(self) -> dict[str, list[tuple[list[str], Rule]]]:
        """The rules by the last word of their patterns, longest first."""
        endings: dict[str, list[tuple[list[str], Rule]]] = {}
        for pattern, rule in sorted(self.rules.items(), key=lambda item: -item[0].count(".")):
            words = pattern.split(".")
            entry = rule if isinstance(rule, Rule) else Rule(rule)
            endings.setdefault(words[-1], []).append((words[:-1], entry))
        return endings

    def match(self, name: str) -> tuple[Rule, dict[str, str], str] | None:
        """The rule for a tensor's name, the numbers in it, and what stands before the part that was matched."""
        words = ["^", *name.split(".")]
        for pattern, rule in self._by_ending.get(words[-1], ()):
            start = len(words) - 1 - len(pattern)
            if start < 0:
                continue
            numbers = {}
            for expected, word in zip(pattern, words[start:], strict=False):
                if expected in _NUMBERED and word.isdecimal() and len(word) <= _LONGEST:
                    numbers[expected] = word
                elif expected != word:
                    break
            else:
                return rule, numbers, ".".join(words[1:start])
        return None

    def accepts(self, tensors: Mapping[str, TensorInfo]) -> bool:
        """False if `tall` contradicts the stored shapes."""
        if self.tall is None:
            return True
        words, tall = self.tall[0].split("."), self.tall[1]
        shapes = [
            info.shape
            for name, info in tensors.items()
            if len(info.shape) == 2 and name.split(".")[-len(words) :] == words
        ]
        return all((rows > cols) == tall for rows, cols in shapes)

    def pieces(
        self, info: TensorInfo, sizes: Mapping[str, int], oriented: bool = False
    ) -> tuple[list[Piece], str] | None:
        """The pieces of one tensor and the prefix of its name; None if no rule names it or the shape contradicts it.

        `oriented`: the tensor is out × in already, however the family stores it.
        """
        found = self.match(info.name)
        if found is None or len(info.shape) < 2:
            return None
        rule, numbers, prefix = found
        if rule.stacked and (len(info.shape) != 3 or info.shape[0] == 0):
            return None
        rule = replace(rule, transposed=False) if oriented else rule
        return list(_apply(rule, numbers, info, sizes)), prefix


def _apply(rule: Rule, numbers: dict[str, str], info: TensorInfo, sizes: Mapping[str, int]) -> Iterator[Piece]:
    alone = len(info.shape) > 2 and info.shape[0] == 1
    base = Cut(rule.transposed, 0 if rule.stacked or alone else None)
    cuts = rule.cuts(base.shape(info.shape)[0], sizes)
    notes = rule.notes
    if rule.parts:
        notes = ("fused", *notes) if cuts else ("fused", "unsplit", *notes)
    if len(info.shape) > 2 and base.expert is None:
        notes = (*notes, "kernel")
    for expert in range(info.shape[0]) if rule.stacked else (base.expert,):
        for part, cut in cuts or [(rule.whole, base)]:
            words = {**numbers, "E": str(expert)} if rule.stacked else numbers
            site = _site(f"{rule.site}.{part}" if part else rule.site, words, sizes)
            yield piece(site, info, replace(cut, expert=expert), notes)


def _site(template: str, numbers: Mapping[str, str], sizes: Mapping[str, int]) -> Site:
    words = dict(numbers)
    if "J" in words:
        words["L"] = str(int(words["L"]) * sizes.get("inner_group", 1) + int(words["J"]))
    return Site.parse(".".join(words.get(word, word) for word in template.split(".")))


def under(raw: str, rules: Mapping[str, str | Rule], site: str = "layers.L") -> dict[str, str | Rule]:
    """`rules` with `raw` before every pattern and `site` before every site."""
    placed: dict[str, str | Rule] = {}
    for pattern, rule in rules.items():
        entry = rule if isinstance(rule, Rule) else Rule(rule)
        placed[f"{raw}.{pattern}"] = replace(entry, site=f"{site}.{entry.site}")
    return placed
