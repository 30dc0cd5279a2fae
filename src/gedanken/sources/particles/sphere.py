"""Velocity on the sphere in three dimensions from spherical-harmonic moments: O(N L²) in matrix products.

Funk–Hecke: e^{βx·y} = Σ_ℓ 4π a_ℓ Σ_m Y_ℓm(x) Y*_ℓm(y), a_ℓ = √(π/2β) I_{ℓ+1/2}(β) [@muller1966spherical]. A harmonic
of order m is a trigonometric polynomial in the polar angle (cosines for even m, sines for odd), so tokens enter
through plain products of cos pθ, sin pθ with cos mφ, sin mφ, and Legendre functions only through a table in (ℓ, m, p).

The tangential field is ∇Φ/β = −x × (x × ∇Φ)/β. The operator x × ∇ maps harmonics to harmonics of the same degree
(ladder operators), so its three components are smooth everywhere: there is no division by sin θ at the poles.
"""

from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Complex, Float
from scipy.special import ive

from gedanken.sources.particles.circle import powers

BLOCK = 4096
"""Tokens at a time: at β = 5 their bases are 3.6 MB."""
KEPT = 1 << 22
"""Entries of bases kept between the two passes (32 MB); with more tokens they are computed twice."""

NEGLIGIBLE = 1e-30
"""Legendre functions of high order near a pole fall below the normal range, where products are a hundred times slower."""


class HarmonicMoments:
    """Sums over tokens on the sphere in d = 3 for Q = K = V = identity, in units of e^β.

    Degrees L ≈ √(74β) + 7 reach a_L e^{−β} < 1e−16. Sums are exact to about 1e−15, softmax averages therefore to
    1e−15 over the partition, which is at least the token's own mass.
    """

    def __init__(self, inverse_temperature: float):
        self.beta = float(inverse_temperature)
        self.degree = int(np.sqrt(74 * self.beta) + 7)

    def velocity(
        self, points: Float[np.ndarray, "n 3"], masses: Float[np.ndarray, " n"] | None = None, *, softmax: bool
    ) -> Float[np.ndarray, "n 3"]:
        """P_x Σ_j m_j e^{β(x·x_j−1)} x_j, divided by the partition for softmax."""
        return self._evaluate(points, masses, softmax=softmax, radial=False)

    def attention(
        self, points: Float[np.ndarray, "n 3"], masses: Float[np.ndarray, " n"] | None = None, *, softmax: bool
    ) -> Float[np.ndarray, "n 3"]:
        """Σ_j m_j e^{β(x·x_j−1)} x_j, divided by the partition for softmax."""
        return self._evaluate(points, masses, softmax=softmax, radial=True)

    def partition(
        self, points: Float[np.ndarray, "n 3"], masses: Float[np.ndarray, " n"] | None = None
    ) -> Float[np.ndarray, " n"]:
        """Σ_j m_j e^{β(x·x_j−1)}."""
        return self._sums(points, masses, lambda moments: [self._kernel * moments])[0]

    def _evaluate(self, points, masses, *, softmax: bool, radial: bool) -> Float[np.ndarray, "n 3"]:
        def fields(moments):
            wanted = _rotations(self._gradient * moments)
            wanted += [self._derivative * moments] if radial else []
            return wanted + ([self._kernel * moments] if softmax else [])

        sums = self._sums(points, masses, fields)
        found = np.cross(sums[:3].T, points)
        if radial:
            found += sums[3][:, None] * points
        return found / sums[-1][:, None] if softmax else found

    @cached_property
    def _bessel(self) -> Float[np.ndarray, " l"]:
        """e^{−β} a_ℓ for ℓ = 0 … L + 1."""
        orders = np.arange(self.degree + 2)
        if self.beta == 0:
            return (orders == 0).astype(float)
        return ive(orders + 0.5, self.beta) * np.sqrt(np.pi / (2 * self.beta))

    @cached_property
    def _kernel(self) -> Float[np.ndarray, "l 1"]:
        """Multiplier of e^{β(x·y − 1)}."""
        return 4 * np.pi * self._bessel[:-1, None]

    @cached_property
    def _gradient(self) -> Float[np.ndarray, "l 1"]:
        """4π a_ℓ/β, as 4π (a_{ℓ−1} − a_{ℓ+1})/(2ℓ+1) that needs no division at β = 0; degree 0 has no gradient."""
        a, l = self._bessel, np.arange(1, self.degree + 1)
        return 4 * np.pi * np.concatenate([[0.0], (a[:-2] - a[2:]) / (2 * l + 1)])[:, None]

    @cached_property
    def _derivative(self) -> Float[np.ndarray, "l 1"]:
        """4π da_ℓ/dβ = 4π (ℓ a_{ℓ−1} + (ℓ+1) a_{ℓ+1})/(2ℓ+1): the radial part, x·y e^{βx·y}."""
        a, l = self._bessel, np.arange(self.degree + 1)
        return 4 * np.pi * ((l * np.roll(a, 1)[:-1] + (l + 1) * a[1:]) / (2 * l + 1))[:, None]

    def _sums(self, points, masses, fields) -> Float[np.ndarray, "field n"]:
        """The fields, at the tokens, that `fields` makes of the harmonic moments."""
        blocks = range(0, len(points), BLOCK)
        keep = len(points) * (4 * self.degree + 2) <= KEPT
        kept = [_bases(points[start : start + BLOCK], self.degree) for start in blocks] if keep else None
        products: list = [0.0, 0.0]
        for index, start in enumerate(blocks):
            bases = kept[index] if keep else _bases(points[start : start + BLOCK], self.degree)
            for parity, (polar, azimuthal) in enumerate(bases):
                weighted = polar if masses is None else polar * masses[start : start + BLOCK]
                products[parity] = products[parity] + weighted @ azimuthal.T
        scale = 1.0 / len(points) if masses is None else 1.0
        wanted = fields(self._moments([scale * product for product in products]))
        weights = [self._weights(coefficients) for coefficients in wanted]
        found = np.zeros((len(wanted), len(points)))
        for index, start in enumerate(blocks):
            bases = kept[index] if keep else _bases(points[start : start + BLOCK], self.degree)
            for row, pair in enumerate(weights):
                for (polar, azimuthal), weight in zip(bases, pair, strict=True):
                    found[row, start : start + BLOCK] += np.einsum("pn,pn->n", weight @ azimuthal, polar)
        return found

    def _moments(self, products) -> Complex[np.ndarray, "l m"]:
        """Σ_j m_j Y*_ℓm(x_j) for m ≥ 0."""
        moments = np.zeros((self.degree + 1, self.degree + 1), complex)
        for parity, (product, table) in enumerate(zip(products, _tables(self.degree), strict=True)):
            count = len(table)
            values = np.stack([product[:, :count].T, -product[:, count:].T], axis=-1)
            real, imaginary = np.moveaxis(table @ values, -1, 0)
            moments[:, parity::2] = (real + 1j * imaginary).T
        return moments

    def _weights(self, coefficients: Complex[np.ndarray, "l m"]) -> list[np.ndarray]:
        """A real field Σ c_ℓm Y_ℓm in the products of polar and azimuthal bases, even orders and odd."""
        found = []
        for parity, table in enumerate(_tables(self.degree)):
            pairs = np.stack([coefficients[:, parity::2].T.real, -coefficients[:, parity::2].T.imag], axis=-1)
            pairs[1 - parity :] *= 2  # m and −m; order zero stands alone
            real, imaginary = np.moveaxis(table.transpose(0, 2, 1) @ pairs, -1, 0)
            found.append(np.concatenate([real.T, imaginary.T], axis=1))
        return found


