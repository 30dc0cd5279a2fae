"""Configuration: the tokens of one moment, in memory or in the file that a simulation saved them to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gedanken.kinds import Trajectory
from gedanken.sources.particles.flow import points_of


@dataclass(frozen=True, eq=False)
class Configuration:
    """Tokens on a sphere at one time. `kept` is the state, angles or points, or the file that holds it.

    `path` is the run's trajectory so far, present in its last configuration only. Rows of pre-normalised layers are not
    of unit norm.
    """

    time: float
    kept: np.ndarray | Path
    particles: int
    dimension: int
    masses: Float[np.ndarray, " n"] | None = None
    path: Trajectory | None = None

    @property
    def state(self) -> np.ndarray:
        if isinstance(self.kept, Path):
            with np.load(self.kept) as file:
                return file["state"]
        return self.kept

    @property
    def points(self) -> Float[np.ndarray, "n d"]:
        return points_of(self.state)


@dataclass(frozen=True, eq=False)
class History(Sequence):
    """The points of several configurations, each read when it is asked for."""

    configurations: tuple[Configuration, ...]

    def __len__(self) -> int:
        return len(self.configurations)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return History(self.configurations[index])
        return self.configurations[index].points


def trajectory(configurations: Sequence[Configuration]) -> Trajectory:
    """The same particles over time."""
    return Trajectory(History(tuple(configurations)), np.array([c.time for c in configurations]))
