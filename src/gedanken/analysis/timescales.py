"""Timescales: the two-timescale model of u and α over (step, layer), fitted, and held against its rivals.

    M0  nothing changes                          M3  two timescales and a travelling front (theory/two_timescales)
    M1  one timescale for u and α, no delay      M4  no delay between layers, τ_ℓ = τ_f(1 + b x): nothing travels
    M2  two timescales, all layers at once       M5  M3 with a logistic onset

M2 and M4 may start late, all layers together (t₀): a schedule's delay is no wave. M4 is the essential rival, for its
half-times are ordered and its gradient peaks and reverses as well. Every observable is divided by its noise. AIC =
Σ_v N_eff ln(RSS_v/N_v) + 2k with N_eff = N(1 − φ)/(1 + φ), φ the lag-1 autocorrelation of the richest model's residuals,
the same for all [@burnham2002]; the second criterion is the error in predicting a layer that was left out
(spectral-lifecycle, §3.7).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import optimize

from gedanken.analysis.depth_profile import relative_depth
from gedanken.analysis.intervals import Estimate
from gedanken.theory import two_timescales as law

STARTS = 12
"""Starting points of every fit, spread over the whole box of parameters in logarithms of the timescales."""

Prediction = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Model:
    """A law of u and α: names of its parameters, and `predict(parameters, t, layer, x)`."""

    name: str
    parameters: tuple[str, ...]
    predict: Callable[[dict[str, float], np.ndarray, np.ndarray, np.ndarray], Prediction]


_SHAPE = ("alpha_start", "alpha_base", "height", "centre", "width")
_FALL = ("a0", "a1")


def _alpha(p, t, x, tau):
    return law.settle(t, p["alpha_start"], law.bump(x, p["alpha_base"], p["height"], p["centre"], p["width"]), tau)


def _amplitude(p, x):
    return p["a0"] + p["a1"] * x


def _still(p, t, layer, x):
    shape = (len(t), len(x))
    return np.zeros(shape), np.full(shape, p["alpha_start"])


def _one(p, t, layer, x):
    return law.fall(t, _amplitude(p, x), np.zeros(len(x)), p["tau_slow"]), _alpha(p, t, x, p["tau_slow"])


def _together(p, t, layer, x):
    onset = np.full(len(x), float(p["t0"]))
    return law.fall(t, _amplitude(p, x), onset, p["tau_fast"]), _alpha(p, t, x, p["tau_slow"])


def _travelling(p, t, layer, x):
    onset = p["t0"] + p["delay"] * layer
    return law.fall(t, _amplitude(p, x), onset, p["tau_fast"]), _alpha(p, t, x, p["tau_slow"])


def _slowing(p, t, layer, x):
    tau = p["tau_fast"] * (1 + p["slowing"] * x)
    return law.fall(t, _amplitude(p, x), np.full(len(x), float(p["t0"])), tau), _alpha(p, t, x, p["tau_slow"])


def _smooth(p, t, layer, x):
    onset = p["t0"] + p["delay"] * layer
    return law.logistic_fall(t, _amplitude(p, x), onset, p["tau_fast"]), _alpha(p, t, x, p["tau_slow"])


MODELS = (
    Model("M0", ("alpha_start",), _still),
    Model("M1", (*_FALL, "tau_slow", *_SHAPE), _one),
    Model("M2", (*_FALL, "t0", "tau_fast", "tau_slow", *_SHAPE), _together),
    Model("M3", (*_FALL, "t0", "delay", "tau_fast", "tau_slow", *_SHAPE), _travelling),
    Model("M4", (*_FALL, "t0", "slowing", "tau_fast", "tau_slow", *_SHAPE), _slowing),
    Model("M5", (*_FALL, "t0", "delay", "tau_fast", "tau_slow", *_SHAPE), _smooth),
)


@dataclass(frozen=True)
class Fit:
    """One model on one unit. `left_out`: mean squared error, in noise units, on layers the fit had not seen.

    `at_bound` names parameters that ended at an end of their range: they were not measured.
    """

    model: str
    parameters: dict[str, float]
    aic: float
    aicc: float
    r_squared: dict[str, float]
    left_out: float
    at_bound: tuple[str, ...]
    u: Float[np.ndarray, "step layer"]
    alpha: Float[np.ndarray, "step layer"]


@dataclass(frozen=True)
class _Data:
    t: Float[np.ndarray, "step 1"]
    u: Float[np.ndarray, "step layer"]
    alpha: Float[np.ndarray, "step layer"]
    noise: tuple[float, float]
    layer: Float[np.ndarray, " layer"]
    x: Float[np.ndarray, " layer"]

    def without(self, layer: int) -> "_Data":
        keep = np.arange(len(self.x)) != layer
        return _Data(self.t, self.u[:, keep], self.alpha[:, keep], self.noise, self.layer[keep], self.x[keep])


def fit_models(
    time: Float[np.ndarray, " step"],
    u: Float[np.ndarray, "step layer"],
    alpha: Float[np.ndarray, "step layer"],
    noise: tuple[float, float],
    rng: np.random.Generator,
    *,
    models: Sequence[Model] = MODELS,
    starts: int = STARTS,
    left_out: bool = True,
) -> list[Fit]:
    """Every model fitted to one unit, best AIC first.

    time: steps, or the sum of learning rates up to each. noise: standard deviations of u and α between seeds.
    Raises ValueError if a noise is not positive.
    """
    if min(noise) <= 0:
        raise ValueError("the noise of u and of α must be positive")
    layers = u.shape[1]
    layer = np.arange(layers, dtype=float)
    data = _Data(np.asarray(time, float)[:, None], u, alpha, noise, layer, relative_depth(layers))
    solved = {model: _solve(model, data, _starts(model, data, rng, starts)) for model in models}
    richest = max(models, key=lambda model: (len(model.parameters), -_cost(model, solved[model], data)))
    memory = [_memory(residual) for residual in _residuals(richest, solved[richest], data)]
    return sorted((_fit(model, solved[model], data, memory, left_out) for model in models), key=lambda fit: fit.aic)


def parameter_intervals(
    time: Float[np.ndarray, " step"],
    u: Float[np.ndarray, "replicate step layer"],
    alpha: Float[np.ndarray, "replicate step layer"],
    noise: tuple[float, float],
    rng: np.random.Generator,
    *,
    model: str = "M3",
    draws: int = 200,
    starts: int = STARTS,
) -> dict[str, Estimate]:
    """Parameters of one model and `ratio` = τ_s/τ_f with 95 % intervals: replicates (seeds) drawn anew and refitted."""
    chosen = next(found for found in MODELS if found.name == model)
    layers = u.shape[2]
    grid = np.asarray(time, float)[:, None], np.arange(layers, dtype=float), relative_depth(layers)

    def data(rows: np.ndarray) -> _Data:
        return _Data(grid[0], u[rows].mean(axis=0), alpha[rows].mean(axis=0), noise, grid[1], grid[2])

    whole = data(np.arange(len(u)))
    best = _solve(chosen, whole, _starts(chosen, whole, rng, starts))
    rows = np.sort(rng.integers(len(u), size=(draws, len(u))), axis=1)
    unique, counts = np.unique(rows, axis=0, return_counts=True)
    found = np.repeat([_with_ratio(chosen, _solve(chosen, data(row), [best])) for row in unique], counts, axis=0)
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    values = _with_ratio(chosen, best)
    names = (*chosen.parameters, "ratio")
    return {name: Estimate(*map(float, three)) for name, *three in zip(names, values, low, high, strict=True)}


def _with_ratio(model: Model, parameters: np.ndarray) -> np.ndarray:
    p = dict(zip(model.parameters, parameters, strict=True))
    return np.append(parameters, p.get("tau_slow", math.nan) / p.get("tau_fast", math.nan))


def _box(model: Model, data: _Data) -> tuple[np.ndarray, np.ndarray]:
    """Bounds: timescales from a hundredth of the run to a hundred times it; delays within the run."""
    length = float(data.t[-1, 0] - data.t[0, 0])
    fall = max(float(np.abs(data.u).max()), data.noise[0])
    size = max(float(np.ptp(data.alpha)), data.noise[1])
    low, high = float(data.alpha.min()) - size, float(data.alpha.max()) + size
    bounds = {
        "a0": (-3 * fall, 3 * fall), "a1": (-5 * fall, 5 * fall), "t0": (0.0, length), "delay": (0.0, length / 2),
        "slowing": (-0.9, 20.0), "tau_fast": (length / 100, 100 * length), "tau_slow": (length / 100, 100 * length),
        "alpha_start": (low, high), "alpha_base": (low - size, high + size), "height": (-4 * size, 4 * size),
        "centre": (0.0, 1.0), "width": (0.05, 2.0),
    }  # fmt: skip
    return tuple(np.array(ends) for ends in zip(*(bounds[name] for name in model.parameters), strict=True))


def _starts(model: Model, data: _Data, rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Points near what the data suggest, with timescales, delays and the profile's centre drawn widely."""
    low, high = _box(model, data)
    length, layers = float(data.t[-1, 0] - data.t[0, 0]), len(data.x)
    found = []
    for _ in range(count):
        tau = length * 10 ** rng.uniform(-1.3, 0.3)
        guess = {
            "a0": -float(data.u[-1].mean()), "a1": rng.normal() * float(np.ptp(data.u[-1])),
            "t0": length * rng.uniform(0, 0.1), "delay": length / layers * 10 ** rng.uniform(-2, -0.3),
            "slowing": rng.uniform(0, 3), "tau_fast": tau, "tau_slow": tau * 10 ** rng.uniform(0, 1),
            "alpha_start": float(data.alpha[0].mean()), "alpha_base": float(data.alpha[-1].min()),
            "height": float(np.ptp(data.alpha[-1])), "centre": rng.uniform(0.2, 0.8), "width": rng.uniform(0.1, 0.6),
        }  # fmt: skip
        start = np.array([guess[name] for name in model.parameters])
        found.append(np.clip(start, low + 1e-6 * (high - low), high - 1e-6 * (high - low)))
    return found


