"""Two timescales: rank that falls fast behind a travelling front, spectral shape that settles slowly. Closed forms.

    fast:  du/dt = −(u + A)/τ_f for t ≥ t_ℓ, u = 0 before;    t_ℓ = t₀ + delay·ℓ,  A_ℓ = a₀ + a₁ x_ℓ
    slow:  dα/dt = (α* − α)/τ_s;    α*_ℓ = α_b + Δ·exp(−(x_ℓ − x*)²/2w²)

The equations are ours: [@liu2026lifecycle] says that a model with two timescales exists and prints none. `delay` = 1/speed
in steps per layer. Times in any one unit, u in nat.
"""

import math

import numpy as np
from jaxtyping import Float


def fall(
    t: Float[np.ndarray, "step 1"],
    amplitude: Float[np.ndarray, " layer"],
    onset: Float[np.ndarray, " layer"],
    tau: Float[np.ndarray, " layer"] | float,
) -> Float[np.ndarray, "step layer"]:
    """u = −A(1 − e^{−(t − t_ℓ)₊/τ})."""
    return amplitude * np.expm1(-np.maximum(t - onset, 0.0) / tau)


def logistic_fall(
    t: Float[np.ndarray, "step 1"],
    amplitude: Float[np.ndarray, " layer"],
    onset: Float[np.ndarray, " layer"],
    tau: float,
) -> Float[np.ndarray, "step layer"]:
    """A fall with a smooth onset: −A(σ(s) − σ(s₀))/(1 − σ(s₀)), s = (t − t_ℓ)/τ, s₀ its value at t = 0; u(0) = 0."""
    start = _sigmoid(-onset / tau)
    return -amplitude * (_sigmoid((t - onset) / tau) - start) / (1 - start)


def settle(
    t: Float[np.ndarray, "step 1"], start: float, target: Float[np.ndarray, " layer"], tau: float
) -> Float[np.ndarray, "step layer"]:
    """α = α* − (α* − α₀)e^{−t/τ}."""
    return target - (target - start) * np.exp(-t / tau)


def bump(x: Float[np.ndarray, " layer"], base: float, height: float, centre: float, width: float) -> np.ndarray:
    """α* over depth: base + height·exp(−(x − centre)²/2width²)."""
    return base + height * np.exp(-((x - centre) ** 2) / (2 * width**2))


def peak_of_two(early: float, early_onset: float, late_onset: float, tau: float) -> tuple[float, float]:
    """(step, value) at which G = u_late − u_early peaks: when the late layer starts, at A_e(1 − e^{−(t_l − t_e)/τ})."""
    return late_onset, -early * math.expm1(-(late_onset - early_onset) / tau)


def end_of_two(early: float, late: float) -> float:
    """G(∞) = −(A_l − A_e)."""
    return early - late


def reversal_of_two(early: float, late: float, early_onset: float, late_onset: float, tau: float) -> float:
    """Step at which G = 0: τ ln[(A_l e^{t_l/τ} − A_e e^{t_e/τ})/(A_l − A_e)]. Raises ValueError unless A_l > A_e."""
    if late <= early:
        raise ValueError("the gradient reverses only if the late layer falls further than the early one")
    # relative to the early onset, so that no exponential overflows
    shift = (late_onset - early_onset) / tau
    return early_onset + tau * math.log((late * math.exp(shift) - early) / (late - early))


def peak_without_delay(early: float, late: float, early_tau: float, late_tau: float) -> tuple[float, float]:
    """(step, value) of the peak of G where both layers start at 0 with timescales of their own: nothing travels.

    Raises ValueError unless the early layer falls faster at first (A_e/τ_e > A_l/τ_l) and has the shorter timescale.
    """
    if not (early / early_tau > late / late_tau and early_tau < late_tau):
        raise ValueError("without a faster early layer the gradient has no peak")
    step = math.log(early * late_tau / (late * early_tau)) / (1 / early_tau - 1 / late_tau)
    return step, late * math.expm1(-step / late_tau) - early * math.expm1(-step / early_tau)


def _sigmoid(s: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * s))
