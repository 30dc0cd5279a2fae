"""Instrument: a pure function with its papers. Reading, Value, Curve: its numbers with their honesty.

To write one: a file with the five labelled paragraphs in its docstring (What, Reads, Null, Fails when, Reference), one
final frozen dataclass whose fields are the only parameters, the declarations below, `measure`, and `known`.
`gedanken instruments check FILE` tells what is still missing.
"""

import abc
import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from gedanken.kinds import Kind
from gedanken.status import Flag, Refusal


@dataclass(frozen=True, slots=True)
class Value:
    """A number: with its standard error or interval where one exists, how many data it rests on, and its flags.

    `left_out`: the value with each group of the exchangeable axis left out in turn, in the groups' order. The same groups
    at every site let whole profiles be resampled together (analysis/depth).
    """

    value: float
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    flags: tuple[Flag, ...] = ()
    left_out: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """y against x, with a band and the null's band where they exist. All of one length."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    null_low: np.ndarray | None = None
    null_high: np.ndarray | None = None
    n: int | None = None
    flags: tuple[Flag, ...] = ()


Reading = Mapping[str, Value | Curve | Refusal]
"""One entry for each of the instrument's variables, under its name."""


class Symmetry(StrEnum):
    """What an input may undergo without changing the reading (or changing it by a known power: see Variable.degree).

    The member's value is the sentence shown in the docs; laws.py of the conformance suite applies each.
    """

    scale = "every entry multiplied by c > 0"
    sign = "every entry multiplied by −1"
    transpose = "rows and columns exchanged"
    rotation = "orthogonal factors on either side"
    right_rotation = "an orthogonal factor on the coordinates"
    row_permutation = "rows (points) in another order"
    col_permutation = "columns (coordinates) in another order"
    row_scale = "each row multiplied by its own c > 0"


OF_DIRECTIONS = frozenset(
    {
        Symmetry.scale,
        Symmetry.sign,
        Symmetry.right_rotation,
        Symmetry.row_permutation,
        Symmetry.col_permutation,
        Symmetry.row_scale,
    }
)
"""What leaves the angles between rows alone."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One quantity that an instrument reports; a row of the `variables` table.

    `degree`: multiplying the input by c multiplies the value by c**degree (0 = scale-free); None if it follows no
    power. `no_null`: why no null applies; empty if one does.
    `scale`: the axis it is drawn on, "linear" or "log".
    """

    name: str
    symbol: str
    unit: str
    definition: str
    bounds: tuple[float | None, float | None] = (None, None)
    degree: int | None = 0
    scale: str = "linear"
    aliases: tuple[str, ...] = ()
    no_null: str = ""
    curve: bool = False


@dataclass(frozen=True, slots=True)
class NullBand:
    """Where the value would lie without structure: median, 2.5 % and 97.5 % points, and the rank p (two-sided).

    `draws` is 0 where the distribution is a closed form.
    """

    null: str
    median: float
    low: float
    high: float
    p: float | None
    draws: int


class NullModel(abc.ABC):
    """Makes inputs of an instrument's kind that lack the structure in question (instruments/nulls.py)."""

    name: ClassVar[str]

    @abc.abstractmethod
    def shape_key(self, array: Any) -> str | None:
        """What the draws depend on, if that is only a shape (then they are kept in the lab); None if on the data."""

    @abc.abstractmethod
    def draws(self, array: Any, count: int, rng: np.random.Generator) -> Iterator[Any]:
        """`count` null inputs; for shape-only nulls, of unit Frobenius norm."""

    @abc.abstractmethod
    def norm(self, array: Any) -> float:
        """The Frobenius norm that rescales a shape-only draw to `array` (variables scale by norm**degree)."""


@dataclass(frozen=True)
class KnownCase:
    """An input with a known answer: variable → (value, absolute tolerance) or the flag of its refusal.

    For a curve the value is that of every y, or an array of them. `why` derives the tolerance.
    """

    name: str
    array: Any
    expected: Mapping[str, tuple[float | np.ndarray, float] | Flag]
    why: str


@dataclass(frozen=True)
class Instrument(abc.ABC):
    """Subclasses are final frozen dataclasses; their fields are their parameters."""

    reads: ClassVar[Kind]
    variables: ClassVar[tuple[Variable, ...]]
    symmetries: ClassVar[frozenset[Symmetry]]
    exchangeable: ClassVar[str] = ""
    """The axis a bootstrap may resample ("point", "prompt"), or empty: the input is the whole population."""
    null_model: ClassVar[NullModel | None] = None
    """The null that a scan always draws: cheap, kept by shape."""
    data_null: ClassVar[NullModel | None] = None
    """A null that needs the raw data (its draws are raw objects, reduced like the original); drawn when asked."""
    on_request: ClassVar[bool] = False
    """Too dear for every scan: measured only when asked for by name."""
    of_tables: ClassVar[bool] = False
    """It speaks of the rows of a token table, their number or order, and says nothing of activations."""
    version: ClassVar[int] = 1
    """Raise it whenever a change moves a value: stored results of other versions are then measured again."""

    @abc.abstractmethod
    def measure(self, array: Any, rng: np.random.Generator) -> Reading:
        """Read one input of kind `reads`. Pure; `rng` serves bootstraps only.

        Raises Refusal if no variable would mean anything; a Refusal in place of one value refuses that one.
        """

    def null(self, array: Any, reading: Reading) -> Mapping[str, NullBand]:
        """Closed-form null bands, by variable. Empty where the null is drawn from `null_model`."""
        return {}

    @abc.abstractmethod
    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        """Inputs with an exact or asymptotic answer."""

    @property
    def preparation(self) -> str:
        """How the capture must prepare the points before reducing them ("unit", "centred"); empty for other kinds."""
        return ""

    @classmethod
    def name(cls) -> str:
        """The file's name: `stable_rank`."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def standard(cls) -> tuple["Instrument", ...]:
        """The settings a plan measures when nothing else is asked for; the first is the one called primary."""
        return (cls(),)

    @cached_property
    def fields(self) -> str:
        """The parameters, as canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @cached_property
    def setting(self) -> str:
        """Hash of name, version and parameters: a changed parameter can never return a stale value."""
        text = f"{self.name()}\n{self.version}\n{self.fields}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @classmethod
    def paragraphs(cls) -> dict[str, str]:
        """The labelled paragraphs of the module docstring: What, Reads, Null, Fails when, Reference."""
        text = inspect.cleandoc(inspect.getmodule(cls).__doc__ or "")
        found = {}
        for block in text.split("\n\n"):
            label, dot, body = block.partition(". ")
            if dot and label in ("What", "Reads", "Null", "Fails when", "Reference"):
                found[label] = " ".join(body.split())
        return found
