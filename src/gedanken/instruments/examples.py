"""Inputs of every kind, for the conformance suite and for tests: generic ones, degenerate ones, and their transforms.

A spectrum or a set of moments is made from a raw matrix or raw points by the plainest reduction there is; the
symmetries act on the raw array, where they mean something.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Symmetry
from gedanken.instruments.ensemble import _known as heads
from gedanken.kinds import (
    FIRST_POSITIONS,
    ApproximatedLoss,
    Ensemble,
    HeatedLoss,
    Kind,
    Moments,
    Pair,
    Spectrum,
    Stream,
    Surprisal,
    Trajectory,
)
from gedanken.status import Flag, Refusal
from gedanken.theory import ensembles
from gedanken.theory.row_sums import GRID

Raw = Float[np.ndarray, "rows cols"]


def raw(kind: Kind, rng: np.random.Generator) -> Raw:
    """A generic raw array: heavy-tailed columns over noise with a few strong directions and a nonzero mean.

    For spectra, the noise is that of independent entries, and for moments, rows are nearly orthogonal (ε ≈ 0.093),
    because some quantities mean nothing for others. Streams have few dimensions under a little noise in many
    coordinates, one of them massive.
    """
    if kind == Kind.stream:
        return _stream_rows(rng)
    if kind == Kind.moments:
        return rng.standard_normal((600, 512)) * rng.uniform(0.8, 1.2, 512) + 0.05
    if kind == Kind.spectrum:
        return ensembles.spiked(96, 64, np.array([4.0, 2.5, 1.5]), rng)
    rows, cols = (160, 24) if kind == Kind.points else (96, 64)
    directions = ensembles.spiked(rows, cols, np.array([4.0, 2.5, 1.5]), rng)
    return directions * rng.gamma(2.0, 0.5, cols) + 0.02 * rng.standard_normal(cols)


def _stream_rows(rng: np.random.Generator) -> Raw:
    """5,760 rows in four dimensions, turned into 128 coordinates of different scales, with noise and a mean.

    Enough rows for what wants ten per coordinate, or 2,000 in all, or a tail of more than ten eigenvalues.
    """
    rows, cols = 2 * 120 * PROMPT, 128
    latent = rng.uniform(-1, 1, (rows, 4)) @ rng.standard_normal((4, cols))
    points = (latent + 0.01 * rng.standard_normal((rows, cols))) * rng.uniform(0.5, 1.5, cols)
    points[:, 3] += 20.0
    return points + 0.1 * rng.standard_normal(cols)


def degenerate(kind: Kind, rng: np.random.Generator) -> Iterator[tuple[str, Raw]]:
    """Raw arrays for which most quantities mean nothing, each with its name."""
    row = rng.standard_normal(8)
    yield "all zero", np.zeros((32, 16))
    yield "all equal", np.ones((32, 16))
    yield "one entry", np.ones((1, 1))
    yield "one row", row[None, :]
    yield "one column", row[:, None]
    yield "2 × 2", rng.standard_normal((2, 2))
    yield "rank one", np.outer(rng.standard_normal(32), rng.standard_normal(16))
    yield "orthogonal", ensembles.haar_orthogonal(32, rng)
    yield "half the rows zero", np.concatenate([np.zeros((16, 16)), rng.standard_normal((16, 16))])
    yield "very small", 1e-150 * rng.standard_normal((32, 16))
    yield "very large", 1e150 * rng.standard_normal((32, 16))
    if kind in (Kind.points, Kind.moments, Kind.stream, Kind.trajectory):
        yield "two equal points", np.stack([row, row])


def reduced(kind: Kind, array: Raw, preparation: str = "") -> Any:
    """The object of `kind` that stands for a raw array, read-only. Raises Refusal as a capture would."""
    array = np.array(array, dtype=float)
    made = _REDUCTIONS[kind](array, preparation)
    for part in (array, *_arrays(made)):
        part.flags.writeable = False
    return made


def _arrays(made: Any) -> Iterator[np.ndarray]:
    """Every array in an object of a kind."""
    if isinstance(made, np.ndarray):
        yield made
    elif isinstance(made, tuple | list):
        for part in made:
            yield from _arrays(part)
    elif isinstance(made, dict):
        yield from _arrays(list(made.values()))
    elif isinstance(
        made, Ensemble | Spectrum | Moments | Stream | Trajectory | Surprisal | HeatedLoss | ApproximatedLoss
    ):
        for part in vars(made).values():
            yield from _arrays(part)


def _array(array: Raw, preparation: str) -> Raw:
    return array


def _spectrum(array: Raw, preparation: str) -> Spectrum:
    values = np.linalg.svd(array, compute_uv=False)
    # The size of rounding in σ = √λ when λ comes from a Gram matrix: λ₁·r·eps.
    resolution = float(values[0] * np.sqrt(len(values) * np.finfo(float).eps))
    return Spectrum(values, *array.shape, resolution)


def _pair(array: Raw, preparation: str) -> Pair:
    """The array, and a change that turns and scales with it: each singular direction's share falls as its value grows."""
    unit = array / (np.abs(array).max() or 1.0)
    energy = float(np.sum(unit**2)) or 1.0
    return Pair(array, array - array @ (unit.T @ unit) / energy)


