"""Mean field on the circle by Fourier modes: ∂_t μ + ∂_θ(μ v[μ]) = D ∂²_θ μ, for the linear stage and with noise.

Products are formed on a grid with the two-thirds rule, time by the classical Runge–Kutta scheme. Growth rates are exact;
a density that sharpens is refused, for Fourier series then fail: use midpoint quantiles (mean_field).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Complex, Float
from scipy.special import ive

from gedanken.sources.particles.interaction import Interaction
from gedanken.status import Failure

LARGEST_TAIL = 1e-6
"""|μ̂_k| allowed in the last tenth of the modes kept."""
STABLE = 2.5
"""Within the classical scheme's stability region on both axes (2.83 and 2.785) [@hairer1996stiff, § IV.2]."""
ACCURATE = 0.02
"""Growth in one increment: the scheme's relative error is then below (0.02)⁵/120 = 3e−11 per increment."""


@dataclass(frozen=True, eq=False)
class SpectralMeanField:
    """Attention between infinitely many tokens, with Q = K = V = ±identity.

    size: grid points; modes up to size/3 are kept. `diffusion` is D. `clock` as of a Flow. States are μ̂_k for
    k = 0 … size/2, μ̂_k = ∫ e^{−ikθ} dμ, μ̂_0 = 1.
    """

    interaction: Interaction
    diffusion: float = 0.0
    size: int = 512
    clock: str = "true"

    def __post_init__(self):
        if not self.interaction.identity:
            raise Failure("The spectral solver needs Q = K = V = ±identity, no mask and a finite temperature.")
        if not self.diffusion >= 0:
            raise Failure(f"The diffusion constant must be at least zero, not {self.diffusion}.")

    def state(self, modes: Complex[np.ndarray, " k"]) -> Complex[np.ndarray, " m"]:
        """A state with the given μ̂_1, μ̂_2 …"""
        found = np.zeros(self.size // 2 + 1, complex)
        found[0] = 1.0
        found[1 : len(modes) + 1] = modes
        return found

    def advance(self, state: Complex[np.ndarray, " m"], duration: float, step: float | None = None) -> np.ndarray:
        """The state after `duration`, in increments of at most `step` (by default as large as is stable and accurate).

        Raises Failure if a step is unstable, or once the last modes exceed LARGEST_TAIL.
        """
        time = 0.0
        while time < duration:
            limit = self.largest_step(state)
            if step is not None and step > limit:
                raise Failure(f"A step of {step:g} is unstable: the spectral solver needs at most {limit:.4g} here.")
            increment = step or min(limit / 2, ACCURATE / self._fastest)
            increment = duration - time if time + increment >= duration * (1 - 1e-12) else increment
            state = self._increment(state, increment)
            time += increment
            tail = np.abs(state[int(0.9 * self._kept) : self._kept + 1]).max()
            if not tail <= LARGEST_TAIL:
                raise Failure(f"The density has sharpened beyond {self._kept} modes at time {time:g}: use quantiles.")
        return state

    def largest_step(self, state: Complex[np.ndarray, " m"]) -> float:
        """STABLE over the largest rate of transport and diffusion among the modes kept."""
        speed = float(np.abs(self.velocity(state)).max())
        return STABLE / (self._kept * speed + self.diffusion * self._kept**2 + self._fastest)

    def velocity(self, state: Complex[np.ndarray, " m"]) -> Float[np.ndarray, " size"]:
        """v on the grid 2πi/size."""
        field = self._on_grid(1j * self._slope * state)
        if self.interaction.softmax:
            field /= self._on_grid(self._bessel * state)
        return self.interaction.sign * self._rate * field

    def rate(self, state: Complex[np.ndarray, " m"]) -> Complex[np.ndarray, " m"]:
        """dμ̂_k/dt."""
        k = self._orders
        flux = np.fft.rfft(self._on_grid(state) * self.velocity(state)) / self.size
        return np.where(k <= self._kept, -1j * k * flux, 0.0) - self.diffusion * k**2 * state

    def _increment(self, state: np.ndarray, step: float) -> np.ndarray:
        first = self.rate(state)
        second = self.rate(state + step / 2 * first)
        third = self.rate(state + step / 2 * second)
        return state + step / 6 * (first + 2 * second + 2 * third + self.rate(state + step * third))

    def _on_grid(self, modes: np.ndarray) -> Float[np.ndarray, " size"]:
        """Σ_k c_k e^{ikθ} of a real function."""
        return np.fft.irfft(np.where(self._orders <= self._kept, modes, 0.0), self.size) * self.size

    @property
    def _kept(self) -> int:
        return self.size // 3

    @cached_property
    def _orders(self) -> Float[np.ndarray, " m"]:
        return np.arange(self.size // 2 + 1)

    @cached_property
    def _bessel(self) -> Float[np.ndarray, " m"]:
        return ive(self._orders, self.interaction.inverse_temperature)

    @cached_property
    def _slope(self) -> Float[np.ndarray, " m"]:
        """k I_k/β as (I_{k−1} − I_{k+1})/2, which exists at β = 0."""
        k, beta = self._orders, self.interaction.inverse_temperature
        return np.where(k > 0, (ive(np.abs(k - 1), beta) - ive(k + 1, beta)) / 2, 0.0)

    @property
    def _rate(self) -> float:
        true = self.clock == "true" and not self.interaction.softmax
        return float(np.exp(self.interaction.peak)) if true else 1.0

    @cached_property
    def _fastest(self) -> float:
        """The largest growth rate."""
        growth = self._rate * (self._orders * self._slope).max()
        return float(growth / self._bessel[0] if self.interaction.softmax else growth)
