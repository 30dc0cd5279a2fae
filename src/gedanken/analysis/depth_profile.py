"""Depth profiles of a variable (rank_exponent): their size, their persistence, and whether they are an inverted U.

    Δ_range = max − min                          Δ_thirds = mean(middle third) − mean(outer thirds)
    Δ_smooth = max − min, at the layers, of the least-squares a + b x + c x²,  x = (layer + ½)/L        (primary)
    persistence = Δ_smooth(end)/max_t Δ_smooth(t), "end" the mean of the last 10 % of snapshots

An inverted U is more than c < 0 with the vertex inside, which a monotone profile that flattens passes in half of all draws
or more. It needs the slope of the fit to be positive at the first layer and negative at the last [@lind2010], and two separate
lines, left and right of the vertex, to rise and to fall [@simonsohn2018two]: each one-sided at 5 %. spectral-lifecycle, §3.5.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from gedanken.analysis.intervals import Estimate
from gedanken.analysis.p_values import DRAWS, orders, permutation_p

LEVEL = 0.05
ROUNDING = 1e-12
"""Δ_smooth relative to the values, below which a profile is flat."""
SIDE = 3
"""Layers that each of the two lines needs: two would fit exactly."""


def relative_depth(layers: int) -> Float[np.ndarray, " layer"]:
    """(layer + ½)/L."""
    return (np.arange(layers) + 0.5) / layers


def delta_range(profile: Float[np.ndarray, "... layer"]) -> Float[np.ndarray, "..."]:
    """Maximum minus minimum: grows with the number of layers without any depth structure (analysis/depth_scaling)."""
    return np.ptp(profile, axis=-1)


def delta_thirds(profile: Float[np.ndarray, "... layer"]) -> Float[np.ndarray, "..."]:
    """Mean of the middle third minus mean of the outer thirds; thirds of ⌊L/3⌋ layers, the middle takes the rest."""
    k = max(1, profile.shape[-1] // 3)
    middle, outer = profile[..., k:-k], np.concatenate([profile[..., :k], profile[..., -k:]], axis=-1)
    return middle.mean(axis=-1) - outer.mean(axis=-1)


def smooth(profile: Float[np.ndarray, "... layer"]) -> Float[np.ndarray, "... layer"]:
    """The parabola fitted to the profile, at the layers. Raises ValueError below three layers."""
    layers = profile.shape[-1]
    if layers < 3:
        raise ValueError(f"a parabola needs three layers, not {layers}")
    design = np.vander(relative_depth(layers), 3)
    return profile @ np.linalg.pinv(design).T @ design.T


def delta_smooth(profile: Float[np.ndarray, "... layer"]) -> Float[np.ndarray, "..."]:
    """Range, over the layers, of the parabola fitted to the profile. Raises ValueError below three layers."""
    return np.ptp(smooth(profile), axis=-1)


def persistence(profiles: Float[np.ndarray, "step layer"]) -> float:
    """Δ_smooth at the end over its largest during training: 1 if it never shrinks. NaN if the profile is always flat."""
    over_time = delta_smooth(profiles)
    largest = float(over_time.max())
    if largest <= ROUNDING * float(np.abs(profiles).max()):
        return math.nan
    return float(over_time[-max(1, len(over_time) // 10) :].mean()) / largest


def profile_p(
    profile: Float[np.ndarray, " layer"], rng: np.random.Generator, draws: int = DRAWS
) -> tuple[float, float]:
    """Δ_smooth, and its one-sided p where layers stand at random depths."""
    order, complete = orders(len(profile), rng, draws)
    observed = float(delta_smooth(profile))
    return observed, permutation_p(observed, delta_smooth(profile[order]), complete=complete)


@dataclass(frozen=True)
class InvertedU:
    """The tests of one profile, p one-sided. `holds` needs every one of them.

    `curvature` = 2c; `vertex` x* ∈ depth with Fieller's interval (infinite where c may be 0), NaN if c = 0.
    `between_ends`: c < 0 and the vertex lies between the first and the last layer; `vertex_inside`: between the second
    and the last but one. `plain_p` is the F-test of the parabola against the line: shown, never decisive.
    `same_inside`: the interior layers alone are curved the same way.
    """

    curvature: float
    vertex: Estimate
    between_ends: bool
    vertex_inside: bool
    first_slope_p: float
    last_slope_p: float
    rise_p: float
    fall_p: float
    plain_p: float
    same_inside: bool

    @property
    def end_slopes(self) -> bool:
        return max(self.first_slope_p, self.last_slope_p) < LEVEL

    @property
    def two_lines(self) -> bool:
        return max(self.rise_p, self.fall_p) < LEVEL

    @property
    def plain(self) -> bool:
        """What a bare quadratic would say."""
        return self.between_ends and self.plain_p < LEVEL

    @property
    def holds(self) -> bool:
        return self.vertex_inside and self.end_slopes and self.two_lines and self.same_inside


def inverted_u(profile: Float[np.ndarray, " layer"]) -> InvertedU:
    """Whether a profile rises and then falls over depth. Raises ValueError below five layers (no residuals to test with)."""
    layers = len(profile)
    if layers < 5:
        raise ValueError(f"the test of an inverted U needs five layers, not {layers}")
    x = relative_depth(layers)
    (a, b, c), covariance, residual = _parabola(x, profile)
    degrees = layers - 3
    ends = []
    for at, sign in ((x[0], 1.0), (x[-1], -1.0)):
        slope = sign * (b + 2 * c * at)
        variance = covariance[1, 1] + 4 * at * covariance[1, 2] + 4 * at**2 * covariance[2, 2]
        ends.append(_one_sided(slope, math.sqrt(max(variance, 0.0)), degrees))
    vertex = -b / (2 * c) if c else math.nan
    between, inside = (c < 0 and low <= vertex <= high for low, high in ((x[0], x[-1]), (x[1], x[-2])))
    rise, fall = _two_lines(x, profile, vertex) if inside else (1.0, 1.0)
    line = np.polynomial.Polynomial.fit(x, profile, 1)
    gain = float(np.sum((profile - line(x)) ** 2)) - residual
    plain = float(stats.f.sf(gain / (residual / degrees), 1, degrees)) if residual > 0 else 0.0
    inner = _parabola(x[1:-1], profile[1:-1])[0][2]
    return InvertedU(
        2 * c, _fieller(b, c, covariance, degrees), between, inside, *ends, rise, fall, plain, inner * c > 0
    )


def _parabola(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients (a, b, c) of a + b x + c x², their covariance, and the residual sum of squares."""
    design = np.stack([np.ones_like(x), x, x**2], axis=1)
    coefficients = np.linalg.lstsq(design, y, rcond=None)[0]
    residual = float(np.sum((y - design @ coefficients) ** 2))
    scale = residual / (len(x) - 3) if len(x) > 3 else math.nan
    return coefficients, scale * np.linalg.inv(design.T @ design), residual


