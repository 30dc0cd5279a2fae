"""Parallel analysis: which covariance eigenvalues are larger than coordinates unrelated to each other would give.

What. parallel_edge is the 99th percentile of λ₁ over `draws` surrogates of the centred tokens (activation²), and
parallel_outlier_count the number of covariance eigenvalues above it. A huge outlier inflates the surrogates and hides
smaller ones: parallel_outlier_count_deflated takes the directions found out of the tokens and looks again, until none
is added. parallel_ks_distance is the largest difference between the eigenvalues below the edge and a
Marchenko–Pastur law fitted to them, parallel_ks_ratio that over the 95th percentile of the surrogates' own: at most 1
where the bulk is as close to the law as unrelated coordinates are. parallel_eigenvalue are the eigenvalues by rank
against the surrogates' band. Surrogates: "block_shift" turns each coordinate within each prompt by an offset of its
own, keeping its course along the text (primary); "permutation" orders each coordinate at random; "sign_flip" gives
each entry a random sign.

Reads. stream: points of the report half, first positions left out; prompts of under 8 rows are left out of shifts.

Null. It is its own null; the eigenvalues carry the band of the surrogates.

Fails when. There are fewer than ten rows, or no prompt of 8. Shifts within prompts keep what coordinates share as means
of prompts, so that their edge lies high where prompts differ. Few draws make an edge that fluctuates.

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
from gedanken.instruments.stream._prompts import rows_of
from gedanken.instruments.stream_nulls import SHORTEST, SURROGATES, surrogate
from gedanken.kinds import Kind, Stream
from gedanken.status import Flag, Refusal
from gedanken.theory import marchenko_pastur as law

QUANTILE = 0.99
"""Of λ₁ over the surrogates (latent-object-permanence, §2.3)."""

SPECTRA = 20
"""Surrogates whose whole spectrum is taken, for bands; the others give λ₁ only."""

ROUNDS = 10
"""Of deflation; ending there is flagged `at_bound`."""

OWN_NULL = "it is held against its own surrogates"


@final
@dataclass(frozen=True)
class ParallelEdge(Instrument):
    """Empirical bulk edge from `draws` surrogates of one kind."""

    kind: str = "block_shift"
    draws: int = 100

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
    exchangeable = "prompt"
    on_request = True

    def __post_init__(self):
        if self.kind not in SURROGATES:
            raise ValueError(f"a surrogate is one of {', '.join(SURROGATES)}, not {self.kind!r}")

    @classmethod
    def standard(cls) -> tuple[Instrument, ...]:
        return tuple(cls(kind=name) for name in SURROGATES)

    def measure(self, array: Stream, rng: np.random.Generator) -> Reading:
        rows = rows_of(array, least=10)
        points, prompt = rows.points, rows.prompt
        if self.kind == "block_shift":
            long = np.bincount(prompt)[prompt] >= SHORTEST
            points, prompt = points[long], prompt[long]
            if len(points) < 10:
                raise Refusal(Flag.too_small, f"no ten rows in prompts of at least {SHORTEST}")
        points = points - points.mean(axis=0)
        values, vectors = np.linalg.eigh(points.T @ points / (len(points) - 1))
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
        if values[0] <= np.finfo(float).eps ** 2:
            raise Refusal(Flag.constant, "no coordinate varies")
        n, d = points.shape
        edge, spectra = self._edge(points, prompt, rng, min(SPECTRA, self.draws))
        outliers = int(np.count_nonzero(values > edge))
        deflated, bound = self._deflate(points, prompt, vectors, outliers, rng)
        bulk = values[: min(n - 1, d)]
        band = np.quantile(spectra[:, : len(bulk)], [0.025, 0.975], axis=0) * rows.scale**2
        return {
            "parallel_edge": Value(edge * rows.scale**2, n=n, flags=rows.flags),
            "parallel_outlier_count": Value(float(outliers), n=n, flags=rows.flags),
            "parallel_outlier_count_deflated": Value(float(deflated), n=n, flags=(*rows.flags, *bound)),
            **_fit(bulk[bulk <= edge], spectra[:, : len(bulk)], n, rows.flags),
            "parallel_eigenvalue": Curve(
                np.arange(1.0, len(bulk) + 1), bulk * rows.scale**2, null_low=band[0], null_high=band[1], n=n,
                flags=rows.flags,
            ),
        }  # fmt: skip

    def _edge(
        self, points: Float[np.ndarray, "n d"], prompt: Int[np.ndarray, " n"], rng: np.random.Generator, spectra: int
    ) -> tuple[float, Float[np.ndarray, "spectra d"]]:
        """The edge, and the eigenvalues of the first surrogates, descending."""
        single = points.astype(np.float32)
        whole = np.array([np.linalg.eigvalsh(self._gram(single, prompt, rng))[::-1] for _ in range(spectra)])
        rest = [_largest(self._gram(single, prompt, rng), rng) for _ in range(self.draws - spectra)]
        return float(np.quantile([*whole[:, 0], *rest], QUANTILE)), np.maximum(whole, 0.0)

    def _exceeded(
        self, points: np.ndarray, prompt: np.ndarray, values: np.ndarray, factor: float, rng: np.random.Generator
    ) -> int:
        """How many of `values` exceed factor × the edge. Ends as soon as the draws so far say that none will.

        The quantile lies at or above the draw of some rank from the top, and so above that of this rank among the first.
        """
        single, rank, drawn = points.astype(np.float32), self.draws - math.floor(QUANTILE * (self.draws - 1)), []
        for _ in range(self.draws):
            drawn.append(_largest(self._gram(single, prompt, rng), rng))
            if len(drawn) >= rank and values.max() <= factor * sorted(drawn)[-rank]:
                return 0
        return int(np.count_nonzero(values > factor * np.quantile(drawn, QUANTILE)))

    def _gram(self, single: np.ndarray, prompt: np.ndarray, rng: np.random.Generator) -> Float[np.ndarray, "d d"]:
        """Covariance of one surrogate, in float32: an edge needs no more."""
        drawn = surrogate(single, prompt, self.kind, rng)
        return drawn.T @ drawn / np.float32(len(drawn) - 1)

    def _deflate(
        self, points: np.ndarray, prompt: np.ndarray, vectors: np.ndarray, found: int, rng: np.random.Generator
    ) -> tuple[int, tuple[Flag, ...]]:
        """How many directions stand out once those found are gone, and a flag if that had no end."""
        added, d = found, len(vectors)
        for _ in range(ROUNDS):
            if not added or found >= min(len(points) - 1, d) - 1:
                return found, ()
            out = vectors[:, :found]
            rest = points - points @ out @ out.T
            along = rest @ vectors
            values = np.einsum("ij,ij->j", along, along) / (len(points) - 1)
            # What is left fills d − k dimensions, its surrogates d: without the factor, noise would exceed the edge once
            # anything is taken out, and so on to the end.
            added = self._exceeded(rest, prompt, values, d / (d - found), rng)
            found += added
        return found, (Flag.at_bound,)

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


def _fit(bulk: np.ndarray, spectra: np.ndarray, n: int, flags: tuple[Flag, ...]) -> Reading:
    """Distance of the bulk from the law, and over that of the surrogates' bulks."""
    own = [distance for spectrum in spectra if (distance := _distance(spectrum, n)) is not None]
    distance = _distance(bulk, n)
    if distance is None or not own:
        refused = Refusal(Flag.too_small, "too few eigenvalues below the edge for a law")
        return {"parallel_ks_distance": refused, "parallel_ks_ratio": refused}
    return {
        "parallel_ks_distance": Value(distance, n=len(bulk), flags=flags),
        "parallel_ks_ratio": Value(distance / max(float(np.quantile(own, 0.95)), 1e-9), n=len(bulk), flags=flags),
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
