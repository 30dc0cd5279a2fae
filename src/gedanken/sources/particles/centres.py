"""Centres: late times, when every cluster is a point with a mass, in logarithmic time.

Merged tokens stay merged, so clusters of zero width obey the token equations with masses exactly. Their speeds fall like
e^{−β(1−cos Δ)} with the gap Δ to the next, so one integration spans many powers of ten. Each increment runs in its own
unit of time, 1 over the rate of the closest pair: speeds are then of order one, nothing under- or overflows at any β,
and ln t is what is recorded. Two centres closer than `merge_angle` become one, at their common centre of mass
[@geshkovski2024dynamic].
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq

from gedanken.sources.particles import adaptive
from gedanken.sources.particles.flow import normalised
from gedanken.sources.particles.interaction import Interaction
from gedanken.status import Failure

STATIONARY = 1e-14
"""Speed, in units of the closest pair's rate, that is rounding: the centres are in equilibrium."""


@dataclass(frozen=True)
class Moment:
    """The centres after an increment or a merge. `energy` is 2βe^{−β} times the interaction energy, Σ m_i m_j e^{s−peak};
    `arc_length` the length of the path so far in the metric Σ m_i |dx_i|². `log_time` is −∞ at the start."""

    log_time: float
    points: Float[np.ndarray, "centre d"]
    masses: Float[np.ndarray, " centre"]
    energy: float
    arc_length: float
    merged: tuple[int, int] | None = None
    """Numbers, before the merge, of the two centres that became one."""

    @property
    def time(self) -> float:
        """May overflow to infinity; `log_time` does not."""
        with np.errstate(over="ignore"):
            return float(np.exp(self.log_time))


