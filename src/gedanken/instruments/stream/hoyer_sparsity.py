"""Sparsity of tokens: how far their activations lean on few coordinates.

What. Hoyer's sparsity of every token, (√d − ‖h‖₁/‖h‖₂)/(√d − 1) ∈ [0, 1], unit 1, averaged within each prompt and then
over prompts: hoyer_sparsity. It is Ω/(1 − 1/√d) with Ω = 1 − ‖h‖₁/(√d‖h‖₂), called object integrity. Always reported in
several bases: the coordinates as they are, with the 0, 1, 4 or 16 largest taken out (largest mean |h| on the fitted
half), standardised one by one, and whitened; and once with the first positions. With it, over tokens:
susceptibility_hoyer χ = d·Var Ω/(1 − 3/π), 1 for random directions; binder_cumulant_hoyer U = 1 − ⟨m⁴⟩/(3⟨m²⟩²) of
m = Ω − Ω₀(d), 0 for normal m and negative if a small share is displaced; bimodality_hoyer = (skew² + 1)/kurtosis, above
5/9 for two peaks; and the density over tokens.

Reads. stream: points of the report half; means, scales, eigenvectors and massive coordinates of the fitted half.

Null. Independent random directions: Ω has mean Ω₀(d) and a known variance, exactly, which gives the band of the mean;
χ follows χ²/n, U and the bimodality are normal around 0 and 1/3 up to terms of order 1/d. On request, every coordinate
in a random order of its own, which keeps marginals: what is then left is their shape.

Fails when. There are fewer than two coordinates. It is no property of the space but of its axes: unequal scales alone
raise it, and a few massive coordinates decide it. One per cent of sink tokens can dominate χ and U.

Reference. [@hoyer2004nonnegative, §3.1]; as an order parameter over depth in [@alpay2026latent]; Binder cumulant
[@binder1981finite, eq. 16]; bimodality coefficient [@pfister2013good, eq. 1].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Curve, Instrument, KnownCase, NullBand, Reading, Value, Variable
from gedanken.instruments.nulls import law_band
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream._prompts import OF_COORDINATES, Rows, valued
from gedanken.instruments.stream._sparsity import Basis, check_basis, dimension, sparsity
from gedanken.instruments.stream_nulls import STREAM_PERMUTATION
from gedanken.kinds import Kind, Stream
from gedanken.status import Flag, Refusal
from gedanken.theory import hoyer
from gedanken.theory.laws import ChiSquare, Normal

RANDOM = "random_directions"

BINS = 40
"""Of the density over tokens: what a page draws of a curve."""


@final
@dataclass(frozen=True)
class HoyerSparsity(Instrument):
    """Mean sparsity of tokens in one basis.

    basis: "coordinates", "standardised" or "whitened"; `removed` largest coordinates are taken out first;
    `first` keeps the first positions.
    """

    basis: str = "coordinates"
    removed: int = 0
    first: bool = False

    reads = Kind.stream
    variables = (
        Variable("hoyer_sparsity", "s_H", "1", "mean over prompts of (√d − ‖h‖₁/‖h‖₂)/(√d − 1) of their tokens", (0, 1),
                 aliases=("object_integrity",)),
        Variable("susceptibility_hoyer", "χ_Ω", "1", "variance of Ω over tokens, random directions having 1", (0, None),
                 scale="log"),
        Variable("binder_cumulant_hoyer", "U_Ω", "1", "1 − ⟨m⁴⟩/(3⟨m²⟩²) of m = Ω − Ω₀(d) over tokens", (None, 2 / 3)),
        Variable("bimodality_hoyer", "BC_Ω", "1", "(skewness² + 1)/kurtosis of Ω over tokens", (0, 1)),
        Variable("hoyer_density", "p(s_H)", "1", "density over tokens, against the sparsity of a token", (0, None),
                 curve=True, no_null="the null of the mean tells where random directions lie"),
    )  # fmt: skip
    symmetries = OF_COORDINATES
    exchangeable = "prompt"
    data_null = STREAM_PERMUTATION

    def __post_init__(self):
        check_basis(self.basis)

    @property
    def _basis(self) -> Basis:
        return Basis(self.basis, self.removed, self.first)

    @classmethod
    def standard(cls) -> tuple[Instrument, ...]:
        others = (cls(removed=k) for k in (1, 4, 16))
        return cls(), *others, cls(basis="standardised"), cls(basis="whitened"), cls(first=True)

    def measure(self, array: Stream, rng: np.random.Generator) -> Reading:
        rows, omega, d = sparsity(array, self._basis)
        ceiling, n = hoyer.largest(d), len(omega)
        mean, left_out = _mean_of_prompts(omega, rows)
        shape = _moment_ratios(omega, rows, d)
        # With equal tokens, deviations are rounding.
        alike = float(omega.var()) < (1e3 * np.finfo(float).eps) ** 2
        refused = Refusal(Flag.constant, "all tokens have one sparsity") if alike else None
        density, edges = np.histogram(omega / ceiling, BINS, (0.0, 1.0), density=True)
        return {
            "hoyer_sparsity": valued(mean, left_out, n, rows.flags, 1 / ceiling),
            **{name: refused or valued(found[-1], found[:-1], n, rows.flags) for name, found in shape.items()},
            "hoyer_density": Curve((edges[1:] + edges[:-1]) / 2, density, n=n, flags=rows.flags),
        }

    def null(self, array: Stream, reading: Reading) -> dict[str, NullBand]:
        d = dimension(array, self._basis)
        standing = {name: found for name, found in reading.items() if isinstance(found, Value)}
        return {name: _band(name, found.value, d, found.n) for name, found in standing.items()}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        signs = rng.choice([-1.0, 1.0], (2400, 64))
        raw = self.basis == "coordinates"
        if raw:
            yield KnownCase("equal |h|", stream_of(signs), {"hoyer_sparsity": (0.0, 1e-12)}, "Ω = 0 for equal |h_i|")
        if raw and not self.removed:
            axes = np.eye(64)[rng.integers(64, size=2400)]
            yield KnownCase("one coordinate", stream_of(axes), {"hoyer_sparsity": (1.0, 1e-12)}, "Ω is largest")
        gaussian = stream_of(rng.standard_normal((4800, 64)))
        n, d = 2400 * (1.0 if self.first else 5 / 6), 64 - self.removed
        exact = hoyer.random_mean(d) / hoyer.largest(d)
        spread = math.sqrt(hoyer.random_variance(d)) / hoyer.largest(d)
        grid = (np.arange(BINS) + 0.5) / BINS
        law = np.exp(-(((grid - exact) / spread) ** 2) / 2) / (spread * math.sqrt(2 * math.pi))
        expected = {
            "hoyer_sparsity": (exact, 4 * spread / math.sqrt(n)),
            "susceptibility_hoyer": (d * hoyer.random_variance(d) / hoyer.UNIT_VARIANCE, 4 * math.sqrt(2 / n)),
            "binder_cumulant_hoyer": (0.0, 4 * math.sqrt(24 / n) / 3 + 3 / d),
            "bimodality_hoyer": (1 / 3, 4 * math.sqrt(24 / n) / 9 + 3 / d),
            # A bin holds up to n/5 tokens; half a bin of curvature, and skewness of order 1/√d, come on top.
            "hoyer_density": (law, 4 * math.sqrt(law.max() * BINS / n) + 0.2 * law.max()),
        }
        yield KnownCase("random directions", gaussian, expected, "the exact law, to four standard errors and O(1/d)")


def _mean_of_prompts(values: np.ndarray, rows: Rows) -> tuple[float, Float[np.ndarray, " groups"]]:
    """Mean over prompts of their tokens' mean, and the same with each group left out."""
    starts = np.flatnonzero(np.diff(rows.prompt, prepend=-1))
    means = np.add.reduceat(values, starts) / np.diff([*starts, len(values)])
    total, count = (np.bincount(rows.group[starts], weights=w, minlength=rows.groups) for w in (means, None))
    rest = np.maximum(count.sum() - count, 1)
    return float(means.mean()), (means.sum() - total) / rest


