"""Where the points of a circle stand: their angles, and the phases of their modes.

What. point_angle θ ∈ (−π, π] of a bounded even sample of the points, against their number: the angle of their first two
coordinates. mode_phase = arg μ̂_k ∈
(−π, π], μ̂_k = mean e^{−ikθ}, against the degree k = 1 … `most`: with k clusters to come, they are predicted at
(2πj − arg μ̂_k)/k. What the space–time picture of a simulation is drawn from.

Reads. Points: for the phases all of them, for the angles a sample (flag `sampled`). Rows that are zero are left out.

Null. None: an angle is a place and not a statistic; the phases of independent points are uniform.

Fails when. There are fewer than two rows or coordinates. In more than two dimensions it is one shadow of the points.

Reference. Predicted angles as in the pictures of [@bruno2024emergence].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Symmetry, Variable
from gedanken.kinds import Kind
from gedanken.status import Flag, Refusal
from gedanken.theory.harmonic_power import fourier_modes

PLACE = "it is a place on the circle, not a statistic"
UNIFORM = "without structure it is uniform on the circle"


@final
@dataclass(frozen=True)
class CircleAngles(Instrument):
    """Angles of a sample, phases of all."""

    most: int = 12
    """Degrees, as of mode_power."""
    sample: int = 160
    """Lines that a picture of the page's width can keep apart."""

    reads = Kind.points
    variables = (
        Variable("point_angle", "θ", "rad", "angle of a point, against its number", (-np.pi, np.pi), curve=True,
                 no_null=PLACE),
        Variable("mode_phase", "arg μ̂_k", "rad", "phase of mean e^{−ikθ}, against the degree k", (-np.pi, np.pi),
                 curve=True, no_null=UNIFORM),
    )  # fmt: skip
    symmetries = frozenset({Symmetry.scale})
    on_request = True

    def measure(self, array: Float[np.ndarray, "n d"], rng: np.random.Generator) -> Reading:
        angles = np.arctan2(*directions_in(array, 2).T[::-1])
        n = len(angles)
        chosen = np.arange(min(n, self.sample)) * n // min(n, self.sample)
        flags = (Flag.sampled,) if n > self.sample else ()
        phases = np.angle(fourier_modes(angles, self.most))
        return {
            "point_angle": Curve(chosen.astype(float), angles[chosen], n=n, flags=flags),
            "mode_phase": Curve(np.arange(1.0, self.most + 1), phases, n=n),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        angle = np.array([0.3, 0.3])
        pair = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        phases = np.angle(np.exp(-0.3j * np.arange(1, self.most + 1)))
        expected = {"point_angle": (0.3, 1e-12), "mode_phase": (phases, 1e-12)}
        yield KnownCase("two equal points", pair, expected, "arg μ̂_k = −kθ")


def directions_in(array: Float[np.ndarray, "n d"], d: int) -> Float[np.ndarray, "m k"]:
    """The first d coordinates of every row that is not zero there, in float64. Raises Refusal if there is nothing to show."""
    rows = np.asarray(array, dtype=np.float64)[:, :d]
    if not np.isfinite(rows).all():
        raise Refusal(Flag.non_finite)
    rows = rows[np.abs(rows).max(axis=1, initial=0.0) > 0]
    if len(rows) < 2 or rows.shape[1] < d:
        raise Refusal(Flag.too_small, f"{len(rows)} directions in {rows.shape[1]} coordinates: {d} or more are needed")
    return rows
