"""How much structure a set of directions has at each angular scale: its power by degree.

What. mode_power P_ℓ = (1/n²) Σ_ij G_ℓ(cos_ij) against the degree ℓ = 1 … `most`, ∈ [0, 1], no unit; G_ℓ the Gegenbauer
polynomial with G_ℓ(1) = 1. On the circle P_k = |μ̂_k|², the squared mode amplitude; on S² the mean square of the 2ℓ+1
components of degree ℓ. P_1 is the squared polarization. k equal, evenly spaced clusters on a circle have power 1 at the
multiples of k and 0 elsewhere; without structure it is 1/n at every degree.

Reads. Points: in two and three dimensions all of them, O(n·most) and O(n·most²), in more at most a bounded even sample
(flag `sampled`), O(n²(d + most)) by blocks; rows of norm zero are left out.

Null. Independent uniform points: mean 1/n and variance 2(n−1)/(n³dim_ℓ) exact, law χ² of dim_ℓ degrees of freedom.

Fails when. There are fewer than two rows or coordinates. In d dimensions, structure of degree ℓ shows only in more than
about dim_ℓ^½ points: in a wide model, degrees above 2 show little but 1/n.

Reference. Modes of the mean-field equation [@bruno2024emergence]; addition theorem [@muller1966spherical].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import OF_DIRECTIONS, Curve, Instrument, KnownCase, Reading, Variable
from gedanken.instruments.points._energy import EXACT_DIMENSIONS
from gedanken.instruments.points._pairs import MOST, directions
from gedanken.kinds import Kind
from gedanken.theory.clustering.uniform_points import power_band
from gedanken.theory.harmonic_power import harmonic_power


@final
@dataclass(frozen=True)
class ModePower(Instrument):
    """Power per component of each degree."""

    most: int = 12
    """The degrees of the periodicity defect: beyond those that grow at β ≤ 50."""
    sample: int = MOST

    reads = Kind.points
    variables = (
        Variable(
            "mode_power", "P_ℓ", "1", "mean of G_ℓ(cos) over ordered pairs, against the degree ℓ", (0, 1), curve=True
        ),
    )
    symmetries = OF_DIRECTIONS
    on_request = True

    def measure(self, array: Float[np.ndarray, "n d"], rng: np.random.Generator) -> Reading:
        unit, flags = directions(array, None if array.shape[1] in EXACT_DIMENSIONS else self.sample)
        n, d = unit.shape
        low, high = power_band(self.most, d, n)
        power = np.clip(harmonic_power(unit, self.most)[1:], 0.0, 1.0)
        degrees = np.arange(1.0, self.most + 1)
        return {"mode_power": Curve(degrees, power, null_low=low, null_high=high, n=n, flags=flags)}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        degrees = np.arange(1, self.most + 1)
        angles = 2 * np.pi * np.arange(3) / 3 + 0.4
        ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        third = (degrees % 3 == 0).astype(float)
        yield KnownCase("triangle", ring, {"mode_power": (third, 1e-12)}, "Σ e^{−ikθ} is 0 unless 3 divides k")
        even = (degrees % 2 == 0).astype(float)
        for d in (3, 16):
            pole = np.eye(d)[:1]
            pair = np.concatenate([pole, -pole])
            yield KnownCase(f"antipodal pair, d = {d}", pair, {"mode_power": (even, 1e-12)}, "G_ℓ(−1) = (−1)^ℓ")
        yield KnownCase("equal rows", np.tile([[1.0, 2.0, 2.0]], (5, 1)), {"mode_power": (1.0, 1e-12)}, "G_ℓ(1) = 1")