def _moments(points: Raw, preparation: str) -> Moments:
    norms = np.linalg.norm(points, axis=1)
    kept, norms = points[norms > 0], norms[norms > 0]
    if not len(kept):
        raise Refusal(Flag.zero_rows)
    if preparation == "centred":
        rounding = len(kept) * np.finfo(float).eps * norms.max()
        kept = kept - kept.mean(axis=0)
        norms = np.linalg.norm(kept, axis=1)
        kept, norms = kept[norms > rounding], norms[norms > rounding]
        if not len(kept):
            raise Refusal(Flag.zero_rows)
    if preparation:
        kept = kept / norms[:, None]
    groups = tuple(
        (len(part), part.sum(axis=0), float(np.sum((part.T @ part) ** 2)))
        for part in np.array_split(kept, min(8, len(kept)))
    )
    smallest = float(norms.min() / np.median(norms))
    return Moments(len(kept), kept.sum(axis=0), kept.T @ kept, kept[:2048], len(points) - len(kept), smallest, groups)


PROMPT = 24
"""Rows of a prompt in the examples of a stream; 8 where there are few rows."""


def _stream(rows: Raw, preparation: str) -> Stream:
    """First half of the rows to fit, second half to report, both in prompts of equal length."""
    length = PROMPT if len(rows) >= 10 * PROMPT else 8
    halves = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    if len(halves[0]) < 2:
        raise Refusal(Flag.too_small, "half of the rows are fewer than two")
    if not np.isfinite(rows).all():
        raise Refusal(Flag.non_finite)
    place = [np.arange(len(half)) % length for half in halves]
    fit, report = (half[at >= FIRST_POSITIONS] for half, at in zip(halves, place, strict=True))
    absolute = np.abs(fit).mean(axis=0) if len(fit) else np.zeros(rows.shape[1])
    prompt = np.arange(len(halves[1])) // length
    excluded = len(halves[1]) - len(report)
    return Stream(Moments.of(fit), Moments.of(report), excluded, absolute, halves[1].copy(), prompt, place[1])


def _trajectory(rows: Raw, preparation: str) -> Trajectory:
    """Three states: the rows, those with their strong directions strengthened, and twice so; groups of 8 rows."""
    unit = rows / (np.abs(rows).max() or 1.0)
    energy = float(np.sum(unit**2)) or 1.0
    second = rows + rows @ (unit.T @ unit) / energy
    third = second + second @ (unit.T @ unit) / energy
    group = np.arange(len(rows)) // 8
    return Trajectory((rows, second, third), np.array([0.0, 0.5, 1.0]), group, np.arange(len(rows)) % 8)


def _surprisal(rows: Raw, preparation: str) -> Surprisal:
    """The absolute entries as nats, row by row, which are the documents, of two bytes for each token."""
    if rows.size == 0:
        raise Refusal(Flag.too_small, "no token is predicted")
    if not np.isfinite(rows).all():
        raise Refusal(Flag.non_finite)
    document = np.repeat(np.arange(rows.shape[0]), rows.shape[1])
    return Surprisal(np.abs(rows).ravel(), document, np.full(rows.shape[0], 2 * rows.shape[1]))


