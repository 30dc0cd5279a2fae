"""Second moments of rows with each group of prompts left out, without forming them: what jackknifed covariances need."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from gedanken.instruments.stream._prompts import Rows
from gedanken.status import Flag, Refusal
from gedanken.theory.lapack import add_gram, mirror

CENTRINGS = ("centred", "uncentred", "correlation")
"""Covariance about the mean, second moment about zero, covariance of standardised coordinates."""


def prepared(rows: Rows, centring: str) -> Rows:
    """Rows with their mean taken off, and for correlations each coordinate brought to unit variance.

    Coordinates that never vary are left out of correlations (flag `constant_coordinates`). Raises Refusal(constant) if
    nothing varies.
    """
    if centring == "uncentred":
        return rows
    points = rows.points - rows.points.mean(axis=0)
    deviation = np.sqrt(np.einsum("ij,ij->j", points, points) / max(len(points) - 1, 1))
    # The mean is known to a rounding of the largest entry, which is 1.
    varying = deviation > len(points) * np.finfo(float).eps
    if not varying.any():
        raise Refusal(Flag.constant, "no coordinate varies")
    flags = rows.flags
    if centring == "correlation":
        flags = flags if varying.all() else (*flags, Flag.constant_coordinates)
        points = points[:, varying] / deviation[varying]
    return replace(rows, points=points, flags=flags)


@dataclass(frozen=True)
class SecondMoment:
    """M = Σxxᵀ of rows, with what leaving out a group changes. Arrays end with the value for no group left out."""

    rows: Rows

    @cached_property
    def matrix(self) -> Float[np.ndarray, "d d"]:
        points = np.ascontiguousarray(self.rows.points)
        found = np.zeros((points.shape[1], points.shape[1]))
        add_gram(found, points)
        mirror(found)
        return found

    def rest(self, of_groups: Float[np.ndarray, "groups *k"]) -> Float[np.ndarray, "left *k"]:
        """Sums over all groups but one, and over all."""
        total = of_groups.sum(axis=0)
        return np.concatenate([total - of_groups, total[None]])

    @cached_property
    def n(self) -> Float[np.ndarray, " left"]:
        return self.rest(self.rows.sizes.astype(float))

    @cached_property
    def norms(self) -> Float[np.ndarray, " n"]:
        """‖x‖² of each row."""
        return np.einsum("ij,ij->i", self.rows.points, self.rows.points)

    @cached_property
    def total(self) -> Float[np.ndarray, "left d"]:
        """Σx."""
        return self.rest(self.rows.sums(self.rows.points))

    @cached_property
    def own(self) -> Float[np.ndarray, " groups"]:
        """‖M_g‖_F² of each group alone."""
        return np.array([squared_norm(part) for part in parts(self.rows.points, self.rows.group)])

    @cached_property
    def square(self) -> Float[np.ndarray, " left"]:
        """‖M‖_F² = tr M²: without group g, ‖M‖² − 2⟨M, M_g⟩ + ‖M_g‖²."""
        points, matrix = self.rows.points, self.matrix
        inner = self.rows.sums(np.einsum("ij,ij->i", points @ matrix, points))
        whole = float(np.sum(matrix**2))
        return np.append(whole - 2 * inner + self.own, whole)

    @cached_property
    def along_total(self) -> Float[np.ndarray, " left"]:
        """tᵀMt with t = Σx."""
        total = self.total
        found = np.einsum("ij,ij->i", total @ self.matrix, total)
        own = [
            np.sum((part @ t) ** 2) for part, t in zip(parts(self.rows.points, self.rows.group), total, strict=False)
        ]
        found[:-1] -= own
        return found

    @cached_property
    def fourth(self) -> Float[np.ndarray, " left"]:
        """Σ‖x − x̄‖⁴, x̄ being the mean of the rows that are left."""
        means = self.total / self.n[:, None]
        distances = self.norms[:, None] - 2 * self.rows.points @ means.T + np.einsum("ij,ij->i", means, means)
        found = np.sum(distances**2, axis=0)
        own = self.rows.sums(distances**2)
        found[:-1] -= np.diagonal(own)
        return found


def parts(points: np.ndarray, label: np.ndarray) -> list[np.ndarray]:
    """Consecutive stretches of rows with one label."""
    return np.split(points, np.flatnonzero(np.diff(label)) + 1)


def squared_norm(points: Float[np.ndarray, "n d"]) -> float:
    """‖Σxxᵀ‖_F², from the smaller of the two Gram matrices."""
    gram = points @ points.T if len(points) < points.shape[1] else points.T @ points
    return float(np.sum(gram**2))
