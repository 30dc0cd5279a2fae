"""Velocity on the circle from Fourier moments: exact, O(N √K) memory traffic and O(N K) arithmetic in matrix products.

e^{β cos θ} = Σ_k I_k(β) e^{ikθ} (Jacobi–Anger), so the sum over tokens needs only their moments
m_k = Σ_j m_j e^{ikθ_j}, k ≤ K. Writing k = sb ± a with a ≤ A and s = 2A + 1 splits both passes into a product of a thin
matrix of cos aθ, sin aθ with one of cos sbθ, sin sbθ ("baby steps, giant steps"): about 4√(K/2) rows in place of 2K.
For hundreds of orders and many tokens a non-uniform fast transform takes its place (nonuniform.py).
"""

from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.special import ive

from gedanken.sources.particles import nonuniform

BLOCK = 8192
"""Tokens at a time: 21 rows of float64 at β = 5 are 1.4 MB and stay in the cache of a core."""
NEGLIGIBLE = 5e-17
"""Coefficients fall faster than geometrically beyond the last that counts: those left out stay under 1e−16 together."""
KEPT = 1 << 22
"""Entries of bases kept between the two passes (32 MB); with more tokens they are computed twice."""


class FourierMoments:
    """Sums over tokens on the circle for Q = K = V = identity, in units of e^β.

    Orders reach to where what is left out is below NEGLIGIBLE. Sums are exact to about 1e−16, softmax averages therefore
    to 1e−16 over the partition, which is at least the token's own mass.
    """

    def __init__(self, inverse_temperature: float):
        self.beta = float(inverse_temperature)
        self.order = highest_order(self.beta)
        self.small = min(range(1, self.order + 1), key=lambda small: small + self._giant_steps(small))
        self.stride = 2 * self.small + 1
        self.large = self._giant_steps(self.small)

    def _giant_steps(self, small: int) -> int:
        """B, so that sB + A reaches the highest order; the bases have 2(A + B + 1) rows."""
        return -(-(self.order - small) // (2 * small + 1))

    def angular_velocity(
        self, angles: Float[np.ndarray, " n"], masses: Float[np.ndarray, " n"] | None = None, *, softmax: bool
    ) -> Float[np.ndarray, " n"]:
        """Σ_j m_j e^{β(cos(θ_j−θ_i)−1)} sin(θ_j−θ_i), divided by the partition for softmax."""
        if not softmax:
            return self._sums(angles, masses, (self._sine,))[0]
        field, partition = self._sums(angles, masses, (self._sine, self._kernel))
        return field / partition

    def partition(
        self, angles: Float[np.ndarray, " n"], masses: Float[np.ndarray, " n"] | None = None
    ) -> Float[np.ndarray, " n"]:
        """Σ_j m_j e^{β(cos(θ_j−θ_i)−1)}."""
        return self._sums(angles, masses, (self._kernel,))[0]

    def attention(
        self, angles: Float[np.ndarray, " n"], masses: Float[np.ndarray, " n"] | None = None, *, softmax: bool
    ) -> Float[np.ndarray, "n 2"]:
        """Σ_j m_j e^{β(cos(θ_j−θ_i)−1)} x_j, divided by the partition for softmax: tangential and radial part."""
        along, radial, partition = self._sums(angles, masses, (self._sine, self._cosine, self._kernel))
        output = (radial + 1j * along) * np.exp(1j * angles) / (partition if softmax else 1.0)
        return np.stack([output.real, output.imag], axis=1)

    @cached_property
    def _bessel(self) -> Float[np.ndarray, " k"]:
        """e^{−β} I_k(β) for k = −1 … K + 1."""
        return ive(np.abs(np.arange(-1, self.order + 2)), self.beta)

    @cached_property
    def _kernel(self) -> Float[np.ndarray, " k"]:
        """Cosine coefficients of e^{β(cos θ − 1)}."""
        coefficients = 2 * self._bessel[1:-1]
        coefficients[0] /= 2
        return coefficients

    @cached_property
    def _cosine(self) -> Float[np.ndarray, " k"]:
        """Cosine coefficients of cos θ e^{β(cos θ − 1)}: I_k′ = (I_{k−1} + I_{k+1})/2."""
        coefficients = self._bessel[:-2] + self._bessel[2:]
        coefficients[0] /= 2
        return coefficients

    @cached_property
    def _sine(self) -> Float[np.ndarray, " k"]:
        """Sine coefficients of sin θ e^{β(cos θ − 1)}: I_{k−1} − I_{k+1}, which is 2k I_k/β without the 0/0 at β = 0."""
        coefficients = self._bessel[:-2] - self._bessel[2:]
        coefficients[0] = 0.0
        return coefficients

    def _sums(self, angles, masses, kernels) -> Float[np.ndarray, "kernel n"]:
        """Σ_j m_j g(θ_j − θ_i) of each kernel g, a sine series for `_sine`, a cosine series otherwise."""
        if nonuniform.pays(self.order, len(angles)):
            moments = nonuniform.moments(angles, masses, self.order)
            return nonuniform.series(angles, np.array([(1j if g is self._sine else 1) * g * moments for g in kernels]))
        blocks = range(0, len(angles), BLOCK)
        keep = len(angles) * (self.stride + 2 * self.large + 1) <= KEPT
        kept = [self._bases(angles[start : start + BLOCK]) for start in blocks] if keep else None
        products = np.zeros((2 * self.large + 1, self.stride))
        for index, start in enumerate(blocks):
            low, high = kept[index] if keep else self._bases(angles[start : start + BLOCK])
            products += high @ (low if masses is None else low * masses[start : start + BLOCK]).T
        if masses is None:
            products /= len(angles)
        cosines, sines = self._moments(products)
        weights = np.concatenate([self._weights(g, cosines, sines, odd=g is self._sine) for g in kernels])
        found = np.empty((len(kernels), len(angles)))
        for index, start in enumerate(blocks):
            low, high = kept[index] if keep else self._bases(angles[start : start + BLOCK])
            mixed = (weights @ high).reshape(len(kernels), self.stride, -1)
            np.einsum("gan,an->gn", mixed, low, out=found[:, start : start + BLOCK])
        return found

    def _bases(self, angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows 1, cos aθ, sin aθ (a ≤ A) and 1, cos sbθ, sin sbθ (b ≤ B), the sines after all cosines.

        One tangent of the half angle gives both functions, three times faster than numpy's sine and cosine.
        """
        half = np.tan(0.5 * angles)
        square = half * half
        scale = 1.0 / (1.0 + square)
        cosine, sine = (1.0 - square) * scale, 2.0 * half * scale
        low = powers(cosine, sine, self.small)
        top, bottom = low[self.small], low[2 * self.small]
        c, s = top * cosine - bottom * sine, top * sine + bottom * cosine
        return low, powers(top * c - bottom * s, top * s + bottom * c, self.large)

    def _moments(self, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Σ m cos kθ and Σ m sin kθ, k = 0 … sB + A, from the products of the two bases."""
        A, B, s = self.small, self.large, self.stride
        cosines, sines = np.zeros(s * B + A + 1), np.zeros(s * B + A + 1)
        cc, cs = products[: B + 1, : A + 1], _with_zero(products[: B + 1, A + 1 :])
        sc, ss = _with_zero(products[B + 1 :, : A + 1].T).T, _with_zero(_with_zero(products[B + 1 :, A + 1 :]).T).T
        above, below = self._orders
        for orders, sign in ((below, -1.0), (above, 1.0)):
            valid = orders >= 0
            cosines[orders[valid]] = (cc - sign * ss)[valid]
            sines[orders[valid]] = (sc + sign * cs)[valid]
        return cosines, sines

    def _weights(self, kernel, cosines, sines, *, odd: bool) -> Float[np.ndarray, "low high"]:
        """The series Σ_k α_k cos kθ + γ_k sin kθ of a convolved kernel, in the product of the two bases."""
        A, B = self.small, self.large
        k = self.order + 1
        alpha, gamma = np.zeros(len(cosines)), np.zeros(len(cosines))
        alpha[:k] = kernel * (sines if odd else cosines)[:k]
        gamma[:k] = -kernel * cosines[:k] if odd else kernel * sines[:k]
        above, below = self._orders
        weights = np.zeros((self.stride, 2 * B + 1))
        for orders, sign in ((above, 1.0), (below, -1.0)):
            used = (orders >= 0) & ((orders != above) | (sign > 0))  # a = 0: both orders are one
            a, g = np.where(used, alpha[orders], 0.0), np.where(used, gamma[orders], 0.0)
            weights[: A + 1, : B + 1] += a.T
            weights[A + 1 :, B + 1 :] -= sign * a[1:, 1:].T
            weights[: A + 1, B + 1 :] += g[1:].T
            weights[A + 1 :, : B + 1] += sign * g[:, 1:].T
        return weights

    @cached_property
    def _orders(self) -> tuple[np.ndarray, np.ndarray]:
        """Orders sb + a and sb − a of basis pair (b, a); negative ones repeat others and are not used."""
        base, offset = self.stride * np.arange(self.large + 1)[:, None], np.arange(self.small + 1)[None, :]
        return base + offset, base - offset


def highest_order(beta: float) -> int:
    """The last k of which a coefficient of the kernel or of its derivative, in units of e^β, is not NEGLIGIBLE."""
    k = np.arange(1, int(np.sqrt(74 * beta) + 8))  # √(74β) + 6 is beyond it for every β
    sizes = 2 * np.maximum(1.0, k / max(beta, 1.0)) * ive(k, beta)
    return int(k[sizes > NEGLIGIBLE].max(initial=1))


def powers(cosine: np.ndarray, sine: np.ndarray, count: int) -> Float[np.ndarray, "row n"]:
    """cos kθ for k = 0 … count, then sin kθ for k = 1 … count, by f(k) = 2 cos θ f(k−1) − f(k−2) [@mason2003chebyshev, eq.
    1.3a]. Its errors may grow like k², which at k = 200 is 1e−12 of one row and nothing in a sum weighted by the kernel."""
    rows = np.empty((2 * count + 1, len(cosine)))
    rows[0] = 1.0
    if count:
        rows[1], rows[count + 1] = cosine, sine
    if count > 1:
        twice = cosine + cosine
        np.multiply(twice, cosine, out=rows[2])
        rows[2] -= 1.0
        np.multiply(twice, sine, out=rows[count + 2])
    for k in range(3, count + 1):
        for row in (k, count + k):
            np.multiply(twice, rows[row - 1], out=rows[row])
            rows[row] -= rows[row - 2]
    return rows


def _with_zero(matrix: np.ndarray) -> np.ndarray:
    """The matrix with a column of zeros before it: sin 0θ."""
    return np.concatenate([np.zeros((len(matrix), 1)), matrix], axis=1)