def _heated_loss(rows: Raw, preparation: str) -> HeatedLoss:
    """The absolute entries as nats, rows as groups; heating costs the square of the distance from a τ of the row's own."""
    if rows.size == 0:
        raise Refusal(Flag.too_small, "no token is predicted")
    if not np.isfinite(rows).all():
        raise Refusal(Flag.non_finite)
    best = 0.3 * np.tanh(np.abs(rows).mean(axis=1, keepdims=True) / (np.abs(rows).mean() or 1.0))
    distance = np.log(GRID) - best
    nats = np.abs(rows).sum(axis=1, keepdims=True) * (1 + distance**2)
    return HeatedLoss(GRID.copy(), nats, np.full(rows.shape[0], rows.shape[1]))


def _approximated_loss(rows: Raw, preparation: str) -> ApproximatedLoss:
    """The absolute entries as nats, rows as groups, and six approximations that rank otherwise by each measure of damage."""
    if rows.size == 0:
        raise Refusal(Flag.too_small, "no token is predicted")
    if not np.isfinite(rows).all():
        raise Refusal(Flag.non_finite)
    exact, count = np.abs(rows).sum(axis=1), np.full(rows.shape[0], rows.shape[1])
    of_rows = np.outer(count, np.ones(6))
    orders = {"excess_free_energy": (1, 2, 3, 4, 6, 5), "dropped_mass": (0, 1, 2, 5, 4, 3),
              "pattern_distance": (2, 1, 3, 6, 5, 4), "tsallis_excess": (6, 1, 5, 2, 4, 3)}  # fmt: skip
    damage = {name: 0.1 * of_rows * np.array(order) for name, order in orders.items()}
    nats = exact[:, None] * (1 + 0.1 * np.arange(1, 7))
    return ApproximatedLoss(tuple("abcdef"), nats, exact, count, damage, of_rows)


def _ensemble(rows: Raw, preparation: str) -> Ensemble:
    """A causal head in prompts of 12 rows, whose keys are the rows and whose queries the rows before them."""
    scale = rows.shape[1] ** -0.5
    # Logits of a model are of single precision; squares of larger ones could not be summed.
    if not np.isfinite(rows).all() or np.abs(rows).max() > 1e15:
        raise Refusal(Flag.non_finite)
    parts = [rows[at : at + 12] for at in range(0, len(rows), 12)]
    return heads.of_points([(np.roll(part, 1, axis=0), part) for part in parts], scale)


_REDUCTIONS: Mapping[Kind, Callable[[Raw, str], Any]] = MappingProxyType(
    {
        Kind.matrix: _array,
        Kind.points: _array,
        Kind.pair: _pair,
        Kind.spectrum: _spectrum,
        Kind.moments: _moments,
        Kind.stream: _stream,
        Kind.trajectory: _trajectory,
        Kind.surprisal: _surprisal,
        Kind.ensemble: _ensemble,
        Kind.heated_loss: _heated_loss,
        Kind.approximated_loss: _approximated_loss,
    }
)

KINDS = frozenset(_REDUCTIONS)
"""The kinds that examples can be made of."""

SCALE = 3.7
"""The factor of the scale symmetry: not a power of two, so that rounding differs."""

TRANSFORMS: Mapping[Symmetry, Callable[[Raw, np.random.Generator], Raw]] = MappingProxyType(
    {
        Symmetry.scale: lambda array, rng: SCALE * array,
        Symmetry.sign: lambda array, rng: -array,
        Symmetry.transpose: lambda array, rng: array.T,
        Symmetry.rotation: lambda array, rng: (
            ensembles.haar_orthogonal(array.shape[0], rng) @ array @ ensembles.haar_orthogonal(array.shape[1], rng)
        ),
        Symmetry.right_rotation: lambda array, rng: array @ ensembles.haar_orthogonal(array.shape[1], rng),
        Symmetry.row_permutation: lambda array, rng: rng.permutation(array, axis=0),
        Symmetry.col_permutation: lambda array, rng: rng.permutation(array, axis=1),
        Symmetry.row_scale: lambda array, rng: rng.uniform(0.5, 2.0, (array.shape[0], 1)) * array,
    }
)
"""What each declared symmetry does to a raw array."""
