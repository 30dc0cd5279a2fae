"""Clusters of directions by single linkage at an angle, shared by the counts of clusters and by their tracks."""

import math

import numpy as np
from jaxtyping import Float, Int

from gedanken.theory.clustering.cluster_positions import LINK, SHARE, arcs

__all__ = ["SHARE", "counted", "is_diffuse", "link_angle", "linked"]

HALF_CIRCLE = 2 / math.pi
"""Norm of the mean direction of an arc of half a circle: a group below it is a continuum."""


def link_angle(beta: float) -> float:
    """0.3/√β in rad."""
    return LINK / math.sqrt(beta)


def linked(unit: Float[np.ndarray, "n d"], angle: float) -> Int[np.ndarray, " n"]:
    """The number of each point's group, by single linkage: neighbours within `angle` belong together.

    On the circle from sorted angles, O(n log n); else from one n × n table of bits, O(n²d): n of a few thousand at most.
    """
    return _linked_circle(unit, angle) if unit.shape[1] == 2 else _linked_pairs(unit, angle)


def _linked_circle(unit: Float[np.ndarray, "n 2"], angle: float) -> Int[np.ndarray, " n"]:
    return arcs(np.arctan2(unit[:, 1], unit[:, 0]), angle)


def _linked_pairs(unit: Float[np.ndarray, "n d"], angle: float) -> Int[np.ndarray, " n"]:
    near = unit @ unit.T >= math.cos(angle)
    labels, free, group = np.full(len(unit), -1), np.ones(len(unit), bool), 0
    for first in range(len(unit)):
        if not free[first]:
            continue
        front = np.array([first])
        free[first] = False
        while len(front):
            labels[front] = group
            front = np.flatnonzero(near[front].any(axis=0) & free)
            free[front] = False
        group += 1
    return labels


def counted(labels: Int[np.ndarray, " n"], share: float) -> list[int]:
    """The groups that hold at least `share` of the points (two at least), the largest first."""
    sizes = np.bincount(labels)
    enough = np.flatnonzero(sizes >= max(share * len(labels), 2))
    return enough[np.argsort(-sizes[enough], kind="stable")].tolist()


def is_diffuse(unit: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"], groups: list[int]) -> bool:
    """Whether one of the groups spreads over more than half a circle."""
    return any(float(np.linalg.norm(unit[labels == group].mean(axis=0))) < HALF_CIRCLE for group in groups)