def _residuals(model: Model, parameters: np.ndarray, data: _Data) -> Prediction:
    """(u, α) minus the prediction, in noise units."""
    p = dict(zip(model.parameters, parameters, strict=True))
    u, alpha = model.predict(p, data.t, data.layer, data.x)
    return (data.u - u) / data.noise[0], (data.alpha - alpha) / data.noise[1]


def _cost(model: Model, parameters: np.ndarray, data: _Data) -> float:
    return sum(float(np.sum(residual**2)) for residual in _residuals(model, parameters, data))


def _solve(model: Model, data: _Data, starts: Sequence[np.ndarray]) -> np.ndarray:
    """The least squares over all starts."""
    low, high = _box(model, data)

    def all_residuals(parameters: np.ndarray) -> np.ndarray:
        return np.concatenate([residual.ravel() for residual in _residuals(model, parameters, data)])

    found = [
        optimize.least_squares(
            all_residuals, np.clip(start, low, high), bounds=(low, high), x_scale=high - low, max_nfev=200
        )
        for start in starts
    ]
    return min(found, key=lambda fit: fit.cost).x


def _memory(residual: Float[np.ndarray, "step layer"]) -> float:
    """(1 − φ)/(1 + φ): the share of values that count as independent; φ the lag-1 autocorrelation over steps."""
    before, after = residual[:-1].ravel(), residual[1:].ravel()
    scale = math.sqrt(float(before @ before) * float(after @ after))
    phi = float(before @ after) / scale if scale > 0 else 0.0
    phi = min(max(phi, 0.0), 0.999)
    return (1 - phi) / (1 + phi)


