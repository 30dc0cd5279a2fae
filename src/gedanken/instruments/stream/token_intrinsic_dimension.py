"""Local dimension of activations: how the distance to near tokens grows with their number.

What. In D dimensions of locally uniform density, ratios μ of the distances to a token's 2k-th and k-th neighbour follow a
law in which D alone is unknown; token_intrinsic_dimension is its maximum-likelihood value where it is the same over at
least three octaves of k (within 15 %), from the finest such plateau. token_dimension_two_nn is the value at k = 1, the
smallest scale, whether there is a plateau or not; token_dimension_by_scale all of them. Unit 1.

Reads. stream: points of the report half, first positions left out, at most 2,048 of them, evenly, less those that repeat
another row. Neighbours are sought in other prompts only: those in the same one are near because they are near in the
text.

Null. On request, every coordinate in a random order of its own: tokens then fill as many dimensions as coordinates allow.

Fails when. There are fewer than 2,000 distinct rows, or no plateau. Above ten dimensions the value is too low for so few rows
(20 reads as 16). Errors leave out groups of prompts, but not the neighbours they were to others.

Reference. k = 1 [@facco2017estimating, eq. 3]; any k [@denti2022generalized, eq. 7]; neighbours near in time
left out [@theiler1986spurious].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Symmetry, Variable
from gedanken.instruments.points._pairs import cosines_of
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream._prompts import OF_STREAMS, grouped, valued
from gedanken.instruments.stream_nulls import STREAM_PERMUTATION
from gedanken.kinds import Kind, Stream
from gedanken.status import Flag, Refusal
from gedanken.theory import intrinsic_dimension as theory
from gedanken.theory import jackknife


@final
@dataclass(frozen=True)
class TokenIntrinsicDimension(Instrument):
    """Dimension from neighbour ratios. `least` and `most` rows; `spread` tolerated over a plateau."""

    least: int = 2000
    """Rows below which it is refused (latent-object-permanence, §2.7)."""
    most: int = 2048
    spread: float = 0.15

    reads = Kind.stream
    variables = (
        Variable("token_intrinsic_dimension", "D", "1", "local dimension where it does not depend on the scale",
                 (0, None), scale="log"),
        Variable("token_dimension_two_nn", "D₁", "1", "local dimension from the two nearest tokens", (0, None),
                 scale="log"),
        Variable("token_dimension_by_scale", "D(k)", "1", "local dimension, against the nearer neighbour's number k",
                 (0, None), scale="log", curve=True, no_null="the null of the value tells what no structure gives"),
    )  # fmt: skip
    symmetries = OF_STREAMS | {Symmetry.scale}
    exchangeable = "prompt"
    data_null = STREAM_PERMUTATION
    version = 2

    def measure(self, array: Stream, rng: np.random.Generator) -> Reading:
        distinct = _distinct(array.kept_points)
        if len(distinct) < self.least:
            raise Refusal(Flag.too_small, f"{len(distinct)} distinct rows, where {self.least} are needed")
        cosines = cosines_of(array.kept_points, self.most)
        taken = np.flatnonzero(np.isin(cosines.index, distinct))
        prompt, group, _ = grouped(array.prompt[array.kept])
        prompt, group = prompt[cosines.index], group[cosines.index]
        if np.bincount(prompt[taken]).max() > len(taken) - 2 * theory.SCALES[-1]:
            raise Refusal(Flag.too_small, "too few tokens in other prompts")
        lengths, flags = cosines.lengths, cosines.flags
        distances = theory.distances_from(cosines.square, lengths, lengths, 2 * theory.SCALES[-1], prompt, taken)
        groups = np.unique(group[taken], return_inverse=True)[1]
        found = np.array([_at(distances, k, groups) for k in theory.SCALES])
        n, whole = len(taken), found[:, -1]
        errors = np.array([jackknife.stderr(values) for values in found[:, :-1]])
        plateau = theory.plateau(whole, self.spread)
        over = found[plateau].mean(axis=0) if plateau is not None else None
        return {
            "token_intrinsic_dimension": Refusal(Flag.no_plateau)
            if over is None
            else valued(over[-1], over[:-1], n, flags),
            "token_dimension_two_nn": valued(whole[0], found[0, :-1], n, flags),
            "token_dimension_by_scale": Curve(
                np.array(theory.SCALES, float), whole, whole - 2 * errors, whole + 2 * errors, n=n, flags=flags
            ),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        for d in (2, 5):
            ball = theory.ball(2460, d, rng) @ np.linalg.qr(rng.standard_normal((8, d)))[0].T
            expected = dict.fromkeys((v.name for v in self.variables), (float(d), 0.1 * d))
            expected["token_dimension_by_scale"] = (float(d), 0.2 * d)
            # stderr of a scale is D/√N = 2 %; the edge lowers D by a share of points near it, (2k/N)^(1/D).
            yield KnownCase(f"ball in {d} dimensions", stream_of(ball), expected, "10 % at 2,000 points (acceptance)")


def _distinct(points: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " k"]:
    """The first of rows that are equal to the last bit."""
    _, same, count = np.unique(points[:, 0], return_inverse=True, return_counts=True)
    kept = count[same] == 1
    # Only rows that agree in their first entry can be equal.
    doubtful = np.flatnonzero(~kept)
    if len(doubtful):
        plain = np.ascontiguousarray(points[doubtful])
        bits = plain.view(np.dtype((np.void, plain.shape[1] * plain.itemsize))).ravel()
        kept[doubtful[np.unique(bits, return_index=True)[1]]] = True
    return np.flatnonzero(kept)


def _at(distances: Float[np.ndarray, "n m"], k: int, group: Int[np.ndarray, " n"]) -> Float[np.ndarray, " left"]:
    """D at one scale with each group left out, and with none."""
    ratios = np.log(distances[:, 2 * k - 1] / distances[:, k - 1])
    if not np.any(ratios > 0):
        raise Refusal(Flag.constant, "every token is as far from the next as from the one after")
    dimension = theory.gride(ratios, k)
    score, curve = (np.bincount(group, weights=w) for w in theory.gride_score(ratios, k, dimension))
    # One Newton step from the full estimate, where all scores sum to zero.
    return np.append(dimension - (score.sum() - score) / (curve.sum() - curve), dimension)