def _moment_ratios(omega: np.ndarray, rows: Rows, d: int) -> dict[str, Float[np.ndarray, " left"]]:
    """χ, U and the bimodality with each group left out, and last with none."""
    baseline, centre = hoyer.random_mean(d), float(omega.mean())
    of_groups = rows.sums(np.power.outer(omega - centre, np.arange(5)))
    sums = np.concatenate([of_groups.sum(axis=0) - of_groups, of_groups.sum(axis=0)[None]])
    with np.errstate(invalid="ignore", divide="ignore"):
        n, first, second, third, fourth = np.where(sums[:, :1] > 1, sums, np.nan).T
        central, raw = (_about(shift, n, first, second, third, fourth) for shift in (first / n, baseline - centre))
        kurtosis = central[4] / central[2] ** 2
        return {
            "susceptibility_hoyer": d * central[2] * n / (n - 1) / hoyer.UNIT_VARIANCE,
            "binder_cumulant_hoyer": 1 - raw[4] / (3 * raw[2] ** 2),
            "bimodality_hoyer": np.minimum((central[3] ** 2 / central[2] ** 3 + 1) / kurtosis, 1.0),
        }


def _about(c, n, first, second, third, fourth) -> dict[int, np.ndarray]:
    """Second to fourth moment about c, from power sums."""
    return {
        2: (second - 2 * c * first) / n + c**2,
        3: (third - 3 * c * second + 3 * c**2 * first) / n - c**3,
        4: (fourth - 4 * c * third + 6 * c**2 * second - 4 * c**3 * first) / n + c**4,
    }


def _band(name: str, value: float, d: int, n: int) -> NullBand:
    """Of a variable for n independent random directions in d coordinates."""
    variance = hoyer.random_variance(d)
    if name == "susceptibility_hoyer":
        factor = d * variance / hoyer.UNIT_VARIANCE / max(n - 1, 1)
        return law_band(value / factor, ChiSquare(max(n - 1, 1)), lambda x: factor * x, RANDOM)
    ceiling = hoyer.largest(d)
    # The kurtosis of n normal values has standard error √(24/n) [@fisher1930moments].
    law = {
        "hoyer_sparsity": Normal(hoyer.random_mean(d) / ceiling, math.sqrt(variance / n) / ceiling),
        "binder_cumulant_hoyer": Normal(0.0, math.sqrt(24 / n) / 3),
        "bimodality_hoyer": Normal(1 / 3, math.sqrt(24 / n) / 9),
    }[name]
    return law_band(value, law, null=RANDOM)
