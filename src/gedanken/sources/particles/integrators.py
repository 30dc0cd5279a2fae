"""One increment of a flow: Euler, the classical Runge–Kutta scheme, and Euler–Maruyama for noise.

On the sphere an increment is made in the ambient space and normalised: that keeps the order of the scheme
[@hairer2006geometric, § IV.4].
"""

import numpy as np

from gedanken.sources.particles.flow import Flow
from gedanken.status import Failure


def euler(flow: Flow, state: np.ndarray, step: float) -> np.ndarray:
    """Order one. On points it is the post-normalised layer without the radial part."""
    return flow.retract(state + step * flow.velocity(state))


def rk4(flow: Flow, state: np.ndarray, step: float) -> np.ndarray:
    """Order four."""
    first = flow.velocity(state)
    second = flow.velocity(state + step / 2 * first)
    third = flow.velocity(state + step / 2 * second)
    fourth = flow.velocity(state + step * third)
    return flow.retract(state + step / 6 * (first + 2 * second + 2 * third + fourth))


def maruyama(
    flow: Flow, state: np.ndarray, step: float, diffusion: float, rng: np.random.Generator
) -> np.ndarray:  # fmt: skip
    """Weak order one for drift dt + √(2D) dW on the sphere: an ambient Gaussian increment, projected, then normalised.

    Normalising x + √(2D dt) P ξ subtracts D(d−1) x dt on average, which is the Itô correction of Brownian motion.
    """
    kick = np.sqrt(2 * diffusion * step) * rng.standard_normal(state.shape)
    if not flow.circle:
        kick -= np.einsum("nd,nd->n", kick, state)[:, None] * state
    return flow.retract(state + step * flow.velocity(state) + kick)


SCHEMES = {"euler": euler, "rk4": rk4}


def check_step(flow: Flow, method: str, step: float) -> None:
    """Raises Failure, with the limit, if the step is not positive or too large for the scheme to be stable."""
    if not step > 0:
        raise Failure(f"The step must be positive, not {step}.")
    limit = flow.largest_step(method)
    if step > limit:
        raise Failure(f"A step of {step:g} is unstable: {method} needs at most {limit:.4g} here.")
