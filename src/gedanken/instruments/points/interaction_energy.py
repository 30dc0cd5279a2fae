"""The interaction energy of attention: how close to each other a set of directions is, at an inverse temperature.

What. interaction_energy E = (1/2βn²) Σ_ij e^{β x_i·x_j} over all ordered pairs of unit rows, i = j included, and
interaction_energy_normalised = 2βe^{−β}E ∈ (0, 1], no unit: 1 if all rows coincide, Σα² for far clusters of masses α,
at least 1/n. Attention without weights other than V = Id raises it at all times; β multiplies cosines here, so a
layer's √d_k and token norms belong inside it.

Reads. Points: in two and three dimensions all of them (O(n√β) and O(nβ) beyond `sample` rows), in more at most a
bounded even sample (flag `sampled`), O(n²d) by blocks; rows of norm zero are left out.

Null. Independent uniform points on the sphere: mean 1/n + (1 − 1/n)e^{−β}a_0 and variance exact, law a shifted χ².

Fails when. There are fewer than two rows or coordinates. In high dimension it says what the mean cosine says at β ≪ d,
and where e^{−β} ≪ 1/n only 1/n is left, the share of each row with itself. interaction_energy overflows beyond β = 700
and is refused there; the normalised form never does.

Reference. [@geshkovski2023mathematical; @rigollet2025meanfield]; its null [@hoeffding1948class, §5].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import OF_DIRECTIONS, Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.nulls import law_band
from gedanken.instruments.points._energy import EXACT_DIMENSIONS, normalised_energy
from gedanken.instruments.points._pairs import MOST, directions
from gedanken.kinds import Kind
from gedanken.status import Flag, Refusal
from gedanken.theory.clustering.uniform_points import UniformEnergy

LARGEST_EXPONENT = 700.0
"""e^β/2β is a double up to here."""


@final
@dataclass(frozen=True)
class InteractionEnergy(Instrument):
    """(1/2βn²) Σ e^{β x_i·x_j}, as it stands and in units of its largest value."""

    inverse_temperature: float = 5.0
    """β: the first of the two that the paper's pictures show [@bruno2024emergence]."""
    sample: int = MOST

    reads = Kind.points
    variables = (
        Variable("interaction_energy", "E", "1", "(1/2βn²) Σ e^{β cos} over all ordered pairs", (0, None), scale="log"),
        Variable(
            "interaction_energy_normalised", "2βe^{−β}E", "1", "mean of e^{β(cos − 1)} over ordered pairs", (0, 1)
        ),
    )
    symmetries = OF_DIRECTIONS
    exchangeable = "point"
    on_request = True

    def __post_init__(self):
        if not 0 < self.inverse_temperature < math.inf:
            raise ValueError(f"an inverse temperature must be positive and finite, not {self.inverse_temperature}")

    @classmethod
    def standard(cls) -> tuple["InteractionEnergy", ...]:
        """β = 5; 1, as in the first figures of the field; 20, where clusters are narrow."""
        return cls(), cls(inverse_temperature=1.0), cls(inverse_temperature=20.0)

    def measure(self, array: Float[np.ndarray, "n d"], rng: np.random.Generator) -> Reading:
        beta = self.inverse_temperature
        unit, flags = directions(array, None if array.shape[1] in EXACT_DIMENSIONS else self.sample)
        value, error = normalised_energy(unit, beta, self.sample)
        found = {"interaction_energy_normalised": Value(min(value, 1.0), error, n=len(unit), flags=flags)}
        if beta > LARGEST_EXPONENT:
            return found | {"interaction_energy": Refusal(Flag.too_large, f"e^β/2β at β = {beta:g} is no double")}
        unit_of = math.exp(beta) / (2 * beta)
        return found | {"interaction_energy": Value(unit_of * value, unit_of * error, n=len(unit), flags=flags)}

    def null(self, array: Float[np.ndarray, "n d"], reading: Reading) -> dict[str, NullBand]:
        found = reading["interaction_energy_normalised"]
        uniform = UniformEnergy(self.inverse_temperature, array.shape[1], found.n)
        if not uniform.sd > 0:
            return {}
        largest = math.exp(min(self.inverse_temperature, LARGEST_EXPONENT)) / (2 * self.inverse_temperature)
        units = {"interaction_energy": largest, "interaction_energy_normalised": 1.0}
        return {
            name: law_band(found.value, uniform.law, lambda value, unit=unit: unit * value, "uniform_points")
            for name, unit in units.items()
            if isinstance(reading[name], Value)
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        beta = self.inverse_temperature

        def both(normalised: float) -> dict:
            unit_of = math.exp(beta) / (2 * beta)
            return {
                "interaction_energy_normalised": (normalised, 1e-12),
                "interaction_energy": (unit_of * normalised, 1e-12 * unit_of),
            }

        yield KnownCase("equal rows", np.tile([[1.0, 2.0, 2.0]], (6, 1)), both(1.0), "every cosine is 1")
        yield KnownCase(
            "orthonormal rows",
            np.eye(8),
            both((1 + 7 * math.exp(-beta)) / 8),
            "one of eight cosines is 1, the others 0",
        )
        angles = 2 * np.pi * np.arange(4) / 4
        ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        level = (1 + 2 * math.exp(-beta) + math.exp(-2 * beta)) / 4
        yield KnownCase("square", ring, both(level), "cosines 1, 0, 0, −1")
