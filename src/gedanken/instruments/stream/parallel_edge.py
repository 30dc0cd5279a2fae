"""Parallel analysis: which covariance eigenvalues are larger than coordinates unrelated to each other would give.

What. parallel_edge is the 99th percentile of λ₁ over `draws` surrogates of the centred tokens (activation²), and
parallel_outlier_count the number of covariance eigenvalues above it. A huge outlier inflates the surrogates and hides
smaller ones: parallel_outlier_count_deflated takes the directions found out of the tokens and looks again, until none
is added. parallel_ks_distance is the largest difference between the eigenvalues below the edge and a
Marchenko–Pastur law fitted to them, parallel_ks_ratio that over the 95th percentile of the surrogates' own: at most 1
where the bulk is as close to the law as unrelated coordinates are. parallel_eigenvalue are the eigenvalues by rank
against the surrogates' band. Surrogates: "block_shift" turns each coordinate within each prompt by an offset of its
own, keeping its course along the text (primary); "permutation" orders each coordinate at random; "sign_flip" gives
each entry a random sign. `half` takes every other group of prompts, which shows what depends on the number of rows.
Errors are from groups of prompts left out, each eigenvalue moved to first order, edges as they were drawn.

Reads. stream: points of the report half, first positions left out; prompts of under 8 rows are left out of shifts.

Null. It is its own null; the eigenvalues carry the band of the surrogates.

Fails when. There are fewer than ten rows, or no prompt of 8. Shifts within prompts keep what coordinates share as means
of prompts, so that their edge lies high where prompts differ. Few draws make an edge that fluctuates. Where eigenvalues
run smoothly through the edge, deflation ends now here, now there: its count fluctuates more than its error says. The
error of the distance is too large by up to four times: levels of a bulk keep apart, which resampling does not know.

Reference. Permutations [@horn1965rationale; @dobriban2020permutation]; signs [@hong2020randomized].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse.linalg import eigsh

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Symmetry, Value, Variable
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream._prompts import Rows, rows_of, valued
from gedanken.instruments.stream_nulls import SHORTEST, SURROGATES, surrogate
from gedanken.kinds import Kind, Stream
from gedanken.status import Flag, Refusal
from gedanken.theory import marchenko_pastur as law

QUANTILE = 0.99
"""Of λ₁ over the surrogates (latent-object-permanence, §2.3)."""

SPECTRA = 20
"""Surrogates whose whole spectrum is taken, for bands; the others give λ₁ only."""

ROUNDS = 20
"""Of deflation; ending there is flagged `at_bound`."""

EARLY, FAR = 5, 6.0
"""After so many draws of a round of deflation, what lies so many of their standard deviations above their mean is taken out
without drawing on: the 99th percentile of the largest eigenvalue lies 2.6 above it [@johnstone2001distribution]."""

OWN_NULL = "it is held against its own surrogates"


@final
@dataclass(frozen=True)
class ParallelEdge(Instrument):
    """Empirical bulk edge from `draws` surrogates of one kind."""

    kind: str = "block_shift"
    draws: int = 100
    half: bool = False

    reads = Kind.stream
    variables = (
        Variable("parallel_edge", "λ_edge", "activation²", "99th percentile of λ₁ over surrogates", (0, None), degree=2,
                 scale="log", no_null=OWN_NULL),
        Variable("parallel_outlier_count", "k_edge", "1", "covariance eigenvalues above the edge", (0, None),
                 no_null=OWN_NULL),
        Variable("parallel_outlier_count_deflated", "k_edge*", "1",
                 "covariance eigenvalues above the edge, those found taken out and the edge drawn anew", (0, None),
                 no_null=OWN_NULL),
        Variable("parallel_ks_distance", "D_edge", "1",
                 "largest difference of the eigenvalues below the edge and the Marchenko–Pastur law", (0, 1),
                 no_null=OWN_NULL),
        Variable("parallel_ks_ratio", "D/D₉₅", "1", "that distance over the 95th percentile of the surrogates' own",
                 (0, None), scale="log", no_null=OWN_NULL),
        Variable("parallel_eigenvalue", "λ", "activation²", "eigenvalues of the covariance, by rank", (0, None), degree=2,
                 scale="log", curve=True),
    )  # fmt: skip
    symmetries = frozenset({Symmetry.scale, Symmetry.sign})
    version = 2
    exchangeable = "prompt"
    on_request = True

    def __post_init__(self):
        if self.kind not in SURROGATES:
            raise ValueError(f"a surrogate is one of {', '.join(SURROGATES)}, not {self.kind!r}")

    @classmethod
    def standard(cls) -> tuple[Instrument, ...]:
        return (*(cls(kind=name) for name in SURROGATES), cls(half=True))

    def measure(self, array: Stream, rng: np.random.Generator) -> Reading:
        rows = rows_of(array, least=10)
        points, prompt, group = self._chosen(rows)
        points = points - points.mean(axis=0)
        values, vectors = np.linalg.eigh(points.T @ points / (len(points) - 1))
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
        if values[0] <= np.finfo(float).eps ** 2:
            raise Refusal(Flag.constant, "no coordinate varies")
        n, d = points.shape
        edge, spectra = self._edge(points, prompt, rng, min(SPECTRA, self.draws))
        lowest, bound = self._deflate(points, prompt, values, vectors, edge, rng)
        rank = min(n - 1, d)
        bulk, left = values[:rank], _left_out(points @ vectors[:, :rank], group)
        band = np.quantile(spectra[:, :rank], [0.025, 0.975], axis=0) * rows.scale**2

        def count(above: float, flags: tuple[Flag, ...] = ()) -> Value:
            whole = float(np.count_nonzero(values > above))
            moved = [whole + _rank(one, above) - _rank(bulk, above) for one in left]
            return valued(whole, np.array(moved), n, (*rows.flags, *flags))

        inside = bulk <= edge
        return {
            "parallel_edge": Value(edge * rows.scale**2, n=n, flags=rows.flags),
            "parallel_outlier_count": count(edge),
            "parallel_outlier_count_deflated": count(lowest, bound),
            **_fit(bulk[inside], left[:, inside], spectra[:, :rank], n, rows.flags),
            "parallel_eigenvalue": Curve(
                np.arange(1.0, rank + 1), bulk * rows.scale**2, null_low=band[0], null_high=band[1], n=n,
                flags=rows.flags,
            ),
        }  # fmt: skip

    def _chosen(self, rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points, prompts and groups of the rows that are used. Raises Refusal(too_small) for fewer than ten."""
        used = np.ones(len(rows.points), bool)
        if self.kind == "block_shift":
            used &= np.bincount(rows.prompt)[rows.prompt] >= SHORTEST
        if self.half:
            used &= rows.group % 2 == 0
        if np.count_nonzero(used) < 10:
            raise Refusal(Flag.too_small, f"no ten rows in prompts of at least {SHORTEST}")
        return rows.points[used], rows.prompt[used], rows.group[used]

    def _edge(
        self, points: Float[np.ndarray, "n d"], prompt: Int[np.ndarray, " n"], rng: np.random.Generator, spectra: int
    ) -> tuple[float, Float[np.ndarray, "spectra d"]]:
        """The edge, and the eigenvalues of the first surrogates, descending."""
        single = _single(points)
        whole = np.array([np.linalg.eigvalsh(self._gram(single, prompt, rng))[::-1] for _ in range(spectra)])
        rest = [_largest(self._gram(single, prompt, rng), rng) for _ in range(self.draws - spectra)]
        return float(np.quantile([*whole[:, 0], *rest], QUANTILE)), np.maximum(whole, 0.0)

    def _exceeded(
        self, points: np.ndarray, prompt: np.ndarray, largest: float, factor: float, rng: np.random.Generator
    ) -> float | None:
        """factor × the edge if `largest` exceeds it. Ends as soon as the draws so far say that it does not.

        The quantile lies at or above the draw of some rank from the top, and so above that of this rank among the first.
        """
        single, rank, drawn = _single(points), self.draws - math.floor(QUANTILE * (self.draws - 1)), []
        for _ in range(self.draws):
            drawn.append(_largest(self._gram(single, prompt, rng), rng))
            if len(drawn) >= rank and largest <= factor * sorted(drawn)[-rank]:
                return None
            if len(drawn) == EARLY and largest > (far := factor * float(np.mean(drawn) + FAR * np.std(drawn, ddof=1))):
                return far
        edge = factor * float(np.quantile(drawn, QUANTILE))
        return edge if largest > edge else None

    def _gram(self, single: np.ndarray, prompt: np.ndarray, rng: np.random.Generator) -> Float[np.ndarray, "d d"]:
        """Covariance of one surrogate, in float32: an edge needs no more."""
        drawn = surrogate(single, prompt, self.kind, rng)
        return drawn.T @ drawn / np.float32(len(drawn) - 1)

    def _deflate(
        self,
        points: np.ndarray,
        prompt: np.ndarray,
        values: np.ndarray,
        vectors: np.ndarray,
        edge: float,
        rng: np.random.Generator,
    ) -> tuple[float, tuple[Flag, ...]]:
        """The lowest edge above which eigenvalues stand out once those found are gone, and a flag if that had no end."""
        d = len(values)
        for _ in range(ROUNDS):
            found = int(np.count_nonzero(values > edge))
            if not found or found >= min(len(points) - 1, d) - 1:
                return edge, ()
            out = vectors[:, :found]
            # What is left fills d − k dimensions, its surrogates d: without the factor, noise would exceed the edge once
            # anything is taken out, and so on to the end.
            lower = self._exceeded(points - points @ out @ out.T, prompt, float(values[found]), d / (d - found), rng)
            if lower is None:
                return edge, ()
            edge = lower
        return edge, (Flag.at_bound,)

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        noise = rng.standard_normal((1440, 40))
        turned = np.linalg.qr(rng.standard_normal((40, 40)))[0]
        spiked = (noise + 6.0 * rng.standard_normal((1440, 1)) * np.eye(40)[3]) @ turned
        noise = noise * rng.uniform(0.8, 1.2, 40)
        edge = (1 + np.sqrt(40 / 1200)) ** 2 * 1.0
        count = {"parallel_outlier_count": (0.5, 0.5), "parallel_outlier_count_deflated": (0.5, 0.5)}
        # Unequal variances between 0.64 and 1.44 widen the bulk of unit noise.
        expected = count | {
            "parallel_edge": (edge, 0.45 * edge),
            "parallel_ks_distance": (0.0, 0.2),
            "parallel_ks_ratio": (0.5, 1.0),
            "parallel_eigenvalue": (edge / 2, edge),
        }
        yield KnownCase("unequal noise", stream_of(noise), expected, "at most one by chance, at the 1 % level")
        spike = {"parallel_outlier_count": (1.5, 0.5), "parallel_outlier_count_deflated": (2.0, 1.0)}
        yield KnownCase("one spike", stream_of(spiked), spike, "one, and at most one by chance, or two when deflated")


