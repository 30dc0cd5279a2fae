"""Random energies: rows of n independent normal logits of standard deviation σ [@derrida1981random].

The comparison curve for any heat capacity that grows with the logit scale: C rises as σ²(1 − 1/n), peaks and falls
again, so a growing scale alone makes a peak. Means and variances over rows are exact integrals for every n, from

    1/Z^m = ∫ s^{m−1} e^{−sZ} ds / (m − 1)!

which factorises the average over the n levels; they are tabulated once and interpolated.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num
from scipy.interpolate import RectBivariateSpline

REACH = 8.0
"""Standard deviations of a level that are integrated over: beyond them lie 1e−15 of the levels."""

SIGMA = (0.02, 24.0)
N = (2.0, float(1 << 18))
"""What the table covers. Below it C = σ²(1 − 1/n) to a relative 1e−3; above, C falls as 1/σ."""

_POWERS = {0: (0,), 1: (1, 2), 2: (2, 3, 4), 3: (3, 4), 4: (4,)}
"""Powers a of z that are needed with e^{mz}, by m."""


class Moments(NamedTuple):
    """Mean and variance over rows of C = Var_p(z), and the means of S and of u = −⟨z⟩_p, all in powers of nat."""

    heat_capacity: Float[np.ndarray, "*k"]
    variance: Float[np.ndarray, "*k"]
    entropy: Float[np.ndarray, "*k"]
    energy: Float[np.ndarray, "*k"]


def exact(sigma: float, n: float | Num[np.ndarray, "*k"]) -> Moments:
    """Moments at one σ for several n ≥ 2 (real numbers allowed), by quadrature.

    With g_{a,m}(s) = E[z^a e^{mz − s e^z}], φ = g_{0,0} and n_k the falling factorial, ⟨A₂⟩ = n∫ g_{2,1} φ^{n−1} ds,
    ⟨A₁²⟩ = ∫ s ds (n₂ g_{1,1}² φ^{n−2} + n g_{2,2} φ^{n−1}), C = A₂ − A₁², and likewise for the products of four.
    Both variables lie on grids of one spacing h, so that every g is a convolution of one kernel of ln s + z. The
    trapezoid is accurate to e^{−π²/h} in ln s and to e^{−2π²(σ/h)²} in z.
    """
    n = np.asarray(n, dtype=np.float64)
    step = min(0.2, sigma / 3)
    reach = math.ceil(REACH * sigma / step)
    z = step * np.arange(-reach, reach + 1)
    weight = np.exp(-0.5 * (z / sigma) ** 2)
    weight /= weight.sum()
    low = -reach * step - math.log(float(n.max())) - 40.0
    t = low + step * np.arange(math.ceil((reach * step + 6.0 - low) / step))
    y = t[0] + z[0] + step * np.arange(len(t) + 2 * reach)
    # s^m e^{mz − s e^z} as one function of y = ln s + z
    kernel = {m: np.exp(m * y - np.exp(np.minimum(y, 700.0))) for m in _POWERS}
    g = {(a, m): np.correlate(kernel[m], weight * z**a, "valid") for m, powers in _POWERS.items() for a in powers}
    with np.errstate(divide="ignore"):
        log_phi = np.log(g[0, 0])
    n = n[..., None]
    two, three, four = n * (n - 1), n * (n - 1) * (n - 2), n * (n - 1) * (n - 2) * (n - 3)

    def summed(*terms: tuple[np.ndarray, np.ndarray, int]) -> float | np.ndarray:
        """∫ dt Σ count · product · φ^{n−k}."""
        total = 0.0
        for count, product, k in terms:
            # A negative power (n between 2 and 4) meets a product of k factors that vanish as φ does.
            floor = np.where(n < k, -80.0, -1e4)
            power = np.exp((n - k) * np.maximum(log_phi, floor))
            total = total + np.sum(count * product * power, axis=-1)
        return step * total

    second = summed((n, g[2, 1], 1))
    square = summed((two, g[1, 1] ** 2, 2), (n, g[2, 2], 1))
    mean = summed((n, g[1, 1], 1))
    second_squared = summed((two, g[2, 1] ** 2, 2), (n, g[4, 2], 1))
    mixed = 0.5 * summed(
        (three, g[2, 1] * g[1, 1] ** 2, 3),
        (two, 2 * g[3, 2] * g[1, 1] + g[2, 1] * g[2, 2], 2),
        (n, g[4, 3], 1),
    )
    fourth = summed(
        (four, g[1, 1] ** 4, 4),
        (6 * three, g[2, 2] * g[1, 1] ** 2, 3),
        (two, 4 * g[3, 3] * g[1, 1] + 3 * g[2, 2] ** 2, 2),
        (n, g[4, 4], 1),
    )
    log_partition = step * np.sum(
        np.exp(-np.exp(np.minimum(t, 700.0))) - np.exp(n * np.maximum(log_phi, -1e4)), axis=-1
    )
    capacity = second - square
    variance = np.maximum(second_squared - 2 * mixed + fourth / 6 - capacity**2, 0.0)
    return Moments(capacity, variance, log_partition - mean, -mean)


def moments(sigma: float | Float[np.ndarray, "*s"], n: float | Num[np.ndarray, "*k"]) -> Moments:
    """Moments at any σ ≥ 0 and n ≥ 1, interpolated (relative error below 1e−4 inside the table); 0 for n = 1.

    Beyond the table's n its edge is used, beyond its σ the limiting powers.
    """
    sigma, n = np.broadcast_arrays(np.asarray(sigma, dtype=np.float64), np.asarray(n, dtype=np.float64))
    inside = np.clip(sigma, *SIGMA)
    place = np.log(inside), np.log(np.clip(n, *N) - 1)
    capacity, variance, entropy, depth = (np.exp(spline.ev(*place)) for spline in _splines())
    # C ∝ σ² below and 1/σ above, its variance as σ⁴ and, the levels being frozen but for close pairs, 1/σ; u as σ² and σ.
    low, high = np.minimum(sigma / inside, 1.0), np.minimum(inside / np.maximum(sigma, inside), 1.0)
    alone = n <= 1
    return Moments(
        np.where(alone, 0.0, capacity * low**2 * high),
        np.where(alone, 0.0, variance * low**4 * high),
        np.where(alone, 0.0, np.where(sigma < SIGMA[0], np.log(np.maximum(n, 1.0)) - sigma**2 / 2, entropy * high)),
        np.where(alone, 0.0, -depth * low**2 / high),
    )


@lru_cache(maxsize=1)
def _splines() -> tuple[RectBivariateSpline, ...]:
    """ln C, ln Var C, ln S and ln −u over (ln σ, ln(n − 1))."""
    sigmas = np.geomspace(*SIGMA, 72)
    count = np.linspace(0.0, math.log(N[1] - 1), 48)
    found = [exact(float(sigma), 1 + np.exp(count)) for sigma in sigmas]
    tables = zip(*(made._replace(energy=-made.energy) for made in found), strict=True)
    return tuple(RectBivariateSpline(np.log(sigmas), count, np.log(table)) for table in tables)