def _fit(model: Model, parameters: np.ndarray, data: _Data, memory: Sequence[float], left_out: bool) -> Fit:
    count = len(parameters)
    likelihood, effective, shares = 0.0, 0.0, {}
    for name, residual, share, observed, noise in zip(
        ("u", "alpha"), _residuals(model, parameters, data), memory, (data.u, data.alpha), data.noise, strict=True
    ):
        rss, n = float(np.sum(residual**2)), residual.size
        likelihood += n * share * math.log(max(rss, np.finfo(float).tiny) / n)
        effective += n * share
        total = float(np.sum((observed - observed.mean()) ** 2)) / noise**2
        shares[name] = 1 - rss / total if total > 0 else math.nan
    aic = likelihood + 2 * count
    small = 2 * count * (count + 1) / (effective - count - 1) if effective > count + 1 else math.inf
    low, high = _box(model, data)
    edge = 1e-4 * (high - low)
    ended = (parameters < low + edge) | (parameters > high - edge)
    p = dict(zip(model.parameters, map(float, parameters), strict=True))
    u, alpha = model.predict(p, data.t, data.layer, data.x)
    error = _left_out(model, parameters, data) if left_out else math.nan
    return Fit(
        model.name, p, aic, aic + small, shares, error,
        tuple(name for name, flag in zip(model.parameters, ended, strict=True) if flag), u, alpha,
    )  # fmt: skip


def _left_out(model: Model, parameters: np.ndarray, data: _Data) -> float:
    """Mean squared error in noise units over the layers, each predicted by a fit to all the others."""
    errors = []
    for layer in range(len(data.x)):
        fitted = _solve(model, data.without(layer), [parameters])
        errors.append([np.mean(residual[:, layer] ** 2) for residual in _residuals(model, fitted, data)])
    return float(np.mean(errors))
