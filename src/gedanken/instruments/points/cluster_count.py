"""How many clusters a set of directions forms, counted in three ways that mean three things.

What. cluster_count: groups by single linkage at the angle 0.3/√β that hold at least 2 % of the points.
cluster_count_modes: maxima of the smoothed density x ↦ mean e^{β(x·x_j − 1)} above 2 % of the highest.
cluster_count_rank: rank of the 0/1 matrix [cos_ij > 0.9999]. No unit; 0 means that no group is large enough. They differ
while clusters merge; each is meaningless without its radius, which the setting states. Flag `diffuse`: a group counted
spreads over more than half a circle, as all uniform points on a circle do, and is no cluster.

Reads. Points: on the circle all of them for the first two, O(n log n) and O(n√β); in more dimensions at most a bounded
even sample, and at most `few` rows for the last two (flag `sampled`). Rows of norm zero are left out.

Null. As many uniform points in the same dimension, drawn when asked for.

Fails when. There are fewer than two rows or coordinates. Single linkage joins clusters across a bridge of points,
and in many dimensions the points of one blob can all lie further apart than the radius (then the count is 0). The
rank is meant for tight clusters only: three points 0.012 apart in a row have rank 3.

Reference. The rank is that of [@geshkovski2023mathematical]; modes of a smoothed density and their ascent
[@carreira2015review].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import OF_DIRECTIONS, Instrument, KnownCase, Reading, Value, Variable
from gedanken.instruments.nulls import UNIFORM_POINTS
from gedanken.instruments.points._density_modes import count_modes
from gedanken.instruments.points._linkage import SHARE, counted, is_diffuse, link_angle, linked
from gedanken.instruments.points._pairs import MOST, directions
from gedanken.kinds import Kind
from gedanken.status import Flag

SAME = 0.9999
"""Cosine above which two points count as one in the rank [@geshkovski2023mathematical]: an angle of 0.014."""


@final
@dataclass(frozen=True)
class ClusterCount(Instrument):
    """Clusters by gaps, by density modes, by the rank of a table of near-coincidences."""

    inverse_temperature: float = 5.0
    """β, which sets the radius; 5 as in the paper's first figure [@bruno2024emergence]."""
    share: float = SHARE
    sample: int = MOST
    few: int = 512

    reads = Kind.points
    variables = (
        Variable("cluster_count", "k", "1", "groups within 0.3/√β of each other with 2 % of the points", (0, None)),
        Variable("cluster_count_modes", "k_modes", "1", "maxima of the density smoothed by e^{β cos}", (1, None)),
        Variable("cluster_count_rank", "k_rank", "1", "rank of the 0/1 matrix [cos > 0.9999]", (1, None)),
    )
    symmetries = OF_DIRECTIONS
    on_request = True
    data_null = UNIFORM_POINTS

    def __post_init__(self):
        if not 0 < self.inverse_temperature < math.inf:
            raise ValueError(f"an inverse temperature must be positive and finite, not {self.inverse_temperature}")

    @classmethod
    def standard(cls) -> tuple["ClusterCount", ...]:
        """As for the interaction energy."""
        return cls(), cls(inverse_temperature=1.0), cls(inverse_temperature=20.0)

    def measure(self, array: Float[np.ndarray, "n d"], rng: np.random.Generator) -> Reading:
        circle = array.shape[1] == 2
        unit, flags = directions(array, None if circle else self.sample)
        few = unit if len(unit) <= self.few else unit[np.arange(self.few) * len(unit) // self.few]
        part = flags if len(few) == len(unit) else tuple(dict.fromkeys((*flags, Flag.sampled)))
        labels = linked(unit, link_angle(self.inverse_temperature))
        groups = counted(labels, self.share)
        said = (*flags, Flag.diffuse) if is_diffuse(unit, labels, groups) else flags
        smoothed = unit if circle else few
        return {
            "cluster_count": Value(float(len(groups)), n=len(unit), flags=said),
            "cluster_count_modes": Value(
                float(count_modes(smoothed, self.inverse_temperature)), n=len(smoothed), flags=flags if circle else part
            ),
            "cluster_count_rank": Value(float(_rank(few)), n=len(few), flags=part),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        names = tuple(variable.name for variable in self.variables)
        for d in (2, 5):
            pole = np.eye(d)[:1]
            tight = 1e-4 * rng.standard_normal((40, d))
            pair = tight + np.repeat([1.0, -1.0], 20)[:, None] * pole
            yield KnownCase(f"antipodal pair, d = {d}", pair, dict.fromkeys(names, (2.0, 0.0)), "two tight groups")
            one = dict.fromkeys(names, (1.0, 0.0))
            yield KnownCase(f"one group, d = {d}", tight + pole, one, "all within 1e−3 of each other")


def _rank(unit: Float[np.ndarray, "n d"]) -> int:
    """Rank of [cos > 0.9999]; equal rows are taken once."""
    near = unit @ unit.T > SAME
    _, first = np.unique(np.packbits(near, axis=1), axis=0, return_index=True)
    return int(np.linalg.matrix_rank(near[np.ix_(first, first)].astype(float)))