def _one_sided(slope: float, error: float, degrees: int) -> float:
    if error == 0.0:
        return 0.0 if slope > 0 else 1.0
    return float(stats.t.sf(slope / error, degrees))


def _two_lines(x: np.ndarray, y: np.ndarray, vertex: float) -> tuple[float, float]:
    """One-sided p that the layers left of the vertex rise, and those right of it fall; 1 with fewer than SIDE."""
    found = []
    for side, sign in ((x <= vertex, 1.0), (x >= vertex, -1.0)):
        if side.sum() < SIDE:
            return 1.0, 1.0
        fit = stats.linregress(x[side], y[side])
        found.append(_one_sided(sign * fit.slope, fit.stderr, int(side.sum()) - 2))
    return found[0], found[1]


def _fieller(b: float, c: float, covariance: np.ndarray, degrees: int) -> Estimate:
    """−b/2c with the 95 % interval of all x at which the slope b + 2cx may be zero [@fieller1954]."""
    value = -b / (2 * c) if c else math.nan
    t = stats.t.ppf(0.975, degrees) ** 2
    # (b + 2cx)² ≤ t² Var(b + 2cx), a quadratic in x
    square = 4 * (c * c - t * covariance[2, 2])
    linear = 4 * (b * c - t * covariance[1, 2])
    constant = b * b - t * covariance[1, 1]
    discriminant = linear**2 - 4 * square * constant
    if square <= 0 or discriminant < 0:
        return Estimate(value, -math.inf, math.inf)
    half = math.sqrt(discriminant)
    return Estimate(value, (-linear - half) / (2 * square), (-linear + half) / (2 * square))
