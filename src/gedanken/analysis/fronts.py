"""Fronts: the compression wave in u(step, layer) = ln(stable rank / its start), its arrival, speed, peak and reversal.

Definitions of the lifecycle study (spectral-lifecycle, §3.4), for the claims of [@liu2026lifecycle], which prints none:

    G(t) = mean of u over the last k layers − mean over the first k,  k = max(1, ⌊L/3⌋)         depth gradient, in nat
    peak = argmax G over t ≤ T/2;  reversal = first later t with G ≤ 0 at three snapshots in a row;
    G_end = mean of G over the last 10 % of snapshots;  arrival = first t with u ≤ ½ min u, interpolated linearly.

G > 0: the front has passed the early layers only. All functions are pure; `u` is step × layer.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from gedanken.analysis.intervals import Estimate, bootstrap_mean
from gedanken.analysis.p_values import DRAWS, orders, permutation_p

SMOOTHED = 3
"""Snapshots in the running median."""
REVERSED = 3
"""Snapshots in a row with G ≤ 0."""
MOVES = 0.1
"""Median |u| at the end, above which a unit moves at all."""


@dataclass(frozen=True)
class Front:
    """A wave with its intervals (bootstrap over replicates) and its null (layers in random order).

    `speed` in layers per step, NaN where the Theil–Sen slope's interval holds 0. `arrivals` per layer in steps, NaN if
    it never comes. `tau` is Kendall's τ_b of arrival with layer; `tau_p` and `turn_p` one-sided permutation p.
    `turn` = min(max G over the first quarter, −G_end), positive if G is first positive, then negative.
    """

    arrivals: Float[np.ndarray, " layer"]
    delay: Estimate
    """Steps per layer: the Theil–Sen slope of arrival on layer."""
    speed: Estimate
    tau: Estimate
    tau_p: float
    peak_step: Estimate
    peak: Estimate
    reversal_step: Estimate
    end: Estimate
    turn: Estimate
    turn_p: float
    lag: Estimate
    """Median arrival of the last third minus that of the first, in steps."""
    moves: bool


def front(
    steps: np.ndarray, u: Float[np.ndarray, "replicate step layer"], rng: np.random.Generator, draws: int = DRAWS
) -> Front:
    """Everything about the wave of a unit; replicates are its seeds (or, of one run, the parts of its layers)."""
    series = np.stack([smoothed(one) for one in u])
    mean = series.mean(axis=0)
    _, tau_p = arrival_order(arrivals(steps, mean), rng, draws)
    _, turn_p = turning(steps, mean, rng, draws)

    def estimate(statistic) -> Estimate:
        return bootstrap_mean(series, statistic, rng)

    def of_gradient(statistic):
        return estimate(lambda one: statistic(depth_gradient(one)))

    delay = delay_per_layer(arrivals(steps, mean))
    resolved = delay.low > 0 or delay.high < 0
    ends = sorted((1 / delay.low, 1 / delay.high)) if resolved else (math.nan, math.nan)
    return Front(
        arrivals=arrivals(steps, mean),
        delay=delay,
        speed=Estimate(1 / delay.value if resolved else math.nan, *ends),
        tau=estimate(lambda one: kendall(arrivals(steps, one))),
        tau_p=tau_p,
        peak_step=of_gradient(lambda g: peak(steps, g)[0]),
        peak=of_gradient(lambda g: peak(steps, g)[1]),
        reversal_step=of_gradient(lambda g: reversal(steps, g)),
        end=of_gradient(end_value),
        turn=estimate(lambda one: turn_of(steps, depth_gradient(one))),
        turn_p=turn_p,
        lag=estimate(lambda one: arrival_lag(arrivals(steps, one))),
        moves=moves(mean),
    )


def smoothed(u: Float[np.ndarray, "step layer"], width: int = SMOOTHED) -> Float[np.ndarray, "step layer"]:
    """Running median over snapshots, the ends repeated."""
    half = width // 2
    padded = np.pad(u, ((half, half), (0, 0)), mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, width, axis=0), axis=-1)


def depth_gradient(u: Float[np.ndarray, "step layer"]) -> Float[np.ndarray, " step"]:
    """G(t): last third minus first third, in nat."""
    k = max(1, u.shape[1] // 3)
    return u[:, -k:].mean(axis=1) - u[:, :k].mean(axis=1)


def depth_slope(u: Float[np.ndarray, "step layer"]) -> Float[np.ndarray, " step"]:
    """Least-squares slope of u on relative depth, in nat: the depth gradient's second form."""
    x = (np.arange(u.shape[1]) + 0.5) / u.shape[1]
    x = x - x.mean()
    return u @ x / (x @ x)


def peak(steps: np.ndarray, gradient: Float[np.ndarray, " step"]) -> tuple[float, float]:
    """(step, value) of the largest G in the first half of training."""
    at = int(np.argmax(gradient[steps <= steps[-1] / 2]))
    return float(steps[at]), float(gradient[at])


def reversal(steps: np.ndarray, gradient: Float[np.ndarray, " step"]) -> float:
    """First step after the peak from which G ≤ 0 at three snapshots in a row; NaN if there is none (censored)."""
    below = (gradient <= 0) & (steps > peak(steps, gradient)[0])
    runs = np.lib.stride_tricks.sliding_window_view(below, REVERSED).all(axis=1) if len(below) >= REVERSED else []
    return float(steps[np.argmax(runs)]) if np.any(runs) else math.nan


