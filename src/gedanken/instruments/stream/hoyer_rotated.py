"""Self-test of sparsity: in randomly turned coordinates, every token has the sparsity of a random direction.

What. hoyer_rotated = mean over at most 1,024 tokens of the sparsity after one Haar rotation of the coordinates, on the
scale of hoyer_sparsity. Whatever the model, it must lie in its null band: it tests the instrument and shows that all
excess of hoyer_sparsity is alignment with the axes. It is no evidence for anything else.

Reads. stream: points of the report half, first positions left out.

Null. Random directions, turned together: mean Ω₀(d), variance that of one direction times the mean squared cosine of
two tokens (equal tokens give one draw, orthogonal ones n).

Fails when. There are fewer than two coordinates.

Reference. [@hoyer2004nonnegative, §3.1]; Haar rotations [@mezzadri2007how].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.nulls import law_band
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream._prompts import rows_of
from gedanken.kinds import Kind, Stream
from gedanken.status import Flag, Refusal
from gedanken.theory import hoyer
from gedanken.theory.ensembles import haar_orthogonal
from gedanken.theory.laws import Normal

MOST = 1024


@final
@dataclass(frozen=True)
class HoyerRotated(Instrument):
    """Sparsity after one random rotation."""

    reads = Kind.stream
    variables = (
        Variable("hoyer_rotated", "s_H(Qh)", "1", "mean sparsity of tokens after one random rotation", (0, 1)),
    )
    symmetries = frozenset()
    exchangeable = "prompt"
    on_request = True

    def measure(self, array: Stream, rng: np.random.Generator) -> Reading:
        points = _sample(array)
        if points.shape[1] < 2:
            raise Refusal(Flag.too_small, "a token has fewer than two coordinates")
        turned = points @ haar_orthogonal(points.shape[1], rng)
        mean = float(hoyer.omega(turned).mean())
        return {"hoyer_rotated": Value(mean / hoyer.largest(points.shape[1]), n=len(points))}

    def null(self, array: Stream, reading: Reading) -> dict[str, NullBand]:
        points = _sample(array)
        d, ceiling = points.shape[1], hoyer.largest(points.shape[1])
        # |u_i||u_j| are even functions, so two tokens' Ω correlate by at most the square of their cosine.
        square = float(np.sum((points.T @ points) ** 2)) / len(points) ** 2
        law = Normal(hoyer.random_mean(d) / ceiling, math.sqrt(hoyer.random_variance(d) * square) / ceiling)
        return {"hoyer_rotated": law_band(reading["hoyer_rotated"].value, law, null="random_directions")}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        # 512 coordinates, a raw Ω near 0.68 by one massive coordinate; rotated, 0.20 (anchor).
        rows = rng.standard_normal((2400, 512))
        rows[:, 5] = 60.0
        exact = hoyer.random_mean(512) / hoyer.largest(512)
        # All tokens lean on one direction: four standard errors of one draw, 0.2123/√512 each.
        expected = {"hoyer_rotated": (exact, 4 * 0.2123 / math.sqrt(512))}
        yield KnownCase("massive coordinate", stream_of(rows), expected, "four standard errors of one direction")


def _sample(stream: Stream) -> np.ndarray:
    """Unit rows."""
    points = rows_of(stream).points
    points = points[np.arange(min(MOST, len(points))) * len(points) // min(MOST, len(points))]
    points = points / np.abs(points).max(axis=1, keepdims=True)
    return points / np.linalg.norm(points, axis=1, keepdims=True)
