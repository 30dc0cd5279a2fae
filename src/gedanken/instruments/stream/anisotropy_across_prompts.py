"""How far tokens of different prompts lean to one side.

What. anisotropy_across_prompts = mean cosine over all pairs of tokens in different prompts, ∈ [−1, 1], unit 1: the
"cone effect" without what tokens share because they stand in one text. anisotropy, of moments, is that of all pairs.
directional_participation_ratio_across_prompts = 1/⟨cos²⟩ over the same pairs, ∈ [1, ∞): the number of directions that
they use, d for independent ones.

Reads. stream: points of the report half, first positions left out, at most an even sample of 2,048 (flag `sampled`), whose
cosines other instruments read as well. Errors leave out groups of prompts, exactly.

Null. Independent random directions: the mean cosine is normal around 0 with variance 1/(Nd), N pairs, and cos² has
mean 1/d, so that its inverse is normal around d.

Fails when. There are fewer than two prompts.

Reference. Mean cosine as a measure of anisotropy [@ethayarajh2019contextual].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Instrument, KnownCase, NullBand, Reading, Symmetry, Value, Variable
from gedanken.instruments.nulls import law_band
from gedanken.instruments.points._pairs import MOST, cosines_of
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream._prompts import OF_STREAMS, grouped, shared, valued
from gedanken.kinds import Kind, Stream
from gedanken.status import Flag, Refusal
from gedanken.theory.laws import Normal


@final
@dataclass(frozen=True)
class AnisotropyAcrossPrompts(Instrument):
    """Mean cosine, and inverse mean squared cosine, of tokens in different prompts."""

    reads = Kind.stream
    variables = (
        Variable("anisotropy_across_prompts", "A×", "1", "mean cosine of tokens in different prompts", (-1, 1)),
        Variable("directional_participation_ratio_across_prompts", "P×", "1",
                 "inverse mean squared cosine of tokens in different prompts", (1, None), scale="log"),
    )  # fmt: skip
    symmetries = OF_STREAMS | {Symmetry.scale}
    exchangeable = "prompt"
    version = 2

    def measure(self, array: Stream, rng: np.random.Generator) -> Reading:
        sums = shared(array, ("across_prompts",), lambda: _sums_across(array))
        pairs, mean, square = (_left_out(each) for each in sums)
        cosines = cosines_of(array.kept_points, MOST)
        n, flags = len(cosines.square), cosines.flags
        with np.errstate(invalid="ignore", divide="ignore"):
            mean, square = np.where(pairs > 0, mean / pairs, np.nan), np.where(pairs > 0, square / pairs, np.nan)
            # Sums of n² terms of size 1, in units of the pairs.
            directions = np.where(square > n * np.finfo(float).eps, 1 / square, np.nan)
        return {
            "anisotropy_across_prompts": valued(mean[-1], mean[:-1], n, flags),
            "directional_participation_ratio_across_prompts": valued(
                max(directions[-1], 1.0), directions[:-1], n, flags
            )
            if np.isfinite(directions[-1])
            else Refusal(Flag.below_resolution, "no two tokens of different prompts overlap"),
        }

    def null(self, array: Stream, reading: Reading) -> dict[str, NullBand]:
        d = array.dimension
        pairs = float(shared(array, ("across_prompts",), lambda: _sums_across(array))[0].sum()) / 2
        # Var cos² = 2(d−1)/(d²(d+2)); that of 1/⟨cos²⟩ follows to first order.
        laws = {
            "anisotropy_across_prompts": Normal(0.0, 1 / math.sqrt(pairs * d)),
            "directional_participation_ratio_across_prompts": Normal(
                float(d), max(d * math.sqrt(2 * (d - 1) / (d + 2) / pairs), np.finfo(float).tiny)
            ),
        }
        return {
            name: law_band(reading[name].value, law, null="random_directions")
            for name, law in laws.items()
            if isinstance(reading[name], Value)
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        names = [variable.name for variable in self.variables]
        one = np.outer(rng.uniform(1, 2, 240), rng.standard_normal(16))
        yield KnownCase("one direction", stream_of(one), dict.fromkeys(names, (1.0, 1e-12)), "every cosine is 1")
        # Each prompt on an axis of its own pair: half of the prompts look one way, half the other.
        signs = np.where(np.arange(240) // 24 % 2, 1.0, -1.0)[:, None] * one[:1]
        # Ten prompts: of 45 pairs, 20 agree and 25 are opposite.
        yield KnownCase("opposite prompts", stream_of(signs), {names[0]: (-1 / 9, 1e-12)}, "(20 − 25)/45")


def _sums_across(array: Stream) -> Float[np.ndarray, "3 groups groups"]:
    """Number of ordered pairs of tokens in different prompts, sum of their cosines and of the squares, for every pair of
    groups of prompts. Raises Refusal: `too_small` with one prompt, and as `cosines_of`."""
    cosines = cosines_of(array.kept_points, MOST)
    prompt, group, groups = grouped(array.prompt[array.kept][cosines.index])
    if groups < 2:
        raise Refusal(Flag.too_small, "one prompt has no pairs across prompts")
    order = np.argsort(prompt, kind="stable")
    starts = np.searchsorted(group[order], np.arange(groups))
    found = np.empty((3, groups, groups))
    for at, rows in enumerate(np.split(order, starts[1:])):
        block = cosines.square[rows]
        block[prompt[rows, None] == prompt] = 0.0
        of_columns = (prompt != prompt[rows, None]).sum(axis=0), block.sum(axis=0), np.einsum("ij,ij->j", block, block)
        found[:, at] = np.add.reduceat(np.array(of_columns)[:, order], starts, axis=1)
    return found


def _left_out(sums: Float[np.ndarray, "groups groups"]) -> Float[np.ndarray, " left"]:
    """The sum over all pairs of groups without each group, and over all."""
    total = sums.sum()
    return np.append(total - sums.sum(axis=0) - sums.sum(axis=1) + np.diagonal(sums), total)