def _largest(gram: Float[np.ndarray, "d d"], rng: np.random.Generator) -> float:
    """λ₁ by Lanczos; small matrices, and those of rank one, whole."""
    d = len(gram)
    if d < 64:
        return float(np.linalg.eigvalsh(gram)[-1])
    start = rng.standard_normal(d).astype(gram.dtype)
    return float(eigsh(gram, k=1, which="LA", v0=start, tol=1e-4, return_eigenvectors=False)[0])


def _single(points: np.ndarray) -> np.ndarray:
    """In float32, coordinate by coordinate in memory, as surrogates are drawn."""
    return np.asfortranarray(points, np.float32)


def _left_out(turned: Float[np.ndarray, "n k"], group: Int[np.ndarray, " n"]) -> Float[np.ndarray, "groups k"]:
    """Covariance eigenvalues without each group, to first order, from mean-free rows in the eigenbasis of all."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    left = (len(turned) - np.diff([*starts, len(turned)]))[:, None]
    if len(starts) < 2 or left.min() < 2:
        return np.zeros((0, turned.shape[1]))
    own, total = np.add.reduceat(turned**2, starts), np.add.reduceat(turned, starts)
    return np.maximum((np.sum(turned**2, axis=0) - own - total**2 / left) / (left - 1), 0.0)


def _rank(values: Float[np.ndarray, " k"], above: float) -> float:
    """How many exceed `above`, interpolated between neighbours on the logarithmic scale: what moves smoothly."""
    ordered = np.log(np.maximum(np.sort(values), np.finfo(float).tiny))
    return float(np.interp(np.log(above), ordered, np.arange(len(values), 0, -1.0)))


def _fit(
    bulk: np.ndarray, left_out: Float[np.ndarray, "groups k"], spectra: np.ndarray, n: int, flags: tuple[Flag, ...]
) -> Reading:
    """Distance of the bulk from the law, and over that of the surrogates' bulks."""
    own = [distance for spectrum in spectra if (distance := _distance(spectrum, n)) is not None]
    distance = _distance(bulk, n)
    if distance is None or not own:
        refused = Refusal(Flag.too_small, "too few eigenvalues below the edge for a law")
        return {"parallel_ks_distance": refused, "parallel_ks_ratio": refused}
    band = max(float(np.quantile(own, 0.95)), 1e-9)
    moved = np.array([_distance(one, n) or distance for one in left_out])
    return {
        "parallel_ks_distance": valued(distance, moved, len(bulk), flags),
        "parallel_ks_ratio": valued(distance, moved, len(bulk), flags, 1 / band),
    }


def _distance(values: np.ndarray, n: int) -> float | None:
    """KS distance of covariance eigenvalues from the law fitted to their median; None for fewer than ten."""
    positive = values[values > 1e-10 * values.max(initial=0.0)]
    if len(positive) < 10:
        return None
    energies = positive * (n - 1)
    rows, cols = n - 1, len(positive)
    variance = law.fit_bulk(energies, rows, cols).variance
    return law.ks_distance(energies, rows, cols, variance)
