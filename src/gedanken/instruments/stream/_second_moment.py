"""Second moments of rows with each group of prompts left out, without forming them: what jackknifed covariances need.

The mean-free rows, their second moment and its eigenvectors are made once for a stream; second moments about zero follow
from them, and those of correlations from its own. Values are of float64 products. What leaving out a group changes is of
float32 products, good to about 10⁻⁶ of themselves: far below the error of an error.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from gedanken.instruments.stream._prompts import MOST_GROUPS, Rows, rows_of, shared
from gedanken.kinds import Stream
from gedanken.status import Flag, Refusal
from gedanken.theory.lapack import add_gram, mirror

PANEL = 96
"""Columns of a symmetric matrix multiplied at a time."""

CENTRINGS = ("centred", "uncentred", "correlation")
"""Covariance about the mean, second moment about zero, covariance of standardised coordinates."""


def second_moment(stream: Stream, centring: str, least: int = 2) -> "SecondMoment":
    """Of the kept rows, with their mean taken off, or for correlations each coordinate brought to unit variance.

    Coordinates that never vary are left out of correlations (flag `constant_coordinates`). Raises Refusal as `rows_of`,
    and Refusal(constant) if nothing varies.
    """
    rows = rows_of(stream, least=least)
    make = {"centred": _centred, "uncentred": _uncentred, "correlation": _standardised}[centring]
    return shared(stream, ("second_moment", centring), lambda: make(stream, rows))


def differences(stream: Stream, centring: str) -> "SecondMoment":
    """Of (x − y)/√2 of tokens at the same place in two prompts, each pair of prompts a cluster; about zero.

    Prompt i goes with the one half the text further on: neighbours in the text never meet, and pairs are the same at
    every place (an odd one in the middle stays alone). Correlations take the coordinates and the scales of all rows.
    Raises Refusal: `too_small` under four prompts, and as `second_moment`.
    """
    return shared(stream, ("differences", centring), lambda: _differences(stream, centring))


def _differences(stream: Stream, centring: str) -> "SecondMoment":
    centred = second_moment(stream, "centred").rows
    if centring == "correlation":
        return _Standardised.of(differences(stream, "centred"), *_varying(centred.points))
    prompts = parts(centred.points, centred.prompt)
    count = len(prompts) // 2
    if count < 2:
        raise Refusal(Flag.too_small, f"{len(prompts)} prompts, where four are needed")
    made = [a[: len(b)] - b[: len(a)] for a, b in zip(prompts[:count], prompts[-count:], strict=True)]
    points, label = np.concatenate(made), np.repeat(np.arange(count), [len(part) for part in made])
    points /= np.sqrt(2)
    groups = min(count, MOST_GROUPS)
    return SecondMoment(replace(centred, points=points, prompt=label, group=label * groups // count, groups=groups))


@dataclass(frozen=True)
class SecondMoment:
    """M = Σxxᵀ of rows, with what leaving out a group changes. Arrays end with the value for no group left out."""

    rows: Rows

    @cached_property
    def half(self) -> Float[np.ndarray, "d d"]:
        """M of every other group, upper triangle."""
        return _gram(self.rows.points[self.rows.group % 2 == 0])

    @cached_property
    def matrix(self) -> Float[np.ndarray, "d d"]:
        found = self._sum()
        mirror(found)
        return found

    def _sum(self) -> Float[np.ndarray, "d d"]:
        return _gram(self.rows.points)

    def rest(self, of_groups: Float[np.ndarray, "groups *k"]) -> Float[np.ndarray, "left *k"]:
        """Sums over all groups but one, and over all."""
        total = of_groups.sum(axis=0)
        return np.concatenate([total - of_groups, total[None]])

    @cached_property
    def n(self) -> Float[np.ndarray, " left"]:
        return self.rest(self.rows.sizes.astype(float))

    @property
    def norms(self) -> Float[np.ndarray, " n"]:
        """‖x‖² of each row."""
        return self.rows.norms

    @cached_property
    def of_groups(self) -> Float[np.ndarray, "groups d"]:
        """Σx of each group."""
        return self.rows.sums(self.rows.points)

    @cached_property
    def total(self) -> Float[np.ndarray, "left d"]:
        """Σx."""
        return self.rest(self.of_groups)

    @cached_property
    def own_of_prompts(self) -> Float[np.ndarray, " prompts"]:
        """‖M_p‖_F² of each prompt alone."""
        return _squared_norms(parts(self.rows.points, self.rows.prompt))

    @cached_property
    def own(self) -> Float[np.ndarray, " groups"]:
        """‖M_g‖_F² of each group alone."""
        if len(self.rows.prompt_starts) == self.rows.groups:
            return self.own_of_prompts
        return _squared_norms(parts(self.rows.points, self.rows.group))

    @cached_property
    def inner(self) -> Float[np.ndarray, " groups"]:
        """⟨M, M_g⟩ = Σ xᵀMx over the rows of each group."""
        return self.rows.sums(quadratic(self.rows.points.astype(np.float32), self.matrix.astype(np.float32)))

    @cached_property
    def whole(self) -> float:
        """‖M‖_F²."""
        return float(np.vdot(self.matrix, self.matrix))

    @cached_property
    def square(self) -> Float[np.ndarray, " left"]:
        """‖M‖_F² = tr M²: without group g, ‖M‖² − 2⟨M, M_g⟩ + ‖M_g‖²."""
        return np.append(self.whole - 2 * self.inner + self.own, self.whole)

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
        # Of a = ‖x‖² − 2x·m + ‖m‖², Σa² with m = t/n: exact, but only for means that are small beside the rows.
        n, total, norms = np.maximum(self.n, 1), self.total, self.norms
        mean = np.einsum("ij,ij->i", total, total) / n**2
        square, fourth = (self.rest(self.rows.sums(values)) for values in (norms, norms**2))
        stretches = zip(parts(norms, self.rows.group), parts(self.rows.points, self.rows.group), strict=True)
        cross = np.einsum("ij,ij->i", total, self.rest(np.array([w @ x for w, x in stretches]))) / n
        return fourth + 4 * self.along_total / n**2 + 2 * mean * square - 4 * cross - 3 * n * mean**2

    @cached_property
    def eigen(self) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d d"]]:
        """Eigenvalues of M, descending, and eigenvectors as columns."""
        values, vectors = np.linalg.eigh(self.matrix)
        return values[::-1], vectors[:, ::-1]

    @cached_property
    def along(self) -> Float[np.ndarray, "groups d"]:
        """vᵀM_g v for every eigenvector v of M."""
        turned = self.rows.points.astype(np.float32) @ self.eigen[1].astype(np.float32)
        return self.rows.sums(np.square(turned, out=turned)).astype(np.float64)


class _Centred(SecondMoment):
    """Of rows whose mean is zero. Everybody wants its eigenvectors, so they serve for inner products as well; and its
    half, so the whole is made of that and the other."""

    def _sum(self) -> Float[np.ndarray, "d d"]:
        return self.half + _gram(self.rows.points[self.rows.group % 2 == 1])

    @cached_property
    def inner(self) -> Float[np.ndarray, " groups"]:
        return self.along @ self.eigen[0]


@dataclass(frozen=True)
class _Uncentred(SecondMoment):
    """Of rows x = c + μ, from the second moment of the c; μ their mean."""

    centred: SecondMoment
    mean: Float[np.ndarray, " d"]

    @cached_property
    def matrix(self) -> Float[np.ndarray, "d d"]:
        return self.centred.matrix + len(self.rows.points) * np.outer(self.mean, self.mean)

    @cached_property
    def inner(self) -> Float[np.ndarray, " groups"]:
        # xᵀMx = cᵀM_c c + 2cᵀM_c μ + μᵀM_c μ + n(x·μ)²
        turned = self.centred.matrix @ self.mean
        linear = 2 * self.centred.of_groups @ turned + self.rows.sizes * (self.mean @ turned)
        return self.centred.inner + linear + len(self.rows.points) * self.rows.sums((self.rows.points @ self.mean) ** 2)

    @cached_property
    def own_of_prompts(self) -> Float[np.ndarray, " prompts"]:
        return self._shifted(self.centred.own_of_prompts, self.rows.prompt)

    @cached_property
    def own(self) -> Float[np.ndarray, " groups"]:
        if len(self.rows.prompt_starts) == self.rows.groups:
            return self.own_of_prompts
        return self._shifted(self.centred.own, self.rows.group)

    def _shifted(self, own: Float[np.ndarray, " k"], label: Int[np.ndarray, " n"]) -> Float[np.ndarray, " k"]:
        """‖M_g + tμᵀ + μtᵀ + nμμᵀ‖², t and n sum and number of the c in g."""
        stretches = parts(self.centred.rows.points, label)
        sizes, total = np.array([len(part) for part in stretches]), np.array([part.sum(axis=0) for part in stretches])
        square, cross = self.mean @ self.mean, total @ self.mean
        turned = np.array([(part @ self.mean) @ part for part in stretches])  # M_g μ
        own_mean, own_total = turned @ self.mean, np.einsum("ij,ij->i", turned, total)
        linear = 2 * np.einsum("ij,ij->i", total, total) * square + 2 * cross**2 + 4 * own_total
        return own + linear + (sizes * square) ** 2 + 2 * sizes * own_mean + 4 * sizes * cross * square


@dataclass(frozen=True)
class _Standardised(SecondMoment):
    """Of centred rows with coordinates scaled, from the second moment of the unscaled ones."""

    given: Float[np.ndarray, "d d"]

    @classmethod
    def of(
        cls, moment: SecondMoment, deviation: Float[np.ndarray, " d"], varying: Bool[np.ndarray, " d"]
    ) -> "_Standardised":
        """Each varying coordinate divided by its `deviation`, the others left out (flag `constant_coordinates`)."""
        rows, matrix, scale = moment.rows, moment.matrix, 1 / deviation[varying]
        if varying.all():
            points = rows.points * scale
        else:
            points, matrix = rows.points[:, varying] * scale, matrix[np.ix_(varying, varying)]
            rows = replace(rows, flags=(*rows.flags, Flag.constant_coordinates))
        return cls(replace(rows, points=points), matrix * scale * scale[:, None])

    @cached_property
    def matrix(self) -> Float[np.ndarray, "d d"]:
        return self.given


def _centred(stream: Stream, rows: Rows) -> SecondMoment:
    points = rows.points - rows.points.mean(axis=0)
    if not _varying(points)[1].any():
        raise Refusal(Flag.constant, "no coordinate varies")
    return _Centred(replace(rows, points=points))


def _uncentred(stream: Stream, rows: Rows) -> SecondMoment:
    try:
        centred = second_moment(stream, "centred")
    except Refusal:  # nothing varies
        return SecondMoment(rows)
    return _Uncentred(rows, centred, rows.points.mean(axis=0))


def _standardised(stream: Stream, rows: Rows) -> SecondMoment:
    centred = second_moment(stream, "centred")
    return _Standardised.of(centred, *_varying(centred.rows.points))


def _varying(points: Float[np.ndarray, "n d"]) -> tuple[Float[np.ndarray, " d"], np.ndarray]:
    """Standard deviations of mean-free rows, and which are more than rounding."""
    deviation = np.sqrt(np.einsum("ij,ij->j", points, points) / max(len(points) - 1, 1))
    # The mean is known to a rounding of the largest entry, which is 1.
    return deviation, deviation > len(points) * np.finfo(float).eps


def parts(points: np.ndarray, label: np.ndarray) -> list[np.ndarray]:
    """Consecutive stretches of rows with one label."""
    return np.split(points, np.flatnonzero(np.diff(label)) + 1)


def quadratic(points: Float[np.ndarray, "n d"], matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, " n"]:
    """xᵀMx of each row for a symmetric M, from its upper triangle: hardly more than half of the products of Mx."""
    found = np.zeros(len(points))
    for start in range(0, len(matrix), PANEL):
        panel = matrix[: start + PANEL, start : start + PANEL].copy()
        panel[start:] /= 2
        found += np.einsum("ij,ij->i", points[:, : start + PANEL] @ panel, points[:, start : start + PANEL])
    return 2 * found


def _gram(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "d d"]:
    """Σxxᵀ, upper triangle."""
    found = np.zeros((points.shape[1], points.shape[1]))
    add_gram(found, np.ascontiguousarray(points))
    return found


def _squared_norms(stretches: list[np.ndarray]) -> Float[np.ndarray, " k"]:
    """‖Σxxᵀ‖_F² of each, from the smaller of the two Gram matrices."""
    grams = (part @ part.T if len(part) < part.shape[1] else part.T @ part for part in stretches)
    return np.array([float(np.vdot(gram, gram)) for gram in grams])
