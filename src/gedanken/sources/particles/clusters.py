"""Clusters of tokens by single linkage: when their number changes, and each as one centre with a mass.

Two tokens belong together if a chain of steps shorter than `angle` joins them.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from gedanken.sources.particles.adaptive import Event
from gedanken.sources.particles.flow import normalised, points_of
from gedanken.sources.particles.mean_field import modes_of
from gedanken.theory.clustering.cluster_positions import arcs


def labels(state: np.ndarray, angle: float) -> Int[np.ndarray, " n"]:
    """The number of each token's cluster: of angles by sorted gaps, of points by connected components."""
    if state.ndim == 1:
        return arcs(state, angle)
    pairs = cKDTree(state).query_pairs(2 * np.sin(min(angle, np.pi) / 2), output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(state), len(state)))
    return connected_components(graph, directed=False)[1]


def centres_of(
    state: np.ndarray, angle: float, masses: Float[np.ndarray, " n"] | None = None
) -> tuple[Float[np.ndarray, "centre d"], Float[np.ndarray, " centre"]]:
    """Each cluster's normalised centre of mass and its mass: where `Centres` goes on."""
    points, found = points_of(state), labels(state, angle)
    masses = np.full(len(points), 1 / len(points)) if masses is None else masses
    sums = np.zeros((found.max() + 1, points.shape[1]))
    np.add.at(sums, found, masses[:, None] * points)
    return normalised(sums), np.bincount(found, weights=masses)


def count_changes(state: np.ndarray, angle: float) -> Event:
    """The number of clusters falls below what it is in `state` (attraction only merges them)."""
    begun = labels(state, angle).max() + 1
    return Event(f"fewer than {begun} clusters", lambda time, y: labels(y, angle).max() + 0.5 - (begun - 1))


def mode_reaches(threshold: float, largest: int) -> Event:
    """max_{k ≤ largest} |μ̂_k| reaches the threshold, on the circle: the saturation time is its time."""
    return Event(f"a mode reaches {threshold:g}", lambda time, y: float(np.abs(modes_of(y, largest)).max()) - threshold)
