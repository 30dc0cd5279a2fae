"""How far tokens of different prompts lean to one side.

What. anisotropy_across_prompts = mean cosine over all pairs of tokens in different prompts, ∈ [−1, 1], unit 1: the
"cone effect" without what tokens share because they stand in one text. anisotropy, of moments, is that of all pairs.
directional_participation_ratio_across_prompts = 1/⟨cos²⟩ over the same pairs, ∈ [1, ∞): the number of directions that
they use, d for independent ones.

Reads. stream: points of the report half, first positions left out. No pair is formed.

Null. Independent random directions: the mean cosine is normal around 0 with variance 1/(Nd), N pairs, and cos² has
mean 1/d, so that its inverse is normal around d.

Fails when. There are fewer than two prompts.

Reference. Mean cosine as a measure of anisotropy [@ethayarajh2019contextual].
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, NullBand, Reading, Symmetry, Value, Variable
from gedanken.instruments.nulls import law_band
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream._prompts import OF_STREAMS, rows_of, valued
from gedanken.instruments.stream._second_moment import SecondMoment, parts
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

    def measure(self, array: Stream, rng: np.random.Generator) -> Reading:
        rows = rows_of(array)
        points = rows.points / np.maximum(rows.points.max(axis=1), -rows.points.min(axis=1))[:, None]
        points /= np.sqrt(np.einsum("ij,ij->i", points, points))[:, None]
        rows = replace(rows, points=points)
        prompts = parts(rows.points, rows.prompt)
        if len(prompts) < 2:
            raise Refusal(Flag.too_small, "one prompt has no pairs across prompts")
        moment, n = SecondMoment(rows), len(points)
        group = rows.group[rows.prompt_starts]

        def across(whole: np.ndarray, own: Sequence[float] | np.ndarray) -> np.ndarray:
            return whole - moment.rest(np.bincount(group, weights=own, minlength=rows.groups))

        pairs = across(moment.n**2, [len(part) ** 2 for part in prompts])
        total = np.einsum("ij,ij->i", moment.total, moment.total)
        mean = across(total, [float(np.sum(part.sum(axis=0) ** 2)) for part in prompts])
        square = across(moment.square, moment.own_of_prompts)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean, square = np.where(pairs > 0, mean / pairs, np.nan), np.where(pairs > 0, square / pairs, np.nan)
            # Sums of n² terms of size 1, in units of the pairs.
            directions = np.where(square > n * np.finfo(float).eps, 1 / square, np.nan)
        return {
            "anisotropy_across_prompts": valued(mean[-1], mean[:-1], n, rows.flags),
            "directional_participation_ratio_across_prompts": valued(
                max(directions[-1], 1.0), directions[:-1], n, rows.flags
            )
            if np.isfinite(directions[-1])
            else Refusal(Flag.below_resolution, "no two tokens of different prompts overlap"),
        }

    def null(self, array: Stream, reading: Reading) -> dict[str, NullBand]:
        d = array.dimension
        counts = np.unique(array.prompt[array.kept], return_counts=True)[1]
        pairs = (counts.sum() ** 2 - np.sum(counts**2)) / 2
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
