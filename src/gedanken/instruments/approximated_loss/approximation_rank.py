"""Approximation rank: whether the excess free energy of approximated attention tells how much the approximation harms.

What. Attention weights p are replaced by approximations p̃ of several kinds; each has a loss increase Δℒ in nat/token and, as
means over attention rows, its excess free energy ΔF/T = KL(p̃‖p) in nat, dropped mass (p of keys without p̃), distance
Σ|p̃ − p|, and excess of Tsallis' free energy of order 2. approximation_rank_…: Spearman's ρ of Δℒ with each, over the
approximations, ∈ [−1, 1]; approximation_rank_gain: that of the excess free energy minus the larger one of dropped mass and
distance, ∈ [−2, 2], with the 95 % interval of a bootstrap over groups of documents. Curves: Δℒ against each measure, a
point for each approximation in the order of captures/attention/approximated.py.

Reads. approximated_loss: all layers together at stream.attention_pattern, or one layer.

Null. Dropped mass and distance, as a difference; the twin is Tsallis' free energy, whose least value another map has.

Fails when. Approximations of one kind only: truncations rank alike by all measures. All approximations harm equally.

Reference. Excess free energy of any distribution [@callen1985thermodynamics]; its reading of attention
[@kim2026thermodynamics]; Tsallis' entropy and its minimiser [@martins2016sparsemax]; bootstrap [@efron1993bootstrap, § 13.3].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float
from scipy import stats

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Symmetry, Value, Variable
from gedanken.kinds import ApproximatedLoss, Kind
from gedanken.status import Flag, Refusal

RIVALS = ("dropped_mass", "pattern_distance")
_NAMES = {
    "excess_free_energy": ("ρ_F", "excess free energy [nat]"),
    "dropped_mass": ("ρ_m", "dropped mass [1]"),
    "pattern_distance": ("ρ₁", "distance of the patterns [1]"),
    "tsallis_excess": ("ρ₂", "excess of Tsallis' free energy [nat]"),
}
_RIVAL = "the measures of damage are held against each other"


def _variables() -> Iterator[Variable]:
    gain = (
        "ρ of the loss increase with the excess free energy, minus the larger of those with dropped mass and distance"
    )
    yield Variable(
        "approximation_rank_gain", "Δρ", "1", gain, (-2, 2), no_null="it is the difference from rivals, 0 there"
    )
    for name, (symbol, words) in _NAMES.items():
        rho = f"Spearman's ρ of the loss increase with the {words.split(' [')[0]}"
        by = f"loss increase of approximations, by {words}"
        yield Variable(f"approximation_rank_{name}", symbol, "1", rho, (-1, 1), no_null=_RIVAL)
        yield Variable(f"approximation_loss_by_{name}", "Δℒ", "nat/token", by, degree=1, curve=True, no_null=_RIVAL)


@final
@dataclass(frozen=True)
class ApproximationRank(Instrument):
    """Rank correlations of harm with four measures of damage.

    resamples: of the bootstrap; the ends of the interval are then the 50th values from either side.
    """

    resamples: int = 2000

    reads = Kind.approximated_loss
    variables = tuple(_variables())
    symmetries = frozenset({Symmetry.scale, Symmetry.row_permutation})
    exchangeable = "document"
    on_request = True

    def measure(self, array: ApproximatedLoss, rng: np.random.Generator) -> Reading:
        if not array.tokens.sum() or not array.rows.sum():
            raise Refusal(Flag.too_small, "no token is predicted, or no row sees two keys")
        every = _Ranks.of(array, np.ones((1, len(array.tokens))))
        if np.ptp(every.loss) == 0:
            raise Refusal(Flag.constant, "all approximations harm equally")
        n = int(array.tokens.sum())
        loss = every.loss[0]
        curves = {f"approximation_loss_by_{name}": Curve(every.damage[name][0], loss, n=n) for name in _NAMES}
        rho = {f"approximation_rank_{name}": Value(float(every.rho(name)[0]), n=n) for name in _NAMES}
        return curves | rho | {"approximation_rank_gain": self._gain(array, every, rng, n)}

    def _gain(self, array: ApproximatedLoss, every: "_Ranks", rng: np.random.Generator, n: int) -> Value:
        value, groups = float(every.gain()[0]), len(array.tokens)
        if groups < 2:
            return Value(value, n=n)
        drawn = _Ranks.of(array, rng.multinomial(groups, np.full(groups, 1 / groups), self.resamples))
        gains = drawn.gain()
        low, high = np.quantile(gains, [0.025, 0.975])
        return Value(value, float(gains.std(ddof=1)), float(low), float(high), n=n)

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        harm = np.array([1.0, 2.0, 3.0, 4.0])
        orders = ("excess_free_energy", [0.1, 0.2, 0.3, 0.4]), ("dropped_mass", [0.4, 0.3, 0.2, 0.1])
        orders = dict((*orders, ("pattern_distance", [0.1, 0.2, 0.4, 0.3]), ("tsallis_excess", [0.2, 0.1, 0.4, 0.3])))
        case = _case(harm, orders)
        expected = {"approximation_rank_gain": 0.2, "approximation_rank_excess_free_energy": 1.0,
                    "approximation_rank_dropped_mass": -1.0, "approximation_rank_pattern_distance": 0.8,
                    "approximation_rank_tsallis_excess": 0.6}  # fmt: skip
        curves = {f"approximation_loss_by_{name}": (harm, 1e-12) for name in orders}
        values = {name: (value, 1e-12) for name, value in expected.items()}
        yield KnownCase("four approximations", case, values | curves, "1 − 6 Σd²/(n³ − n); rounding")
        flat = _case(np.ones(4), orders)
        yield KnownCase("equal harm", flat, {"approximation_rank_gain": Flag.constant}, "no order")


@dataclass(frozen=True)
class _Ranks:
    """Loss increase and damage of every approximation, for each resample of the groups."""

    loss: Float[np.ndarray, "resample approximation"]
    damage: dict[str, Float[np.ndarray, "resample approximation"]]

    @classmethod
    def of(cls, array: ApproximatedLoss, weights: np.ndarray) -> "_Ranks":
        """weights: how often each group stands in each resample."""
        tokens = np.maximum(weights @ array.tokens, 1)[:, None]
        rows = np.maximum(weights @ array.rows, 1)
        loss = weights @ (array.nats - array.exact[:, None]) / tokens
        return cls(loss, {name: weights @ array.damage[name] / rows for name in _NAMES})

    def rho(self, name: str) -> Float[np.ndarray, " resample"]:
        """0 where one of the two does not vary."""
        a, b = (stats.rankdata(values, axis=1) for values in (self.loss, self.damage[name]))
        a, b = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (a, b))
        norm = np.sqrt(np.sum(a**2, axis=1) * np.sum(b**2, axis=1))
        return np.sum(a * b, axis=1) / np.where(norm > 0, norm, 1.0)

    def gain(self) -> Float[np.ndarray, " resample"]:
        return self.rho("excess_free_energy") - np.maximum(*(self.rho(name) for name in RIVALS))


def _case(harm: np.ndarray, damage: dict[str, list[float]]) -> ApproximatedLoss:
    """Three groups, alike but for their sizes."""
    tokens = np.array([10, 20, 30])
    sums = {name: np.outer(tokens, values) for name, values in damage.items()}
    rows = np.outer(tokens, np.ones(len(harm)))
    return ApproximatedLoss(tuple("abcd"), np.outer(tokens, 2.0 + harm), 2.0 * tokens, tokens, sums, rows)