def _rotations(c: Complex[np.ndarray, "l m"]) -> list[Complex[np.ndarray, "l m"]]:
    """Coefficients of the three components of x × ∇ of the real field c (ladder operators, Condon–Shortley phase)."""
    size = len(c)
    l, m = np.arange(size)[:, None], np.arange(size)[None, :]
    lower = np.concatenate([-np.conj(c[:, 1:2]), c[:, :-1]], axis=1)
    upper = np.concatenate([c[:, 1:], np.zeros((size, 1))], axis=1)
    raised = np.sqrt(np.maximum(l * (l + 1) - m * (m - 1), 0)) * lower
    lowered = np.sqrt(np.maximum(l * (l + 1) - m * (m + 1), 0)) * upper
    return [0.5j * (raised + lowered), 0.5 * (raised - lowered), 1j * m * c]


def _bases(points: np.ndarray, degree: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(polar, azimuthal) rows for even orders m, then odd: cos pθ and sin pθ; cos mφ, then sin mφ."""
    x, y, z = points.T
    sine = np.hypot(x, y)
    safe = np.where(sine > 0, sine, 1.0)
    polar = powers(np.ascontiguousarray(z), sine, degree)
    around = powers(np.where(sine > 0, x, 1.0) / safe, y / safe, degree)
    cosines, sines = around[: degree + 1], around[degree + 1 :]
    even = np.concatenate([cosines[0::2], np.zeros((1, len(x))), sines[1::2]])
    odd = np.concatenate([cosines[1::2], sines[0::2]])
    return [(polar[: degree + 1], even), (polar[degree + 1 :], odd)]


@lru_cache(maxsize=4)
def _tables(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal Legendre functions P̃_ℓm(cos θ) as Σ_p t cos pθ (m even) and Σ_p t sin pθ (m odd): (m, l, p)."""
    nodes = np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1)
    legendre = _legendre(degree, nodes)
    p = np.arange(degree + 1)[:, None]
    to_cosines = np.cos(p * nodes) * np.where(p == 0, 1, 2) / (degree + 1)
    to_sines = np.sin(p[1:] * nodes) * 2 / (degree + 1)
    # As one product of two matrices: numpy's stacked product is twenty times slower here.
    even, odd = (legendre[parity::2].reshape(-1, degree + 1) for parity in (0, 1))
    return (even @ to_cosines.T).reshape(-1, degree + 1, degree + 1), (odd @ to_sines.T).reshape(-1, degree + 1, degree)


def _legendre(degree: int, theta: Float[np.ndarray, " q"]) -> Float[np.ndarray, "m l q"]:
    """Orthonormal P̃_ℓm(cos θ), zero for ℓ < m, by the recurrence in ℓ."""
    cosine, sine = np.cos(theta), np.sin(theta)
    m = np.arange(degree + 1)[:, None].astype(float)
    found = np.zeros((degree + 1, degree + 1, len(theta)))
    diagonal = np.full(len(theta), np.sqrt(1 / (4 * np.pi)))
    for l in range(degree + 1):
        if l:
            diagonal = -np.sqrt((2 * l + 1) / (2 * l)) * sine * diagonal
            diagonal[np.abs(diagonal) < NEGLIGIBLE] = 0.0
            k = m[:l]
            scale = np.sqrt((4.0 * l * l - 1) / (l * l - k * k))
            before = np.sqrt(np.maximum((l - 1) ** 2 - k * k, 0) / max(4.0 * (l - 1) ** 2 - 1, 1))
            second = found[:l, l - 2] if l > 1 else 0.0
            found[:l, l] = scale * (cosine * found[:l, l - 1] - before * second)
        found[l, l] = diagonal
    return found
