"""Fourier sums over tokens by the non-uniform fast transform, O(N + K ln K): the way for many orders [@barnett2019finufft].

It needs the package finufft; without it products of bases (circle.py) give the same sums more slowly.
"""

from importlib.util import find_spec

import numpy as np
from jaxtyping import Complex, Float

AVAILABLE = find_spec("finufft") is not None
ORDERS, TOKENS = 256, 10_000
"""Beyond so many orders (β ≈ 1,000), from so many tokens on, it is the faster way; with a thousand tokens it is the slower
one at all orders tried (K ≤ 575). Measured by benchmarks/particle_velocity.py."""
ACCURACY = 1e-15
"""Asked for, relative to the sum of masses: rounding is all that is left."""


def pays(order: int, count: int) -> bool:
    """Whether this is the way to go."""
    return AVAILABLE and order > ORDERS and count >= TOKENS


def moments(
    angles: Float[np.ndarray, " n"], masses: Float[np.ndarray, " n"] | None, order: int
) -> Complex[np.ndarray, " k"]:
    """Σ_j m_j e^{−ikθ_j} for k = 0 … order."""
    import finufft

    strengths = np.full(len(angles), 1 / len(angles), complex) if masses is None else masses.astype(complex)
    found = finufft.nufft1d1(angles, strengths, 2 * order + 1, eps=ACCURACY, isign=-1, nthreads=1)
    return found[order:]


def series(
    angles: Float[np.ndarray, " n"], coefficients: Complex[np.ndarray, "series k"]
) -> Float[np.ndarray, "series n"]:
    """Re Σ_k c_k e^{ikθ} at every angle, k = 0 … K."""
    import finufft

    both = np.concatenate([np.zeros_like(coefficients[:, 1:]), coefficients], axis=1)
    return finufft.nufft1d2(angles, both, eps=ACCURACY, isign=1, nthreads=1).real.reshape(len(both), -1)
