"""Finite-size rule: the only place that may speak of a transition, and then only of what the sizes are consistent with.

One family of models, at least four sizes, at least three training seeds of each, everything else equal. With less it
refuses, and says what is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import stats
from scipy.optimize import minimize

SIZES, SEEDS = 4, 3
"""Fewest sizes, and training seeds of each (latent-object-permanence, §3.6)."""

FLAT = 0.1
"""Half-width per e-fold of size within which a slope of 0 says "constant" (§3.6)."""

COLLAPSED = 2.0
"""Mean squared deviation in units of the errors up to which curves lie on one (§3.6)."""


class Scaling(StrEnum):
    first_order = "consistent with first order"
    continuous = "consistent with a continuous transition"
    crossover = "crossover"
    single_layer = "single-layer event"
    unresolved = "unresolved"
    not_testable = "not testable"


@dataclass(frozen=True)
class Trained:
    """One trained model: its size (the axis: width at fixed depth, or depth at fixed width), seed, number of layers,
    width of the change and jump (with `jump_stderr`), largest susceptibility over depth, two kinds of tokens or not;
    `depth`, `order`, `order_stderr` its profile of the order parameter, and `binder` that of the Binder cumulant."""

    size: float
    seed: int
    layers: int
    width_layers: float
    jump: float
    susceptibility: float
    bimodal: bool
    depth: tuple[float, ...] = ()
    order: tuple[float, ...] = ()
    order_stderr: tuple[float, ...] = ()
    binder: tuple[float, ...] = ()


@dataclass(frozen=True)
class FiniteSize:
    """The word, one sentence, and slopes with 95 % intervals by name."""

    scaling: Scaling
    reason: str
    slopes: dict[str, tuple[float, float, float]]


def finite_size(models: Sequence[Trained], fixed: str = "") -> FiniteSize:
    """What the sizes of one family say. `fixed` names a reason why they are no family, if the caller knows one."""
    missing = fixed or _missing(models)
    if missing:
        return FiniteSize(Scaling.not_testable, missing, {})
    size = np.log([model.size for model in models])
    slopes = {
        "relative_width": _slope(size, np.log([model.width_layers / model.layers for model in models])),
        "width_layers": _slope(size, np.log([model.width_layers for model in models])),
        "susceptibility": _slope(size, np.log([model.susceptibility for model in models])),
        "jump": _slope(size, np.array([model.jump for model in models])),
    }
    return FiniteSize(*_word(models, slopes), slopes)


def _missing(models: Sequence[Trained]) -> str:
    """What is needed for the test, or empty."""
    seeds = {size: {m.seed for m in models if m.size == size} for size in {m.size for m in models}}
    short = sorted(size for size, found in seeds.items() if len(found) < SEEDS)
    if len(seeds) < SIZES:
        return (
            f"{len(seeds)} of {SIZES} sizes: a transition can only be told from a smooth change by its scaling over at "
            f"least {SIZES} sizes of one family, {SEEDS} training seeds of each, same data and tokens"
        )
    if short:
        return f"fewer than {SEEDS} training seeds at size {', '.join(f'{size:g}' for size in short)}"
    return ""


def _word(models: Sequence[Trained], slopes: dict) -> tuple[Scaling, str]:
    narrow, layers, grows = (slopes[name] for name in ("relative_width", "width_layers", "susceptibility"))
    depths = len({model.layers for model in models}) > 1
    if depths and narrow[2] < 0 and _constant(layers):
        return Scaling.single_layer, "the width is constant in layers, so W/L falls as 1/L whatever the mechanism"
    jump = _jump_at_infinity(models)
    largest = max(model.size for model in models)
    two = all(model.bimodal for model in models if model.size == largest)
    if narrow[2] < 0 and (jump[1] > 0 or jump[2] < 0) and grows[1] > 0 and grows[1] <= 1 <= grows[2] and two:
        return Scaling.first_order, "the change narrows, the jump stays, χ grows with size and tokens are of two kinds"
    crossing = _binders_cross(models)
    if crossing and grows[1] > 0:
        quality = collapse(models)
        if quality is not None and quality <= COLLAPSED:
            return Scaling.continuous, f"curves collapse (S = {quality:.2g}), Binder cumulants cross and χ grows"
    if _constant(narrow):
        return Scaling.crossover, "W/L stays constant with size"
    return Scaling.unresolved, "neither the narrowing of a transition nor the constant width of a crossover is shown"


def _constant(slope: tuple[float, float, float]) -> bool:
    return slope[1] <= 0 <= slope[2] and (slope[2] - slope[1]) / 2 <= FLAT


def _slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Least-squares slope with its 95 % interval from Student's law."""
    if not np.isfinite(y).all():
        return np.nan, -np.inf, np.inf
    fit = stats.linregress(x, y)
    half = stats.t.ppf(0.975, len(x) - 2) * fit.stderr
    return float(fit.slope), float(fit.slope - half), float(fit.slope + half)


