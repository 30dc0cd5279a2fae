"""What stream instruments share: the rows used, their groups of prompts, and values with their jackknife."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Int

from gedanken.instruments.base import Symmetry, Value
from gedanken.kinds import Stream
from gedanken.status import Flag, Refusal
from gedanken.theory import jackknife

MOST_GROUPS = 64
"""Groups of prompts left out one at a time: the relative error of a standard error from them is 1/√(2·64) = 9 %."""

OF_STREAMS = frozenset({Symmetry.scale, Symmetry.sign, Symmetry.right_rotation, Symmetry.col_permutation})
"""What leaves a covariance alone, up to its scale."""

OF_COORDINATES = OF_STREAMS - {Symmetry.right_rotation}
"""What leaves statements about single coordinates alone."""


T = TypeVar("T")


@dataclass(frozen=True)
class Rows:
    """Rows of a stream divided by `scale`, with the group of prompts of each; rows of norm zero are left out."""

    points: Float[np.ndarray, "n d"]
    group: Int[np.ndarray, " n"]
    prompt: Int[np.ndarray, " n"]
    groups: int
    scale: float
    flags: tuple[Flag, ...]

    def sums(self, values: Float[np.ndarray, "n *k"]) -> Float[np.ndarray, "groups *k"]:
        """Sums of `values` over the rows of each group."""
        starts = np.searchsorted(self.group, np.arange(self.groups))
        if values.ndim == 1:
            return np.add.reduceat(values, starts)
        return np.array([part.sum(axis=0) for part in np.split(values, starts[1:])])

    @property
    def sizes(self) -> Int[np.ndarray, " groups"]:
        return np.bincount(self.group, minlength=self.groups)

    @cached_property
    def norms(self) -> Float[np.ndarray, " n"]:
        """‖x‖² of each row."""
        return np.einsum("ij,ij->i", self.points, self.points)

    @cached_property
    def prompt_starts(self) -> Int[np.ndarray, " prompts"]:
        """The first row of each prompt."""
        return np.flatnonzero(np.diff(self.prompt, prepend=self.prompt[0] - 1))


def shared(stream: Stream, key: tuple, make: Callable[[], T]) -> T:
    """What `make` gives, made once for a stream. What is shared must not be written to."""
    if key not in stream.derived:
        stream.derived[key] = make()
    return stream.derived[key]


def rows_of(stream: Stream, *, first: bool = False, least: int = 2) -> Rows:
    """The kept rows of a stream's points (with the first positions if `first`), sorted by prompt.

    Prompts are numbered in order, and consecutive ones form at most MOST_GROUPS groups: the same at every place.
    Raises Refusal: `too_small` under `least` rows, `non_finite`, `zero_rows` if all are zero.
    """
    count = len(stream.points) if first else np.count_nonzero(stream.kept)
    if count < least:
        raise Refusal(Flag.too_small, f"{count} rows, where {least} are needed")
    rows = shared(stream, ("rows", first), lambda: _rows(stream, first))
    if len(rows.points) < least:
        raise Refusal(Flag.too_small, f"{len(rows.points)} rows other than zero, where {least} are needed")
    return rows


def _rows(stream: Stream, first: bool) -> Rows:
    prompt = stream.prompt if first else stream.prompt[stream.kept]
    points = (stream.points if first else stream.kept_points).astype(np.float64)
    if np.any(np.diff(prompt) < 0):
        order = np.argsort(prompt, kind="stable")
        points, prompt = points[order], prompt[order]
    scale = float(max(points.max(), -points.min()))
    if not np.isfinite(scale):
        raise Refusal(Flag.non_finite)
    if scale == 0:
        raise Refusal(Flag.zero_rows)
    points /= scale
    number, group, groups = grouped(prompt)
    alive = points.any(axis=1)
    if alive.all():
        return Rows(points, group, number, groups, scale, ())
    group = np.unique(group[alive], return_inverse=True)[1]
    return Rows(points[alive], group, number[alive], int(group[-1]) + 1, scale, (Flag.zero_rows,))


def grouped(prompt: Int[np.ndarray, " n"]) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], int]:
    """Number of each row's prompt and of its group, and how many groups there are."""
    number = np.unique(prompt, return_inverse=True)[1]
    prompts = int(number.max()) + 1
    groups = min(prompts, MOST_GROUPS)
    return number, number * groups // prompts, groups


def valued(
    value: float, left_out: Float[np.ndarray, " groups"], n: int, flags: tuple[Flag, ...] = (), factor: float = 1.0
) -> Value:
    """factor × value with its jackknife; no error where there is one group, or where a group is all there is."""
    left_out = factor * np.asarray(left_out)
    if len(left_out) < 2 or not np.isfinite(left_out).all():
        return Value(factor * float(value), n=n, flags=flags)
    return Value(factor * float(value), jackknife.stderr(left_out), n=n, flags=flags, left_out=tuple(left_out.tolist()))
