"""Clusters of angles on a circle: single linkage at 0.3/√β, those of 2 % of the points, and where they stand."""

import math

import numpy as np
from jaxtyping import Float, Int

LINK, SHARE = 0.3, 0.02
"""Radius in units of the kernel's width 1/√β, and the smallest share of the points: conventions of this project."""


def arcs(angles: Float[np.ndarray, " n"], gap: float) -> Int[np.ndarray, " n"]:
    """The number of each angle's group: neighbours within `gap` (rad) on the circle belong together."""
    turned = np.mod(angles, 2 * np.pi)
    order = np.argsort(turned, kind="stable")
    beyond = np.diff(turned[order], append=turned[order[0]] + 2 * np.pi) > gap
    groups = np.concatenate([[0], np.cumsum(beyond[:-1])])
    if not beyond[-1]:
        groups[groups == groups[-1]] = 0  # the last group goes on beyond the turn
    labels = np.empty(len(turned), int)
    labels[order] = groups
    return labels


def centres_of(angles: Float[np.ndarray, " n"], beta: float) -> Float[np.ndarray, " clusters"]:
    """Mean angle in [0, 2π) of each cluster, ascending."""
    labels = arcs(angles, LINK / math.sqrt(beta))
    least = max(SHARE * len(angles), 2)
    turns = [np.exp(1j * angles[labels == label]) for label in np.unique(labels)]
    return np.sort(np.mod([np.angle(turn.mean()) for turn in turns if len(turn) >= least], 2 * np.pi))