def end_value(series: Float[np.ndarray, " step"]) -> float:
    """Mean over the last 10 % of snapshots."""
    return float(series[-max(1, len(series) // 10) :].mean())


def turn_of(steps: np.ndarray, gradient: Float[np.ndarray, " step"]) -> float:
    """min(max G over t ≤ T/4, −G_end)."""
    return min(float(gradient[steps <= steps[-1] / 4].max()), -end_value(gradient))


def arrivals(steps: np.ndarray, u: Float[np.ndarray, "step layer"]) -> Float[np.ndarray, " layer"]:
    """First step at which each layer has covered half of its largest fall, between snapshots; NaN if it never falls."""
    return crossings(steps, u, 0.5 * np.minimum(u.min(axis=0), 0.0))


def crossings(
    steps: np.ndarray, series: Float[np.ndarray, "step layer"], levels: Float[np.ndarray, " layer"]
) -> Float[np.ndarray, " layer"]:
    """First step, interpolated linearly, at which each layer is at or below its level; NaN for none, or no fall at all.

    With a stable rank and 0.8 × its start it is the front's second form.
    """
    found = np.full(series.shape[1], np.nan)
    for layer, level in enumerate(levels):
        column = series[:, layer]
        below = column <= level
        if not below.any() or column.min() >= column[0]:
            continue
        at = int(np.argmax(below))
        if at == 0:
            found[layer] = steps[0]
            continue
        share = (column[at - 1] - level) / (column[at - 1] - column[at])
        found[layer] = steps[at - 1] + share * (steps[at] - steps[at - 1])
    return found


def kendall(arrival: Float[np.ndarray, " layer"]) -> float:
    """Kendall's τ_b of arrival with layer; layers that the front never reaches share the last rank."""
    ranked = np.where(np.isfinite(arrival), arrival, np.inf)
    if np.all(ranked == ranked[0]):
        return math.nan
    return float(stats.kendalltau(np.arange(len(ranked)), ranked).statistic)


def arrival_order(
    arrival: Float[np.ndarray, " layer"], rng: np.random.Generator, draws: int = DRAWS
) -> tuple[float, float]:
    """τ_b, and its one-sided p where layers stand in random order."""
    observed = kendall(arrival)
    if math.isnan(observed):
        return math.nan, 1.0
    order, complete = orders(len(arrival), rng, draws)
    ranks = stats.rankdata(np.where(np.isfinite(arrival), arrival, np.inf))
    early, late = np.triu_indices(len(arrival), 1)

    def concordance(ranked: np.ndarray) -> np.ndarray:
        """Concordant minus discordant pairs: τ_b but for a factor, which no order changes."""
        return np.sign(ranked[..., late] - ranked[..., early]).sum(axis=-1)

    return observed, permutation_p(float(concordance(ranks)), concordance(ranks[order]), complete=complete)


def turning(
    steps: np.ndarray, u: Float[np.ndarray, "step layer"], rng: np.random.Generator, draws: int = DRAWS
) -> tuple[float, float]:
    """`turn_of` the depth gradient, and its one-sided p where whole layer series stand at random depths."""
    order, complete = orders(u.shape[1], rng, draws)
    k = max(1, u.shape[1] // 3)
    weights = np.zeros((len(order), u.shape[1]))
    np.put_along_axis(weights, order[:, :k], -1 / k, axis=1)
    np.put_along_axis(weights, order[:, -k:], 1 / k, axis=1)
    gradients = weights @ u.T
    early = gradients[:, steps <= steps[-1] / 4].max(axis=1)
    end = gradients[:, -max(1, len(steps) // 10) :].mean(axis=1)
    observed = turn_of(steps, depth_gradient(u))
    return observed, permutation_p(observed, np.minimum(early, -end), complete=complete)


def delay_per_layer(arrival: Float[np.ndarray, " layer"]) -> Estimate:
    """Theil–Sen slope of arrival on layer, steps per layer, with its 95 % interval (Sen's) [@sen1968slope].

    NaN with fewer than three layers reached.
    """
    at = np.flatnonzero(np.isfinite(arrival))
    if len(at) < 3:
        return Estimate(math.nan, math.nan, math.nan, len(at), len(at) / len(arrival))
    slope, _, low, high = stats.theilslopes(arrival[at], at, 0.95)
    return Estimate(float(slope), float(low), float(high), len(at), len(at) / len(arrival))


def arrival_lag(arrival: Float[np.ndarray, " layer"]) -> float:
    """Median arrival of the last third minus that of the first; NaN if a third has none."""
    k = max(1, len(arrival) // 3)
    first, last = arrival[:k], arrival[-k:]
    if not (np.isfinite(first).any() and np.isfinite(last).any()):
        return math.nan
    return float(np.nanmedian(last) - np.nanmedian(first))


def moves(u: Float[np.ndarray, "step layer"]) -> bool:
    """Whether the median layer has changed by more than MOVES at the end."""
    return bool(np.median(np.abs(u[-1])) > MOVES)