def _jump_at_infinity(models: Sequence[Trained]) -> tuple[float, float, float]:
    """Intercept of the jump against 1/size, with its 95 % interval."""
    fit = stats.linregress([1 / model.size for model in models], [model.jump for model in models])
    half = stats.t.ppf(0.975, len(models) - 2) * fit.intercept_stderr
    return float(fit.intercept), float(fit.intercept - half), float(fit.intercept + half)


def _of_sizes(models: Sequence[Trained], values: str) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """Depths and the mean over seeds, by size; empty if a model lacks its profile."""
    found = {}
    for size in sorted({model.size for model in models}):
        group = [model for model in models if model.size == size]
        profiles = [{"order": m.order, "binder": m.binder, "order_stderr": m.order_stderr}[values] for m in group]
        if not all(profiles) or len({len(profile) for profile in profiles}) > 1:
            return {}
        found[size] = np.array(group[0].depth), np.mean(profiles, axis=0)
    return found


def _binders_cross(models: Sequence[Trained]) -> bool:
    """Whether Binder curves of successive sizes cross, all within one layer of each other."""
    curves = list(_of_sizes(models, "binder").values())
    places = []
    for (depth, small), (other, large) in zip(curves, curves[1:], strict=False):
        apart = small - np.interp(depth, other, large)
        change = np.flatnonzero(np.diff(np.sign(apart)))
        if not len(change):
            return False
        at = change[0]
        places.append(depth[at] + (depth[at + 1] - depth[at]) * apart[at] / (apart[at] - apart[at + 1]))
    return bool(places) and max(places) - min(places) <= 1 / min(model.layers for model in models)


def collapse(models: Sequence[Trained]) -> float | None:
    """Least quality S of y = N^{−β/ν} f((γ − γ_c)N^{1/ν}) over γ_c, 1/ν and β/ν; None without profiles."""
    curves, errors = _of_sizes(models, "order"), _of_sizes(models, "order_stderr")
    if not curves or not errors:
        return None
    seeds = len(models) / len(curves)
    data = [(size, depth, y, errors[size][1] / np.sqrt(seeds)) for size, (depth, y) in curves.items()]
    starts = [(centre, nu, beta) for centre in (0.3, 0.45, 0.6) for nu in (0.25, 0.5, 1.0) for beta in (0.0, 0.25)]
    best = min((minimize(_quality, start, args=(data,), method="Nelder-Mead") for start in starts), key=lambda r: r.fun)
    return float(best.fun)


def _quality(parameters, data) -> float:
    """Mean of (y − Y)²/(dy² + dY²), Y a line through the neighbours on the other sizes' curves [@houdayer2004low, eq. 8]."""
    centre, inverse_nu, beta_over_nu = parameters
    if not (0 < centre < 1 and 0 < inverse_nu < 4):
        return 1e6
    scaled = [
        (np.asarray((depth - centre) * size**inverse_nu), y * size**beta_over_nu, dy * size**beta_over_nu)
        for size, depth, y, dy in data
    ]
    terms = []
    for i, (x, y, dy) in enumerate(scaled):
        for j, (other, value, error) in enumerate(scaled):
            inside = (x >= other[0]) & (x <= other[-1]) if i != j else np.zeros(len(x), bool)
            master, spread = np.interp(x[inside], other, value), np.interp(x[inside], other, error)
            terms.append((y[inside] - master) ** 2 / (dy[inside] ** 2 + spread**2))
    found = np.concatenate(terms)
    return float(found.mean()) if len(found) > len(data) else 1e6
