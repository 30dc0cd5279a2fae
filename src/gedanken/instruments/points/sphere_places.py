"""Where points on the sphere stand: longitude and latitude.

What. point_latitude ∈ [−90, 90] degrees against the longitude ∈ [−180, 180] degrees, of a bounded even sample of the
points in the order of their numbers, so that a point can be followed from state to state: the direction of their first three
coordinates, the poles on the third axis. What the turning sphere of a simulation is drawn from.

Reads. Points; of more than `sample`, a sample (flag `sampled`). Rows that are zero are left out.

Null. None: it is a place and not a statistic.

Fails when. There are fewer than three coordinates or two rows. In more than three dimensions it is one shadow of the
points.

Reference. Tokens on a sphere [@geshkovski2023mathematical].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Symmetry, Variable
from gedanken.instruments.points.circle_angles import directions_in
from gedanken.kinds import Kind
from gedanken.status import Flag

PLACE = "it is a place on the sphere, not a statistic"


@final
@dataclass(frozen=True)
class SpherePlaces(Instrument):
    """Longitude and latitude of a sample."""

    sample: int = 500
    """Dots that a picture of the page's width can keep apart."""

    reads = Kind.points
    variables = (
        Variable("point_latitude", "φ", "degree", "latitude of a point, against the longitude [degree]", (-90, 90),
                 curve=True, no_null=PLACE),
    )  # fmt: skip
    symmetries = frozenset({Symmetry.scale})
    on_request = True

    def measure(self, array: Float[np.ndarray, "n d"], rng: np.random.Generator) -> Reading:
        rows = directions_in(array, 3)
        n = len(rows)
        chosen = np.arange(min(n, self.sample)) * n // min(n, self.sample)
        x, y, z = rows[chosen].T
        flags = (Flag.sampled,) if n > self.sample else ()
        longitude, latitude = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
        return {"point_latitude": Curve(longitude, latitude, n=n, flags=flags)}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        rows = np.array([[0.0, 0.0, 2.0], [1.0, 1.0, 0.0], [0.0, -1.0, -1.0]])
        expected = {"point_latitude": (np.array([90.0, 0.0, -45.0]), 1e-12)}
        yield KnownCase("pole, equator, between", rows, expected, "tan φ = z/√(x²+y²)")
