"""Flow: the velocity field of all tokens at once, evaluated in the way that suits its dimension and interaction.

On the circle the state is the angles; in higher dimension the unit vectors, and the field is extended off the sphere by
normalising first, so that a Runge–Kutta scheme keeps its order when its result is normalised.

The clock of USA: with `peak`, time counts in units of e^−peak and nothing overflows; with `true`, in its own units.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from gedanken.sources.particles import fused, pairwise
from gedanken.sources.particles.circle import FourierMoments
from gedanken.sources.particles.interaction import Interaction
from gedanken.sources.particles.sphere import HarmonicMoments
from gedanken.status import Failure

CLOCKS = ("peak", "true")
LARGEST_EXPONENT = 700.0
"""e^709 is the largest double."""
FUSED_FROM = 512
"""Tokens from which torch's kernel is faster than blocks in numpy, its start included."""
STABLE_INTERVALS = {"euler": 2.0, "rk4": 2.785}
"""How far a scheme is stable along the negative real axis [@hairer1996stiff, § IV.2]."""


@dataclass(frozen=True, eq=False)
class Flow:
    """dx/dt of tokens on S^{d−1}. `masses` sum to one (all 1/n by default).

    `exact_pairs` sums over pairs where a faster way exists: the second witness of every test. `device` is torch's, for
    sums over pairs; moments need none. Raises Failure where the pieces do not fit together.
    """

    interaction: Interaction
    dimension: int
    masses: Float[np.ndarray, " n"] | None = None
    clock: str = "true"
    exact_pairs: bool = False
    device: str = "cpu"

    def __post_init__(self):
        fixed = self.interaction.dimension
        if self.dimension < 2:
            raise Failure(f"Tokens on a sphere need at least two coordinates, not {self.dimension}.")
        if fixed is not None and fixed != self.dimension:
            raise Failure(f"The matrices are for {fixed} coordinates, but tokens have {self.dimension}.")
        if self.clock not in CLOCKS:
            raise Failure(f"The clock is peak or true, not {self.clock!r}.")
        if self.clock == "true" and not self.interaction.softmax and self.interaction.peak > LARGEST_EXPONENT:
            raise Failure(
                f"Unnormalised attention runs e^{self.interaction.peak:.4g} times faster than a double can hold: "
                "count time by the clock `peak`."
            )
        fused.check_device(self.device)
        if self.masses is not None and (not (self.masses > 0).all() or abs(self.masses.sum() - 1) > 1e-12):
            raise Failure("Masses must be positive and sum to one.")

    @property
    def circle(self) -> bool:
        return self.dimension == 2

    @property
    def rate(self) -> float:
        """What velocities in units of the peak are multiplied by."""
        return float(np.exp(self.interaction.peak)) if self.clock == "true" and not self.interaction.softmax else 1.0

    def largest_step(self, method: str) -> float:
        """The step beyond which `euler` or `rk4` cannot follow the fastest decay: its interval over the stiffness."""
        return STABLE_INTERVALS[method] / max(self.interaction.stiffness * self.rate, np.finfo(float).tiny)

    def velocity(self, state: np.ndarray) -> np.ndarray:
        """Angular velocities at angles, tangent vectors at points (normalised first)."""
        if not self.circle:
            state = normalised(state)
        if self._moments is None:
            return self._tangent(state, self.attention(self.points(state)))
        evaluate = self._moments.angular_velocity if self.circle else self._moments.velocity
        return self.interaction.sign * self.rate * evaluate(state, self.masses, softmax=self.interaction.softmax)

    def attention(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Attention's output at unit vectors, before any projection."""
        if self._moments is not None:
            state = self.state(points)
            found = self._moments.attention(state, self.masses, softmax=self.interaction.softmax)
            return self.interaction.sign * self.rate * found
        if self._fuses(len(points)):
            return self.rate * fused.attention(self.interaction, points, self.masses, self.device)
        return self.rate * pairwise.attention(self.interaction, points, self.masses)

    def retract(self, state: np.ndarray) -> np.ndarray:
        """The nearest state on the sphere."""
        return state if self.circle else normalised(state)

    def points(self, state: np.ndarray) -> Float[np.ndarray, "n d"]:
        return points_of(state)

    def state(self, points: Float[np.ndarray, "n d"]) -> np.ndarray:
        return np.arctan2(points[:, 1], points[:, 0]) if self.circle else points

    @cached_property
    def _moments(self) -> FourierMoments | HarmonicMoments | None:
        if self.exact_pairs or not self.interaction.identity or self.dimension > 3:
            return None
        return (FourierMoments if self.circle else HarmonicMoments)(self.interaction.inverse_temperature)

    def _fuses(self, count: int) -> bool:
        if self.exact_pairs or self.interaction.hard or not fused.AVAILABLE:
            return False
        return count >= FUSED_FROM or self.device != "cpu"

    def _tangent(self, state: np.ndarray, output: Float[np.ndarray, "n d"]) -> np.ndarray:
        if self.circle:
            return np.cos(state) * output[:, 1] - np.sin(state) * output[:, 0]
        return output - np.einsum("nd,nd->n", output, state)[:, None] * state


def points_of(state: np.ndarray) -> Float[np.ndarray, "n d"]:
    """Unit vectors of angles; points as they are."""
    return np.stack([np.cos(state), np.sin(state)], axis=1) if state.ndim == 1 else state


def normalised(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    return points / np.sqrt(np.einsum("nd,nd->n", points, points))[:, None]