@dataclass(frozen=True, eq=False)
class Centres:
    """Weighted clusters under SA or USA with Q = K = V = identity, in any dimension.

    clock: as of a Flow (`true` or `peak`; SA has one clock). Raises Failure for fewer than two centres, coincident or
    antipodal pairs that leave nothing to move, a repulsive or general interaction.
    """

    interaction: Interaction
    merge_angle: float
    tolerance: float = 1e-9
    clock: str = "true"

    def __post_init__(self):
        if not self.interaction.identity or self.interaction.repulsive or self.interaction.inverse_temperature == 0:
            raise Failure("Centres follow attractive attention with Q = K = V = identity and a positive temperature.")
        if not 0 < self.merge_angle < np.pi:
            raise Failure(f"The merge angle must lie between 0 and π, not {self.merge_angle:g}.")

    def moments(
        self,
        points: Float[np.ndarray, "centre d"],
        masses: Float[np.ndarray, " centre"] | None = None,
        log_time_limit: float = np.inf,
    ) -> Iterator[Moment]:
        """Every increment and merge, until one centre is left, ln t passes the limit, or nothing moves any more."""
        points = normalised(np.asarray(points, float))
        masses = np.full(len(points), 1 / len(points)) if masses is None else np.asarray(masses) / np.sum(masses)
        if len(points) < 2 or closest(points)[0] == 0:
            raise Failure("Centres must be two or more, and no two of them at one place.")
        log_time, length, step = -np.inf, 0.0, 0.01
        yield Moment(log_time, points, masses, self.energy(points, masses), length)
        while len(points) > 1 and log_time < log_time_limit:
            angle, pair = closest(points)
            if angle <= self.merge_angle:
                points, masses = merged(points, masses, pair)
                yield Moment(log_time, points, masses, self.energy(points, masses), length, pair)
                continue
            unit = self._rate(angle)
            stride = self._stride(points, masses, unit, step)
            if stride is None:
                return
            step = stride.pace.step
            used, points = self._cut(stride)
            log_time = np.logaddexp(log_time, np.log(used) - unit - self._log_rate)
            length += self._length(stride, used, masses, unit)
            # The proposed step is in the old unit of time.
            step *= np.exp(np.clip(self._rate(closest(points)[0]) - unit, -50, 50))
            yield Moment(float(log_time), points, masses, self.energy(points, masses), length)

    def energy(self, points: np.ndarray, masses: np.ndarray) -> float:
        """Σ m_i m_j e^{β(x_i·x_j − 1)}."""
        return float(masses @ np.exp(self._exponents(points)) @ masses)

    def _rate(self, angle: float) -> float:
        """ln of the rate of a pair at this angle, β(cos Δ − 1)."""
        return -2 * self.interaction.inverse_temperature * np.sin(angle / 2) ** 2

    @property
    def _log_rate(self) -> float:
        return self.interaction.peak if self.clock == "true" and not self.interaction.softmax else 0.0

    def _exponents(self, points: np.ndarray) -> Float[np.ndarray, "i j"]:
        """β(x_i·x_j − 1), from distances so that close pairs keep their digits."""
        gaps = points[:, None, :] - points[None, :, :]
        return -0.5 * self.interaction.inverse_temperature * np.einsum("ijd,ijd->ij", gaps, gaps)

    def _velocity(self, points: np.ndarray, masses: np.ndarray, unit: float) -> np.ndarray:
        """Tangent velocities in units of e^unit (times e^β for USA): the pull of the other centres only."""
        points = normalised(points)
        exponents = self._exponents(points)
        partition = (np.exp(exponents) @ masses)[:, None] if self.interaction.softmax else 1.0
        np.fill_diagonal(exponents, -np.inf)
        found = (np.exp(exponents - unit) * masses) @ points
        found -= np.einsum("nd,nd->n", found, points)[:, None] * points
        return found / partition

    def _stride(self, points, masses, unit: float, step: float) -> adaptive.Stride | None:
        """One accepted increment, None if the centres are at rest."""

        def velocity(state):
            return self._velocity(state, masses, unit)

        slope = velocity(points)
        if np.abs(slope).max() <= STATIONARY:
            return None
        while True:
            with np.errstate(over="ignore", invalid="ignore"):  # of a step far too large, which is then rejected
                after, stages, error = adaptive.attempt(velocity, points, slope, step)
            error = error / self.tolerance if np.isfinite(error) else np.inf
            proposed = step * adaptive.factor(min(error, 1e10), 1.0)
            if error <= 1:
                return adaptive.Stride(0.0, step, points, normalised(after), stages, adaptive.Pace(proposed))
            step = min(proposed, step)

    def _cut(self, stride: adaptive.Stride) -> tuple[float, np.ndarray]:
        """How long to follow a stride, to its end or to the first pair at the merge angle, and the points there."""

        def excess(fraction: float) -> float:
            return closest(normalised(stride.at(fraction)))[0] - self.merge_angle

        if closest(stride.after)[0] >= self.merge_angle:
            return stride.step, stride.after
        fraction = brentq(excess, 0.0, 1.0, xtol=1e-14)
        # Rounding may leave the pair just outside the merge angle, where it would be followed once more.
        return fraction * stride.step, normalised(stride.at(min(fraction + 1e-12, 1.0)))

    def _length(self, stride: adaptive.Stride, used: float, masses: np.ndarray, unit: float) -> float:
        """Arc length of the part used, by Simpson's rule."""
        speeds = []
        for fraction in (0.0, 0.5, 1.0):
            v = self._velocity(stride.at(fraction * used / stride.step), masses, unit)
            speeds.append(np.sqrt(masses @ np.einsum("nd,nd->n", v, v)))
        return float(used * (speeds[0] + 4 * speeds[1] + speeds[2]) / 6)


def closest(points: Float[np.ndarray, "centre d"]) -> tuple[float, tuple[int, int]]:
    """The smallest angle between two centres, and which two."""
    gaps = points[:, None, :] - points[None, :, :]
    chords = np.sqrt(np.einsum("ijd,ijd->ij", gaps, gaps))
    np.fill_diagonal(chords, np.inf)
    i, j = np.unravel_index(np.argmin(chords), chords.shape)
    return float(2 * np.arcsin(min(chords[i, j] / 2, 1.0))), (int(min(i, j)), int(max(i, j)))


def merged(points: np.ndarray, masses: np.ndarray, pair: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The pair as one centre, in the first one's place."""
    i, j = pair
    points, masses = points.copy(), masses.copy()
    points[i] = normalised((masses[i] * points[i] + masses[j] * points[j])[None])[0]
    masses[i] += masses[j]
    return np.delete(points, j, axis=0), np.delete(masses, j)
