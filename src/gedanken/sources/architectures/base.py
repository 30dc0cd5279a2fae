"""How a family's table of names is read: a stored tensor's name → sites, and the cut that takes each matrix out.

A table maps patterns to rules. A pattern is the end of a dotted name; in it `L` stands for the layer's number, `E` for
the expert's, `J` for the layer within a group (ALBERT) and `^` for the name's beginning, every other word for itself:

    "layers.L.self_attn.q_proj.weight"  →  "layers.L.attn.W_Q"

The longest pattern wins. Nothing here knows a model; the tables of the families stand in the files beside this one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np
from jaxtyping import Float

from gedanken.kinds import Kind
from gedanken.site import Site
from gedanken.sources.tensor_files.base import TensorInfo

_NUMBERED = ("L", "E", "J")
_TABLES = ("W_E", "W_U")


@dataclass(frozen=True, slots=True)
class Cut:
    """How one out × in matrix is taken from a stored tensor, in this order.

    `expert` picks one matrix of a stack along the first axis; further axes are flattened behind the first (a
    convolution kernel is out × rest); `transposed` exchanges the two; then the rows are seen as `groups` equal periods
    and rows start:stop of each period are kept. One group is a plain slice; many are heads that lie interleaved.
    """

    transposed: bool = False
    expert: int | None = None
    groups: int = 1
    start: int = 0
    stop: int | None = None

    def shape(self, stored: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns of the matrix, from the stored tensor's shape."""
        rows, cols = self._whole(stored)
        start, stop = self._period(rows)[1:]
        return self.groups * (stop - start), cols

    def apply(
        self,
        read: Callable[[int, int], np.ndarray],
        stored: tuple[int, ...],
        start: int = 0,
        stop: int | None = None,
    ) -> Float[np.ndarray, "rows cols"]:
        """Rows start:stop of the matrix. `read(a, b)` gives a:b of the stored first axis; no more is read than needed.

        A transposed tensor must be read whole whatever rows are asked.
        """
        rows = self.shape(stored)[0]
        stop = rows if stop is None else min(stop, rows)
        if start >= stop:
            return np.zeros((0, self.shape(stored)[1]), np.float32)
        places = self._places(start, stop, self._whole(stored)[0])
        if self.expert is not None:
            matrix, first = read(self.expert, self.expert + 1)[0], 0
        elif self.transposed:
            matrix, first = read(0, stored[0]), 0
        else:
            first = int(places[0])
            matrix = read(first, int(places[-1]) + 1)
        matrix = matrix.reshape(matrix.shape[0], -1)
        return self._take(matrix.T if self.transposed else matrix, places - first)

    def rows_of(self, matrix: Float[np.ndarray, "whole k"]) -> Float[np.ndarray, "rows k"]:
        """The rows that the cut keeps of a matrix that is already out × in (a thin factor of the whole, say)."""
        start, stop = self._period(matrix.shape[0])[1:]
        return self._take(matrix, self._places(0, self.groups * (stop - start), matrix.shape[0]))

    def _whole(self, stored: tuple[int, ...]) -> tuple[int, int]:
        shape = stored if self.expert is None else stored[1:]
        shape = (shape[0], prod(shape[1:]))
        return shape[::-1] if self.transposed else shape

    def _period(self, rows: int) -> tuple[int, int, int]:
        period = rows // self.groups
        return period, self.start, period if self.stop is None else self.stop

    def _places(self, start: int, stop: int, whole: int) -> np.ndarray:
        """Where rows start:stop of the cut matrix lie among the whole one's rows."""
        period, low, high = self._period(whole)
        group, row = np.divmod(np.arange(start, stop), high - low)
        return group * period + low + row

    @staticmethod
    def _take(matrix: np.ndarray, places: np.ndarray) -> np.ndarray:
        contiguous = places[-1] - places[0] == len(places) - 1
        return matrix[places[0] : places[-1] + 1] if contiguous else matrix[places]


@dataclass(frozen=True, slots=True)
class Piece:
    """One matrix of a checkpoint: where it belongs, the stored tensor that holds it, and how to cut it out.

    `notes` in one word each: fused, tied, shared, generic, kernel, quantised, permuted, unsplit, scaled, factors …
    `kind` is points for the tables with one row per token, else matrix.
    """

    site: Site
    tensor: str
    rows: int
    cols: int
    cut: Cut = Cut()
    notes: tuple[str, ...] = ()
    kind: Kind = Kind.matrix
    factored: bool = False
    """It is read as Factors, never as one array."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A tensor that gives no piece, and why."""

    tensor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """What a named tensor is. `site` is a site with L, E, J in place of numbers, without its part if `parts` are given.

    `parts` lie one after the other along the rows of each of `groups` periods, `widths` rows each: names of sizes
    (sizes.py), or nothing for equal parts. `transposed`: stored in × out. `stacked`: one matrix per expert along the
    first axis. `whole` is the part's name where sizes are not known and the tensor stays in one piece.
    """

    site: str
    parts: tuple[str, ...] = ()
    widths: tuple[str, ...] = ()
    groups: str = ""
    transposed: bool = False
    stacked: bool = False
    notes: tuple[str, ...] = ()
    whole: str = ""

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
                if expected in _NUMBERED and word.isdecimal():
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
            info.shape for name, info in tensors.items() if name.split(".")[-len(words) :] == words and len(info.shape) == 2
        ]
        return all((rows > cols) == tall for rows, cols in shapes)

    def pieces(self, info: TensorInfo, sizes: Mapping[str, int]) -> tuple[list[Piece], str] | None:
        """The pieces of one tensor and the prefix of its name; None if no rule names it."""
        found = self.match(info.name)
        if found is None or len(info.shape) < 2:
            return None
        rule, numbers, prefix = found
        return list(_apply(rule, numbers, info, sizes)), prefix


def _apply(rule: Rule, numbers: dict[str, str], info: TensorInfo, sizes: Mapping[str, int]) -> Iterator[Piece]:
    stacked = rule.stacked and len(info.shape) > 2
    alone = not stacked and len(info.shape) > 2 and info.shape[0] == 1
    base = Cut(rule.transposed, 0 if stacked or alone else None)
    cuts = rule.cuts(base.shape(info.shape)[0], sizes)
    notes = rule.notes
    if rule.parts:
        notes = ("fused", *notes) if cuts else ("fused", "unsplit", *notes)
    if len(info.shape) > 2 and base.expert is None:
        notes = (*notes, "kernel")
    for expert in range(info.shape[0]) if stacked else (base.expert,):
        for part, cut in cuts or [(rule.whole, base)]:
            words = {**numbers, "E": str(expert)} if stacked else numbers
            site = _site(f"{rule.site}.{part}" if part else rule.site, words, sizes)
            yield piece(site, info, replace(cut, expert=expert), notes)


def _site(template: str, numbers: Mapping[str, str], sizes: Mapping[str, int]) -> Site:
    words = dict(numbers)
    if "J" in words:
        words["L"] = str(int(words["L"]) * sizes.get("inner_group", 1) + int(words["J"]))
    return Site.parse(".".join(words.get(word, word) for word in template.split(".")))


def piece(site: Site, info: TensorInfo, cut: Cut, notes: tuple[str, ...]) -> Piece:
    """The piece that `cut` takes from a stored tensor."""
    rows, cols = cut.shape(info.shape)
    kind = Kind.points if site.part in _TABLES and site.block in ("embed", "unembed") else Kind.matrix
    return Piece(site, info.name, rows, cols, cut, (*notes, "quantised") if info.quantised else notes, kind)
