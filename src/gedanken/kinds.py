"""Kinds: the few mathematical objects that captures make and instruments read.

Each is an array, or a small reduction of arrays with what is needed to read it honestly. They know nothing of
models, files or tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int


class Kind(StrEnum):
    """What an instrument reads. `matrix` and `points` are plain 2-D arrays (or `Factors`)."""

    matrix = "matrix"  # out × in
    pair = "pair"  # one matrix before and after
    points = "points"  # point × coordinate, a bounded sample
    trajectory = "trajectory"  # state × point × coordinate, the same points throughout
    attention = "attention"  # queries and keys of one head
    spectrum = "spectrum"  # singular values: a reduced matrix
    moments = "moments"  # n, sum, second moment: reduced points
    ensemble = "ensemble"  # log Z, ⟨E⟩ … on a temperature grid: reduced attention
    stream = "stream"  # activations at one place: moments of two halves of the text, and whole prompts of points
    surprisal = "surprisal"  # −ln p of each token, by document
    heated_loss = "heated_loss"  # −ln p summed by groups of documents, over a grid of attention temperatures
    approximated_loss = (
        "approximated_loss"  # the same under approximations of attention weights, and what each does to them
    )


@dataclass(frozen=True, slots=True)
class Factors:
    """A matrix given as the product left @ right of thin factors (LoRA, W_Qᵀ W_K of one head), never formed."""

    left: Float[np.ndarray, "out rank"]
    right: Float[np.ndarray, "rank in"]

    @property
    def shape(self) -> tuple[int, int]:
        return self.left.shape[0], self.right.shape[1]


@dataclass(frozen=True, slots=True)
class Pair:
    """A matrix before (`base`) and what was added to it (`change`): the matrix after is base + change."""

    base: Float[np.ndarray, "out in"]
    change: Float[np.ndarray, "out in"] | Factors

    @property
    def shape(self) -> tuple[int, int]:
        return self.base.shape

    @property
    def dense_change(self) -> Float[np.ndarray, "out in"]:
        """ΔW as one array."""
        change = self.change
        return change.left @ change.right if isinstance(change, Factors) else change


@dataclass(frozen=True)
class Spectrum:
    """Singular values of an out × in matrix, descending, zeros included.

    There are r = min(rows, cols) of them, or `rank_bound` where construction allows no more (a product of thin
    factors). `resolution` is the size below which a value is rounding noise of how it was computed; `quantised` says
    that the stored entries carry quantisation noise, so that small values are not the model's.
    """

    singular_values: Float[np.ndarray, " r"]
    rows: int
    cols: int
    resolution: float = 0.0
    rank_bound: int | None = None
    quantised: bool = False

    @cached_property
    def eigenvalues(self) -> Float[np.ndarray, " r"]:
        """λ = σ² of WᵀW, descending."""
        return self.singular_values**2

    @property
    def size(self) -> int:
        """r: how many singular values the matrix can have."""
        return self.rank_bound or min(self.rows, self.cols)

    @property
    def aspect(self) -> float:
        """min(rows, cols) / max(rows, cols) ∈ (0, 1]."""
        return min(self.rows, self.cols) / max(self.rows, self.cols)

    @cached_property
    def resolved(self) -> Float[np.ndarray, " k"]:
        """The singular values above `resolution`, descending."""
        return self.singular_values[self.singular_values > self.resolution]


PROBES = 1024
"""Rows behind a standard error: its own relative error is then about 1/√(2·1024) = 2 %, at 1/16 of the cost of the
second moment of 32,000 rows."""


@dataclass(frozen=True)
class Moments:
    """First and second moment sums of n points, accumulated in float64 over all of them.

    `total` = Σx (length d) and `second` = Σ x xᵀ (d × d). `sample` holds at most a few thousand of the points, drawn
    evenly, for quantities that need rows (errors, quantiles). `dropped` counts zero rows left out;
    `smallest_norm` is the smallest kept row norm over the median one, before any normalisation.
    `groups` holds (n, Σx, ‖Σxxᵀ‖_F²) of consecutive stretches of rows. `tables` says how many tables of n such points
    share their space: 2 for the embedding and the unembedding of a model that does not tie them.
    """

    n: int
    total: Float[np.ndarray, " d"]
    second: Float[np.ndarray, "d d"]
    sample: Float[np.ndarray, "s d"]
    dropped: int = 0
    smallest_norm: float = 1.0
    groups: tuple[tuple[int, np.ndarray, float], ...] = ()
    quantised: bool = False
    tables: int = 1

    @classmethod
    def of(cls, points: Float[np.ndarray, "n d"]) -> "Moments":
        """Of a small float64 array, as it stands: no preparation, no groups."""
        return cls(len(points), points.sum(axis=0), points.T @ points, points)

    @property
    def dimension(self) -> int:
        return self.total.shape[0]

    @cached_property
    def probes(self) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
        """x·Σx and xᵀ(Σxxᵀ)x of at most PROBES rows x of the sample, drawn evenly: what errors of unit rows are made from,
        and so of float32 products, 10⁻⁶ of themselves."""
        count = min(PROBES, len(self.sample))
        rows = self.sample[np.arange(count) * len(self.sample) // max(count, 1)]
        single = rows.astype(np.float32)
        quadratic = np.einsum("ij,ij->i", single @ self.second.astype(np.float32), single)
        return rows @ self.total, quadratic.astype(np.float64)


@dataclass(frozen=True)
class Trajectory:
    """The same points at several states: tokens over depth, particles over time.

    `states` is any sequence of point × coordinate arrays, `at` where each stands (relative depth in
    [0, 1], or time). `group` numbers the exchangeable unit of each point (its prompt), None if points are exchangeable
    themselves; `position` is each token's place in its prompt.
    """

    states: Sequence[Float[np.ndarray, "point _coordinate"]]
    at: Float[np.ndarray, " state"]
    group: Int[np.ndarray, " point"] | None = None
    position: Int[np.ndarray, " point"] | None = None


FIRST_POSITIONS = 4
"""Tokens at the start of a prompt that hold attention sinks and massive activations [@xiao2024streaming]: measured
apart from the rest."""


@dataclass(frozen=True)
class Stream:
    """Activations at one place of a network, over a text whose first half fits what must be fitted.

    `fit` and `report`: moments of the rows kept (not among the first FIRST_POSITIONS of their prompt, no padding) of the
    first and of the second half of the prompts; `excluded`: how many rows at the first positions of the second were not.
    `fit_absolute`: mean |h| of every coordinate over `fit`, by which massive coordinates are chosen.
    `points`: whole prompts of the second half, at most a few thousand rows, first positions included, with the prompt
    and position of each; the same tokens at every place. Empty (0 rows) where only moments were asked for.
    `derived` holds what instruments have made of it and share.
    """

    fit: Moments
    report: Moments
    excluded: int
    fit_absolute: Float[np.ndarray, " d"]
    points: Float[np.ndarray, "n d"]
    prompt: Int[np.ndarray, " n"]
    position: Int[np.ndarray, " n"]
    derived: dict[tuple, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @cached_property
    def kept(self) -> Bool[np.ndarray, " n"]:
        """Which rows of `points` are not among the first positions."""
        return self.position >= FIRST_POSITIONS

    @cached_property
    def kept_points(self) -> Float[np.ndarray, "k d"]:
        """Those rows, one array for all who read them."""
        return self.points[self.kept]

    @property
    def dimension(self) -> int:
        return self.report.dimension


SHOWN = 256
"""Predicted tokens of a text whose own numbers a lab keeps: three prompts of 80 tokens to look at. As many tokens of text
are kept beside them, whole prompts (the table `prompts`)."""


@dataclass(frozen=True)
class Surprisal:
    """−ln p of each predicted token in nat, with the number of its document, and the UTF-8 bytes of each document."""

    nats: Float[np.ndarray, " token"]
    document: Int[np.ndarray, " token"]
    bytes: Int[np.ndarray, " documents"] | None = None


@dataclass(frozen=True)
class HeatedLoss:
    """−ln p summed by groups of documents, in nat, with attention logits divided by each τ of `temperatures`; and how many
    tokens each group has."""

    temperatures: Float[np.ndarray, " temperature"]
    nats: Float[np.ndarray, "group temperature"]
    tokens: Int[np.ndarray, " group"]


@dataclass(frozen=True)
class ApproximatedLoss:
    """−ln p summed by groups of documents, in nat, under each of some approximations p̃ of attention weights p, and with p.

    `damage[name]`, group × approximation, sums over `rows` attention rows (of at least two keys): excess_free_energy
    F[p̃]/T + ln Z in nat; dropped_mass, the p of keys without p̃; pattern_distance Σ|p̃ − p|; tsallis_excess, of Tsallis'
    free energy of order 2 above its own minimum, in nat.
    """

    approximations: tuple[str, ...]
    nats: Float[np.ndarray, "group approximation"]
    exact: Float[np.ndarray, " group"]
    tokens: Int[np.ndarray, " group"]
    damage: Mapping[str, Float[np.ndarray, "group approximation"]]
    rows: Float[np.ndarray, "group approximation"]


@dataclass(frozen=True)
class Attention:
    """Queries and keys of one head in one prompt, exactly as they enter the dot product.

    Logits are z = scale·q·k, passed through softcap·tanh(z/softcap) where there is a cap, plus `bias` (broadcast to query
    × key). Query i sees the keys start[i] ≤ j < stop[i], of those only the `visible` ones if that is given. `sink` is
    the logit of one more state, which has no key.
    """

    query: Float[np.ndarray, "query d"]
    key: Float[np.ndarray, "key d"]
    scale: float
    start: Int[np.ndarray, " query"]
    stop: Int[np.ndarray, " query"]
    visible: Bool[np.ndarray, "query key"] | None = None
    bias: Float[np.ndarray, "_query _key"] | None = None
    softcap: float | None = None
    sink: float | None = None


@dataclass(frozen=True)
class Ensemble:
    """Canonical ensembles of the rows (queries) of one head, over a grid of temperatures: sums by group of prompts.

    `temperatures` are τ = T'/T, in units of the head's own `temperature` T = 1/scale. Rows with one visible state are
    counted in `alone` and otherwise left out. Every sum has the groups along its first axis (at most GROUPS; prompt g
    belongs to group g mod GROUPS), and adding two ensembles adds them:

    - `sums[name]`, group × temperature: sums over rows. entropy S, log_partition ln Z, logit ⟨z⟩_p (of z at T, not τ),
      heat_capacity C = Var_p(z/τ), their shares entropy_share S/ln n and heat_capacity_share C/C_max(n); the same with
      `_without` (the first key removed and p renormalised); sink (p of the first key); schottky_share and
      schottky_mean_share (C of the two-level row with the row's gap, over C_max), schottky_entropy_share, and
      schottky_energy and schottky_free_energy, of z at T and above its mean.
    - `counts[name]`, group: rows, rows_without, sink_rows, prompts, alone, and sums over rows of uniform_mean (mean z),
      uniform_variance, gap, gap_mean, log_n_without (ln of the keys but the first).
    - `by_n[name]`, group × bin of n: rows, log_n (sum of ln n), freedom Σ(n − 1), squares ΣΣ(z − z̄_row)².
    - `spreads[name]`, three arrays (weight, mean, squared deviations) that start with the group: energy (u/τ of rows,
      by temperature), prompt_energy (the same of prompts' means, weighted by rows) and landscape (z of all row–key pairs).
    - `dipoles[name]`, group, over an even sample of rows, empty where `no_dipoles` says why: see instruments.
    """

    temperatures: Float[np.ndarray, " temperature"]
    temperature: float
    dimension: int
    sums: Mapping[str, Float[np.ndarray, "group temperature"]]
    counts: Mapping[str, Float[np.ndarray, " group"]]
    by_n: Mapping[str, Float[np.ndarray, "group bin"]]
    spreads: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    dipoles: Mapping[str, Float[np.ndarray, " group"]]
    no_dipoles: str = ""
