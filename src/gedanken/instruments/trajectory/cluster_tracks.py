"""Clusters followed along a trajectory: how many there are, how often they merge, how long they last.

What. cluster_count_track: number of clusters (single linkage at 0.3/√β, at least 2 % of the points) at each state,
against time or relative depth. cluster_lifetime: mean over all clusters of the time from the state at which one appears
to that at which it is gone. cluster_merge_count: how often two became one. metastable_lifetime: the longest time with
one constant number of two or more clusters. Both are in the unit of the states and no finer than their distance; 0 if
there are no clusters; flag `censored` if the record ends first (then they are lower bounds).

Reads. Trajectory: on the circle all points, else at most a bounded even sample (flag `sampled`); points of norm zero at
any state are left out. O(states·n²d), O(states·n log n) on the circle.

Null. None by exchange, because time is not exchangeable: compare with a run without attention, or with random weights.

Fails when. There are fewer than two states, points or coordinates. All uniform points on a circle are one group: a
first count of 1 may be no cluster (flag `diffuse`). In many dimensions see cluster_count.

Reference. Metastable clusters [@bruno2024emergence; @geshkovski2024dynamic]; lifetimes are compared with censoring by
[@kaplan1958nonparametric].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.points._linkage import SHARE, counted, is_diffuse, link_angle, linked
from gedanken.instruments.points._pairs import MOST
from gedanken.instruments.trajectory._states import OF_POINTS, state_directions, strictly_ascending
from gedanken.instruments.trajectory._tracks import follow, longest_stretch
from gedanken.kinds import Kind, Trajectory
from gedanken.status import Flag

NO_NULL = "it describes an order of states, so its null is another run: no attention, or random weights"


@final
@dataclass(frozen=True)
class ClusterTracks(Instrument):
    """Counts, merges and lifetimes of clusters along a trajectory."""

    inverse_temperature: float = 5.0
    """As for the cluster count."""
    share: float = SHARE
    sample: int = MOST

    reads = Kind.trajectory
    variables = (
        Variable("cluster_count_track", "k(t)", "1", "clusters at each state", (0, None), curve=True, no_null=NO_NULL),
        Variable("cluster_lifetime", "T_c", "time", "mean lifetime of a cluster", (0, None), no_null=NO_NULL),
        Variable("cluster_merge_count", "n_merge", "1", "mergers of two clusters", (0, None), no_null=NO_NULL),
        Variable(
            "metastable_lifetime",
            "T",
            "time",
            "longest time with one number ≥ 2 of clusters",
            (0, None),
            no_null=NO_NULL,
        ),
    )
    symmetries = OF_POINTS
    on_request = True

    def __post_init__(self):
        if not 0 < self.inverse_temperature < math.inf:
            raise ValueError(f"an inverse temperature must be positive and finite, not {self.inverse_temperature}")

    @classmethod
    def standard(cls) -> tuple["ClusterTracks", ...]:
        """As for the cluster count."""
        return cls(), cls(inverse_temperature=1.0), cls(inverse_temperature=20.0)

    def measure(self, array: Trajectory, rng: np.random.Generator) -> Reading:
        at = strictly_ascending(array.at)
        circle = len(array.states) > 0 and array.states[0].shape[1] == 2
        states, flags = state_directions(array, None if circle else self.sample)
        angle, n = link_angle(self.inverse_temperature), len(states[0])
        found = follow(states, angle, self.share)
        length, _, cut = longest_stretch(found.counts, at)
        first = linked(states[0], angle)
        diffuse = is_diffuse(states[0], first, counted(first, self.share))
        lives = [at[min(track.last + track.ended, len(at) - 1)] - at[track.first] for track in found.tracks]
        living = any(not track.ended for track in found.tracks)
        said = (*flags, Flag.diffuse) if diffuse else flags
        return {
            "cluster_count_track": Curve(at, found.counts.astype(float), n=n, flags=said),
            "cluster_lifetime": Value(
                float(np.mean(lives)) if lives else 0.0, n=len(lives), flags=(*said, Flag.censored) if living else said
            ),
            "cluster_merge_count": Value(float(len(found.merges)), n=n, flags=said),
            "metastable_lifetime": Value(length, n=n, flags=(*said, Flag.censored) if cut else said),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        for d in (2, 4):
            poles = np.zeros((3, d))
            poles[:, :2] = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]
            three, two, one = (np.repeat(poles[list(which)], 5, axis=0) for which in ((0, 1, 2), (0, 1, 1), (0, 0, 0)))
            at = np.array([0.0, 1.0, 3.0, 4.0, 10.0, 11.0])
            yield KnownCase(
                f"three, two, one; d = {d}",
                Trajectory((three, three, two, two, two, one), at),
                {
                    "cluster_count_track": (np.array([3.0, 3.0, 2.0, 2.0, 2.0, 1.0]), 0.0),
                    "cluster_lifetime": (25 / 3, 1e-12),
                    "cluster_merge_count": (2.0, 0.0),
                    "metastable_lifetime": (8.0, 0.0),
                },
                "merges at times 3 and 11: lives of 3, 11 and 11; the pair lasts from 3 to 11",
            )
