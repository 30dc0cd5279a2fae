"""Shape of the covariance spectrum of activations, with errors: ranks, largest gap, tail.

What. Of the eigenvalues λ₁ ≥ λ₂ ≥ … of the covariance of tokens: covariance_stable_rank Σλ/λ₁, covariance_energy_rank
exp(−Σp ln p) with p = λ/Σλ, covariance_effective_rank the same with p ∝ √λ (in this order, with the participation ratio
after the first, each is at most the next); spectral_gap the largest λ_i/λ_{i+1} for i ≤ 50, spectral_gap_index its i;
tail_share_16, _64, _tenth the share of Σλ beyond rank 16, 64 and ⌊d/10⌋; covariance_rank_exponent minus the slope of
ln σ on ln i, σ = √λ, for 11 ≤ i ≤ min(n, d)/5; covariance_energy_rank_half the energy rank of every other group of
prompts, which shows what depends on the number of rows. Unit 1. The ranks are those of the instruments of spectra; what
is new is their error, from groups of prompts left out, each eigenvalue moved to first order: λ_i → v_iᵀCv_i.

Reads. stream: points of the report half, first positions left out.

Null. On request, every coordinate in a random order of its own: the spectrum of the variances alone.

Fails when. Nothing varies. The entropies have no correction for few rows: compare at equal n, and with the half. A
gap between nearly equal eigenvalues jumps from one index to another. Where each prompt has directions of its own, errors
of the entropies come out too large. Ten eigenvalues are needed for the slope.

Reference. Effective rank [@roy2007effective, eq. 4]; slopes of activation spectra [@agrawal2022alphareq].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Symmetry, Value, Variable
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream._prompts import OF_COORDINATES, valued
from gedanken.instruments.stream._second_moment import CENTRINGS, SecondMoment, second_moment
from gedanken.instruments.stream_nulls import STREAM_PERMUTATION
from gedanken.kinds import Kind, Stream
from gedanken.status import Flag, Refusal
from gedanken.theory.lapack import symmetric_eigenvalues

GAPS = 50
"""Ranks among which the largest gap is sought (latent-object-permanence, §2.4)."""

LOST = 1e-10
"""Eigenvalues within this of zero, in units of the largest, are zero; lower ones mean lost precision (§2.1)."""

SLOPE_FROM, SLOPE_POINTS = 11, 10
"""First rank of the slope, and the fewest ranks it is fitted to (§2.4)."""


@final
@dataclass(frozen=True)
class CovarianceSpectrum(Instrument):
    """Ranks, gap, tail and slope of a covariance; `centring`: "centred", "uncentred" or "correlation"."""

    centring: str = "centred"

    reads = Kind.stream
    variables = (
        Variable("covariance_stable_rank", "Σλ/λ₁", "1", "trace over largest eigenvalue", (1, None), scale="log"),
        Variable("covariance_energy_rank", "e^S(λ)", "1", "exp entropy of λ/Σλ", (1, None), scale="log"),
        Variable("covariance_effective_rank", "e^S(√λ)", "1", "exp entropy of √λ/Σ√λ", (1, None), scale="log"),
        Variable("covariance_energy_rank_half", "e^S(λ)½", "1", "exp entropy of λ/Σλ at half the prompts", (1, None),
                 scale="log"),
        Variable("spectral_gap", "g", "1", "largest ratio of two successive eigenvalues among the first 50", (1, None),
                 scale="log"),
        Variable("spectral_gap_index", "i_g", "1", "rank above the largest gap", (1, GAPS)),
        Variable("tail_share_16", "τ₁₆", "1", "share of the variance beyond rank 16", (0, 1), scale="log"),
        Variable("tail_share_64", "τ₆₄", "1", "share of the variance beyond rank 64", (0, 1), scale="log"),
        Variable("tail_share_tenth", "τ_d/10", "1", "share of the variance beyond rank ⌊d/10⌋", (0, 1), scale="log"),
        Variable("covariance_rank_exponent", "α_C", "1", "minus the slope of ln √λ on ln rank, ranks 11 to min(n, d)/5"),
        Variable("covariance_eigenvalue", "λ", "activation²", "eigenvalues of the covariance, by rank", (0, None),
                 degree=2, scale="log", curve=True, no_null="the parallel edges draw theirs"),
    )  # fmt: skip
    symmetries = OF_COORDINATES | {Symmetry.scale}
    exchangeable = "prompt"
    data_null = STREAM_PERMUTATION

    def __post_init__(self):
        if self.centring not in CENTRINGS:
            raise ValueError(f"centring is one of {', '.join(CENTRINGS)}, not {self.centring!r}")

    def measure(self, array: Stream, rng: np.random.Generator) -> Reading:
        moment = second_moment(array, self.centring)
        rows = moment.rows
        values = _eigenvalues(moment, about_mean=self.centring != "uncentred")
        n, flags, whole = len(rows.points), rows.flags, values[-1]
        unit = 1.0 if self.centring == "correlation" else rows.scale
        # A group that holds everything that varies cannot be left out.
        left_out = values[:-1] if rows.groups > 1 and np.all(values.sum(axis=1) > LOST * whole.sum()) else values[:0]

        def of(statistic, needed: int = 0) -> Value | Refusal:
            if np.count_nonzero(whole) < needed:
                return Refusal(Flag.too_small, f"{np.count_nonzero(whole)} eigenvalues, where {needed} are needed")
            return valued(statistic(whole[None])[0], statistic(left_out), n, flags)

        positive = int(np.count_nonzero(whole))
        ratios = whole[: min(GAPS, positive - 1)] / whole[1 : min(GAPS, positive - 1) + 1]
        at = int(np.argmax(ratios)) if len(ratios) else 0
        d = rows.points.shape[1]
        last = min(positive, min(n, d) // 5)
        return {
            "covariance_stable_rank": of(lambda v: v.sum(axis=1) / v.max(axis=1)),
            "covariance_energy_rank": of(_exp_entropy),
            "covariance_effective_rank": of(lambda v: _exp_entropy(np.sqrt(v))),
            "covariance_energy_rank_half": self._half(moment),
            "spectral_gap": of(lambda v: v[:, at] / np.maximum(v[:, at + 1], LOST * v[:, 0]), needed=2),
            "spectral_gap_index": Value(at + 1.0, n=n, flags=flags) if positive > 1 else of(_exp_entropy, needed=2),
            "tail_share_16": _tail(of, 16, d),
            "tail_share_64": _tail(of, 64, d),
            "tail_share_tenth": _tail(of, d // 10, d),
            "covariance_rank_exponent": of(lambda v: _slope(v[:, SLOPE_FROM - 1 : last]), SLOPE_FROM - 1 + SLOPE_POINTS)
            if last >= SLOPE_FROM - 1 + SLOPE_POINTS
            else Refusal(Flag.too_small, "fewer than ten eigenvalues for a slope"),
            "covariance_eigenvalue": Curve(np.arange(1.0, len(whole) + 1), whole * unit**2, n=n, flags=flags),
        }

    def _half(self, moment: SecondMoment) -> Value | Refusal:
        """Every other group, about its own mean."""
        rows = moment.rows
        chosen = rows.sizes[::2]
        n = int(chosen.sum())
        if rows.groups < 2 or n < 2:
            return Refusal(Flag.too_small, "one group of prompts has no half")
        half = moment.half.copy()
        if self.centring != "uncentred":
            mean = moment.of_groups[::2].sum(axis=0) / n
            half -= n * np.outer(mean, mean)
        values = np.maximum(symmetric_eigenvalues(half), 0.0)
        if values[-1] <= np.finfo(float).eps ** 2:
            return Refusal(Flag.constant)
        return Value(float(_exp_entropy(values[None])[0]), n=n, flags=rows.flags)

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        # Rows whose sample covariance is exactly diagonal (its correlation, one), up to rounding.
        d, n = 120, 2400
        variances = np.ones(d)
        if self.centring != "correlation":
            variances[:3] = 400.0, 100.0, 60.0
        raw = rng.standard_normal((n, d))
        exact = np.linalg.qr(raw - raw.mean(axis=0))[0] * np.sqrt(variances * (n - 1))
        points = np.zeros((n * 6 // 5, d))
        points[np.arange(len(points)) % 24 >= 4] = exact
        if self.centring == "uncentred":
            variances = variances * (n - 1) / n
        p = variances / variances.sum()
        root = np.sqrt(variances) / np.sqrt(variances).sum()
        energy = np.exp(-p @ np.log(p))
        tight = 1e-6
        gap = {"spectral_gap": (60.0, 1e-3), "spectral_gap_index": (3.0, 0.0)}
        if self.centring == "correlation":
            gap = {"spectral_gap": (1.0, tight)}
        expected = gap | {
            "covariance_stable_rank": (1 / p[0], tight),
            "covariance_energy_rank": (energy, tight * d),
            "covariance_effective_rank": (np.exp(-root @ np.log(root)), tight * d),
            # Half the rows: their bulk spreads over 1 ± 2√(d/n'), an entropy of about d/(2n') in relative terms.
            "covariance_energy_rank_half": (energy, 0.15 * energy),
            "tail_share_16": (p[16:].sum(), tight),
            "tail_share_64": (p[64:].sum(), tight),
            "tail_share_tenth": (p[12:].sum(), tight),
            "covariance_rank_exponent": (0.0, tight),
            "covariance_eigenvalue": (variances, tight * variances[0]),
        }
        yield KnownCase("three spikes", stream_of(points), expected, "orthonormal columns, scaled")


def _eigenvalues(moment: SecondMoment, *, about_mean: bool) -> Float[np.ndarray, "left d"]:
    """Eigenvalues, descending, of the covariance; before them, to first order, with each group left out.

    Raises Refusal: `constant` if nothing varies, `below_resolution` if an eigenvalue is negative beyond rounding.
    """
    found, vectors = moment.eigen
    if found[0] <= np.finfo(float).eps ** 2:
        raise Refusal(Flag.constant, "no coordinate varies")
    if found[-1] < -LOST * found[0]:
        raise Refusal(Flag.below_resolution, "an eigenvalue is negative beyond rounding")
    energies = found[None] if moment.rows.groups == 1 else np.concatenate([found - moment.along, found[None]])
    n = moment.n[-len(energies) :, None]
    if about_mean:
        energies = energies - (moment.total[-len(energies) :] @ vectors) ** 2 / np.maximum(n, 1)
        n = n - 1
    values = energies / np.maximum(n, 1)
    # Beyond the rank that n rows can have, eigenvalues are rounding.
    values[:, values[-1] < LOST * values[-1, 0]] = 0.0
    return np.maximum(values, 0.0)


def _exp_entropy(weights: Float[np.ndarray, "k d"]) -> Float[np.ndarray, " k"]:
    p = weights / weights.sum(axis=1, keepdims=True)
    return np.exp(-np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0), axis=1))


def _tail(of, rank: int, d: int) -> Value | Refusal:
    if not 0 < rank < d:
        return Refusal(Flag.too_small, f"{d} coordinates have no rank beyond {rank}")
    return of(lambda v: v[:, rank:].sum(axis=1) / v.sum(axis=1))


def _slope(values: Float[np.ndarray, "k m"]) -> Float[np.ndarray, " k"]:
    """Minus the slope of ln √λ on ln rank."""
    x = np.log(np.arange(SLOPE_FROM, SLOPE_FROM + values.shape[1]))
    x -= x.mean()
    return -0.5 * np.log(np.maximum(values, np.finfo(float).tiny)) @ x / (x @ x)
