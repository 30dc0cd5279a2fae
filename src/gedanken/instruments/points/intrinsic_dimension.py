"""Local dimension of points: how the distance to near points grows with their number.

What. In D dimensions of locally uniform density, ratios μ of the distances to a point's 2k-th and k-th neighbour follow a
law in which D alone is unknown; intrinsic_dimension is its maximum-likelihood value where it is the same over at least
three octaves of k (within `spread`), from the finest such plateau. dimension_two_nn is the value at k = 1, whether there
is a plateau or not; dimension_by_scale all of them. Unit 1.

Reads. Points, of which at most an even sample of `most` is used (flag `sampled`); rows that repeat another are left out.

Null. On request, every coordinate in a random order of its own: points then fill as many dimensions as coordinates allow.

Fails when. There are fewer than `least` rows, or no plateau. Above ten dimensions the value is too low for so few rows
(20 reads as 16). Errors are those of independent points: points of one text, or of one cluster, are not.

Reference. k = 1 [@facco2017estimating, eq. 3]; any k [@denti2022generalized, eq. 7].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Symmetry, Value, Variable
from gedanken.instruments.nulls import COORDINATE_SHUFFLE
from gedanken.kinds import Kind
from gedanken.status import Flag, Refusal
from gedanken.theory import intrinsic_dimension as theory


@final
@dataclass(frozen=True)
class IntrinsicDimension(Instrument):
    """Dimension from neighbour ratios. `least` and `most` rows; `spread` tolerated over a plateau."""

    least: int = 128
    """Twice the neighbours that the widest scale counts; the standard error is then D/√N = 9 %."""
    most: int = 2048
    spread: float = 0.15

    reads = Kind.points
    variables = (
        Variable("intrinsic_dimension", "D", "1", "local dimension where it does not depend on the scale", (0, None),
                 scale="log"),
        Variable("dimension_two_nn", "D₁", "1", "local dimension from the two nearest points", (0, None), scale="log"),
        Variable("dimension_by_scale", "D(k)", "1", "local dimension, against the nearer neighbour's number k",
                 (0, None), scale="log", curve=True, no_null="the null of the value tells what no structure gives"),
    )  # fmt: skip
    symmetries = frozenset({Symmetry.scale, Symmetry.sign, Symmetry.right_rotation, Symmetry.col_permutation})
    exchangeable = "point"
    data_null = COORDINATE_SHUFFLE
    on_request = True

    def measure(self, array: Float[np.ndarray, "n d"], rng: np.random.Generator) -> Reading:
        points = np.asarray(array, dtype=np.float64)
        if not np.isfinite(points).all():
            raise Refusal(Flag.non_finite)
        points = points[np.sort(np.unique(points, axis=0, return_index=True)[1])]
        if len(points) < self.least:
            raise Refusal(Flag.too_small, f"{len(points)} distinct rows, where {self.least} are needed")
        flags = (Flag.sampled,) if len(points) > self.most else ()
        points = points[np.arange(min(len(points), self.most)) * len(points) // min(len(points), self.most)]
        points = points / np.abs(points).max()
        distances = theory.neighbour_distances(points - points.mean(axis=0), 2 * theory.SCALES[-1])
        found, errors = np.array([_at(distances, k) for k in theory.SCALES]).T
        plateau, n = theory.plateau(found, self.spread), len(points)
        return {
            "intrinsic_dimension": Refusal(Flag.no_plateau)
            if plateau is None
            # Scales share their points: their mean is as uncertain as one of them.
            else Value(float(found[plateau].mean()), float(errors[plateau].max()), n=n, flags=flags),
            "dimension_two_nn": Value(float(found[0]), float(errors[0]), n=n, flags=flags),
            "dimension_by_scale": Curve(
                np.array(theory.SCALES, float), found, found - 2 * errors, found + 2 * errors, n=n, flags=flags
            ),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        for d in (2, 5):
            ball = theory.ball(2000, d, rng) @ np.linalg.qr(rng.standard_normal((8, d)))[0].T
            expected = dict.fromkeys((v.name for v in self.variables), (float(d), 0.1 * d))
            expected["dimension_by_scale"] = (float(d), 0.2 * d)
            # stderr of a scale is D/√N = 2 %; the edge lowers D by a share of points near it, (2k/N)^(1/D).
            yield KnownCase(f"ball in {d} dimensions", ball, expected, "10 % at 2,000 points (acceptance)")


def _at(distances: Float[np.ndarray, "n m"], k: int) -> tuple[float, float]:
    """D at one scale and its standard error, from the curvature of the likelihood."""
    ratios = np.log(distances[:, 2 * k - 1] / distances[:, k - 1])
    if not np.any(ratios > 0):
        raise Refusal(Flag.constant, "every point is as far from the next as from the one after")
    dimension = theory.gride(ratios, k)
    return dimension, float(-theory.gride_score(ratios, k, dimension)[1].sum()) ** -0.5
