"""The interaction energy along a trajectory, and the plateaus on which it rests.

What. energy_staircase = 2βe^{−β}E ∈ (0, 1] at each state against time or relative depth. A plateau is a stretch of
states on which it changes by less than a factor 1.02 and which spans at least a tenth of the record; found greedily,
the longest first. plateau_count and plateau_share (of the span, in [0, 1]): many plateaus with steep steps between them
are a staircase, of clusters that merge one pair at a time; plateau_share = 1 with one plateau is a state at rest. No
unit. What spans a tenth depends on the clock: state it (arc length, time, depth).

Reads. Trajectory: at most a bounded even sample of its points (flag `sampled`; all on the circle and in three
dimensions); points of norm zero at any state are left out. O(states·n²d) by blocks.

Null. For the curve, uniform points at every state (one state's band). For the plateaus a shuffle of states is none
(time is not exchangeable): compare with a run without attention, or with random weights.

Fails when. There are fewer than two states, points or coordinates, or the states are not in order.

Reference. Staircase of energy plateaus and pairwise merging [@geshkovski2024dynamic].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.points._energy import EXACT_DIMENSIONS, normalised_energy
from gedanken.instruments.points._pairs import MOST
from gedanken.instruments.trajectory._states import OF_POINTS, state_directions, strictly_ascending
from gedanken.kinds import Kind, Trajectory
from gedanken.theory.clustering.uniform_points import UniformEnergy

NO_NULL = "it describes an order of states, so its null is another run: no attention, or random weights"


@final
@dataclass(frozen=True)
class EnergyStaircase(Instrument):
    """2βe^{−β}E over the states, and its plateaus."""

    inverse_temperature: float = 5.0
    """As for the interaction energy."""
    step: float = 1.02
    """Largest factor within a plateau: ±1 % about its middle, the width in which the theory's staircase is tested."""
    span: float = 0.1
    """Smallest share of the record that counts. A convention of this project."""
    sample: int = MOST

    reads = Kind.trajectory
    variables = (
        Variable("energy_staircase", "2βe^{−β}E", "1", "mean of e^{β(cos − 1)} at each state", (0, 1), curve=True),
        Variable("plateau_count", "n_plateau", "1", "plateaus of the energy", (0, None), no_null=NO_NULL),
        Variable("plateau_share", "s_plateau", "1", "share of the record on plateaus", (0, 1), no_null=NO_NULL),
    )
    symmetries = OF_POINTS
    on_request = True
    exchangeable = "point"

    def __post_init__(self):
        if not 0 < self.inverse_temperature < math.inf:
            raise ValueError(f"an inverse temperature must be positive and finite, not {self.inverse_temperature}")

    @classmethod
    def standard(cls) -> tuple["EnergyStaircase", ...]:
        """As for the interaction energy."""
        return cls(), cls(inverse_temperature=1.0), cls(inverse_temperature=20.0)

    def measure(self, array: Trajectory, rng: np.random.Generator) -> Reading:
        at = strictly_ascending(array.at)
        exact = len(array.states) > 0 and array.states[0].shape[1] in EXACT_DIMENSIONS
        states, flags = state_directions(array, None if exact else self.sample)
        n, d = states[0].shape
        pairs = np.array([normalised_energy(unit, self.inverse_temperature, self.sample) for unit in states])
        energy, margin = np.minimum(pairs[:, 0], 1.0), 1.96 * pairs[:, 1]
        law = UniformEnergy(self.inverse_temperature, d, n).law
        band = [np.full(len(at), law.ppf(q)) for q in (0.025, 0.975)]
        runs = plateaus(at, energy, self.step, self.span)
        share = sum(at[last] - at[first] for first, last in runs) / (at[-1] - at[0])
        curve = Curve(at, energy, np.maximum(energy - margin, 0), energy + margin, *band, n=n, flags=flags)
        return {
            "energy_staircase": curve,
            "plateau_count": Value(float(len(runs)), n=len(at), flags=flags),
            "plateau_share": Value(min(float(share), 1.0), n=len(at), flags=flags),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        beta = self.inverse_temperature
        pair = np.array([[1.0, 0.0], [-1.0, 0.0]])
        one = np.array([[1.0, 0.0], [1.0, 0.0]])
        antipodal = (1 + math.exp(-2 * beta)) / 2
        at = np.arange(8.0)
        levels = np.repeat([antipodal, 1.0], 4)
        yield KnownCase(
            "a pair that merges",
            Trajectory((pair,) * 4 + (one,) * 4, at),
            {"energy_staircase": (levels, 1e-12), "plateau_count": (2.0, 0.0), "plateau_share": (6 / 7, 1e-12)},
            "levels (1 + e^{−2β})/2 and 1; the step between them takes one of seven intervals",
        )
        yield KnownCase(
            "a pair at rest",
            Trajectory((pair,) * 5, np.arange(5.0)),
            {"energy_staircase": (antipodal, 1e-12), "plateau_count": (1.0, 0.0), "plateau_share": (1.0, 1e-12)},
            "nothing moves",
        )


def plateaus(
    at: Float[np.ndarray, " state"], energy: Float[np.ndarray, " state"], step: float, span: float
) -> list[tuple[int, int]]:
    """First and last state of each plateau, in order: stretches of max/min ≤ step over `span` of the record.

    The longest in `at` is taken first, then the longest of what is left on either side.
    """
    shortest = span * (at[-1] - at[0])
    found, parts = [], [(0, len(at))]
    while parts:
        start, stop = parts.pop()
        first, last = _longest(at[start:stop], energy[start:stop], step)
        first, last = first + start, last + start
        if last > first and at[last] - at[first] >= shortest:
            found.append((first, last))
            parts += [(start, first), (last + 1, stop)]
    return sorted(found)


def _longest(at: np.ndarray, energy: np.ndarray, step: float) -> tuple[int, int]:
    """The stretch of max/min ≤ step that is longest in `at`; (0, 0) if there is none of two states."""
    best, first = (0, 0), 0
    for last in range(len(at)):
        while energy[first : last + 1].max() > step * energy[first : last + 1].min():
            first += 1
        if at[last] - at[first] > at[best[1]] - at[best[0]]:
            best = first, last
    return best
