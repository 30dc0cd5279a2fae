"""How many long-lived leaders a causal mask makes: Rényi's parking on the sphere.

With V = Id, token 1 stands still and token i sees j ≤ i. With a radius δ = cβ^{−1/2}, a token is an *ordinary* centre if
it is δ-far from all earlier centres, a *strong* one if it is δ-far from all earlier tokens
[@karagodin2024clustering]. For n independent uniform tokens on S^{d−1} and p the share of a cap of angle δ:

    strong     Σ_{i<n} (1−p)^i = (1 − (1−p)^n)/p → 1/p          d = 2: π/δ,  d = 3: 1/sin²(δ/2)
    ordinary   random sequential placing; d = 2, jammed: 0.7476·2π/δ [@renyi1958one]
"""

import math

import numpy as np
from scipy import integrate, special


def cap_share(delta: float, d: int) -> float:
    """Share of S^{d−1} within the angle δ ∈ (0, π] of a point: ½ I_{sin²δ}((d−1)/2, ½) up to δ = π/2 [@li2011concise]."""
    if not (0 < delta <= math.pi and d >= 2):
        raise ValueError(f"a cap needs 0 < δ ≤ π and d ≥ 2, got {delta} and {d}")
    half = 0.5 * float(special.betainc((d - 1) / 2, 0.5, math.sin(delta) ** 2))
    return half if delta <= math.pi / 2 else 1 - half


def strong_centres(delta: float, d: int, n: float = math.inf) -> float:
    """Expected number of strong centres among n uniform tokens."""
    share = cap_share(delta, d)
    return -math.expm1(n * math.log1p(-share)) / share if share < 1 else 1.0


def ordinary_centres(delta: float, n: float = math.inf) -> float:
    """Expected number of ordinary centres among n uniform tokens on the circle, for δ ≪ 2π.

    Cars of length δ, tried at the rate of one per token: the covered share is ∫_0^t exp(−2∫_0^u (1−e^{−v})/v dv) du at
    t = nδ/2π tries per length δ [@renyi1958one].
    """
    return parked_share(n * delta / (2 * math.pi)) * 2 * math.pi / delta


def parked_share(tries: float) -> float:
    """Share of a long line covered after so many tries per car length; 0.7475979202 for ever (Rényi's constant)."""

    def free(u: float) -> float:
        # ∫_0^u (1−e^{−v})/v dv = γ + ln u + E₁(u)
        if u < 1e-8:
            return math.exp(-2 * u)
        return math.exp(-2 * (np.euler_gamma + math.log(u) + float(special.exp1(u))))

    near = integrate.quad(free, 0, min(tries, 10.0), epsabs=1e-13, epsrel=1e-12)[0]
    return near + (integrate.quad(free, 10.0, tries, epsabs=1e-13, epsrel=1e-12)[0] if tries > 10 else 0.0)
