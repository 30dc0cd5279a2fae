"""Growth of small departures from the uniform state, degree by degree: which mode grows fastest, and when it shows.

Near the uniform state, a harmonic of degree ℓ on S^{d−1} grows as e^{λ_ℓ t}:

    unnormalised (USA)   λ_ℓ = ℓ(ℓ+d−2) a_ℓ / β           d = 2:  k² I_k(β) / β
    softmax (SA)         λ_ℓ = ℓ(ℓ+d−2) a_ℓ / (β a_0)     d = 2:  k² I_k(β) / (β I_0(β))
    with noise D         λ_ℓ − D ℓ(ℓ+d−2)

with a_ℓ of theory/gegenbauer.py; attention without weights other than V = Id. The fastest mode, `dominant_mode`, is the
same for both: the "rescaled Gegenbauer index" of [@bruno2024emergence]. The rates are the linearisation of the
mean-field equation [@rigollet2025meanfield] by Funk–Hecke [@muller1966spherical].

Time is that of the velocities (1/n)Σ e^{β⟨x_i,x_j⟩}x_j (unnormalised) and Σ_j A_ij x_j (softmax), projected. The
unnormalised rates reach e^β: take their logarithms where β > 700.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import integrate, optimize

from gedanken.theory.gegenbauer import bessel_ratios, log_mean_kernel

SATURATION = 0.3
"""|μ̂_k| at which a mode is called grown: the threshold of the clock of the linear phase. A convention."""


def log_growth_rates(beta: float, d: int, most: int, softmax: bool = True) -> Float[np.ndarray, " degrees"]:
    """ln λ_ℓ for ℓ = 1 … most without noise; β ≥ 0 (at β = 0 only λ_1 = (d−1)/d is not zero).

    Raises ValueError for β < 0 or d < 2.
    """
    if not (beta >= 0 and d >= 2 and most >= 1):
        raise ValueError(f"growth rates need β ≥ 0, d ≥ 2 and a degree of 1 or more, got {beta}, {d}, {most}")
    degrees = np.arange(1, most + 1)
    higher = bessel_ratios(d / 2, beta, most)
    first = -math.log(d + beta * higher[0])  # ln (a_1/(β a_0)), finite at β = 0
    with np.errstate(divide="ignore"):
        logs = first + np.concatenate([[0.0], np.cumsum(np.log(higher[: most - 1]))])
    return logs + np.log(degrees * (degrees + d - 2.0)) + (0.0 if softmax else log_mean_kernel(beta, d))


def growth_rates(
    beta: float, d: int, most: int, softmax: bool = True, diffusion: float = 0.0
) -> Float[np.ndarray, " degrees"]:
    """λ_ℓ − Dℓ(ℓ+d−2) for ℓ = 1 … most. Unnormalised rates beyond the range of a float are infinite."""
    degrees = np.arange(1, most + 1)
    with np.errstate(over="ignore"):
        return np.exp(log_growth_rates(beta, d, most, softmax)) - diffusion * degrees * (degrees + d - 2.0)


def dominant_mode(beta: float, d: int = 2) -> int:
    """k_max = argmax λ_ℓ, the same with softmax and without; ≈ √(2β + (d/2−1)²) − (d/2−1)."""
    half = d / 2 - 1
    # twice the large-β form and 4 more: the rates fall on either side of their single maximum
    most = 4 + int(2 * (math.sqrt(2 * max(beta, 0.0) + half**2) - half))
    return 1 + int(np.argmax(log_growth_rates(beta, d, most)))


def switch_point(mode: int, d: int = 2) -> float:
    """β at which `dominant_mode` goes from `mode` to mode + 1: where λ_{k+1} = λ_k.

    (k+1)(k+d−1) R_ν(β) = k(k+d−2), ν = k + d/2 − 1; for k = 1: I_{d/2+1}/I_{d/2} = (d−1)/(2d). R increases from 0 to 1,
    and x/(a + √(x²+a²)) with a = ν+1 and a = ν+½ bounds it from below and above [@amos1974computation].
    """
    if mode < 1 or d < 2:
        raise ValueError(f"a switch needs a mode of 1 or more and d ≥ 2, got {mode} and {d}")
    order = mode + d / 2 - 1
    wanted = mode * (mode + d - 2) / ((mode + 1) * (mode + d - 1))
    low, high = (2 * a * wanted / (1 - wanted**2) for a in (order + 0.5, order + 1))
    return float(
        optimize.brentq(lambda beta: bessel_ratios(order, beta, 1)[0] - wanted, low * (1 - 1e-9), high * (1 + 1e-9))
    )


def linear_time(
    amplitudes: Float[np.ndarray, " degrees"], rates: Float[np.ndarray, " degrees"], threshold: float = SATURATION
) -> float:
    """t* = min_k ln(c/|μ̂_k(0)|)/λ_k: when linear growth brings the first mode to the threshold c.

    Modes that do not grow are left out; inf if none grows. 0 if one stands there already.
    """
    grows = (rates > 0) & (amplitudes > 0)
    waits = np.log(threshold / amplitudes[grows]) / rates[grows]
    return float(max(waits.min(initial=math.inf), 0.0))


def expected_linear_time(
    count: float, rates: Sequence[float] | Float[np.ndarray, " degrees"], threshold: float = SATURATION
) -> float:
    """Mean of t* on the circle over starts of N = `count` independent uniform points: ≈ ln N/(2 λ_max) + const.

    |μ̂_k(0)| is then Rayleigh with E|μ̂_k|² = 1/N, so P(t* > t) = Π_k (1 − exp(−N c² e^{−2λ_k t})), and E t* its
    integral. The first passage of several modes makes dE t*/d ln N × 2λ_max exceed 1 at any N in use.
    """
    growing = np.asarray(rates, dtype=float)
    growing = growing[growing > 0]
    if not len(growing) or count < 2:
        raise ValueError("the linear time needs at least one growing mode and two points")
    fastest = growing.max()

    def survives(scaled: float) -> float:
        return float(np.prod(-np.expm1(-count * threshold**2 * np.exp(-2 * growing / fastest * scaled))))

    # beyond ln(N c²)/2 + 20 in units of 1/λ_max, survival is below e^{−40}
    end = max(math.log(count * threshold**2) / 2, 0.0) + 20
    return integrate.quad(survives, 0, end, limit=200, epsabs=1e-10, epsrel=1e-10)[0] / fastest


def layer_factors(
    beta: float, d: int, most: int, width: float, layer: int = 0, radius: float = 1.0, pre_norm: bool = False
) -> Float[np.ndarray, " degrees"]:
    """By what one softmax layer of size h = `width` multiplies degree ℓ = 1 … most, with q = I_{d/2}(β)/I_{d/2−1}(β).

    Post-norm, x ← (x + hA(x))/|·|: 1 + λ_ℓ h/(1 + hq), every layer. Pre-norm, x ← x + hA(x/|x|) from norm `radius` R:
    1 + λ_ℓ h/(r_m + hq) with r_m = R + m h q at layer m, a power law in m. q is the radial part of attention on uniform
    points: the norm that one layer adds.
    """
    radial = bessel_ratios(d / 2 - 1, beta, 1)[0]
    norm = radius + layer * width * radial if pre_norm else 1.0
    return 1 + growth_rates(beta, d, most) * width / (norm + width * radial)


def layers_to_saturation(factor: float, count: float) -> float:
    """L ≈ ln N/(2 ln factor): post-norm layers until a mode that starts at N^{−1/2} is of order one."""
    return math.log(count) / (2 * math.log(factor))


def periodicity_defect(amplitudes: Float[np.ndarray, " degrees"], mode: int) -> float:
    """Σ_{k, mode∤k} |μ̂_k|² / Σ_k |μ̂_k|², of |μ̂_1| … |μ̂_K|: 0 for a density of period 2π/mode, 1 for one without it."""
    power = np.asarray(amplitudes) ** 2
    degrees = np.arange(1, len(power) + 1)
    return float(power[degrees % mode != 0].sum() / power.sum())
