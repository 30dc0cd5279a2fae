"""Two clusters at an angle: how long until they merge.

With masses α₁, α₂ and c = cos φ, attention without weights other than V = Id closes the angle, in any dimension, at

    φ̇ = −sin φ e^{βc} (α₁ + α₂)                                                 unnormalised
    φ̇ = −sin φ e^{βc} [α₂/(α₁e^β + α₂e^{βc}) + α₁/(α₂e^β + α₁e^{βc})]           softmax

(velocities of [@rigollet2025meanfield]; the masses stand inside the softmax too). For equal masses and softmax this is
φ̇ = −2 sin φ e^{βc}/(e^β + e^{βc}), T ≈ e^{β(1−cos φ)}/(2β sin²φ): exponentially long once the gap is of order one.
"""

import math

from scipy import integrate


def log_merge_time(
    beta: float, angle: float, end: float, softmax: bool = True, masses: tuple[float, float] = (0.5, 0.5)
) -> float:
    """ln of the time from `angle` to `end`, 0 < end < angle < π, in rad. Never overflows.

    The integral of dφ/φ̇ in u = 1 − cos φ, with the largest value of e^{βu} taken out. Raises ValueError otherwise.
    """
    if not (0 < end < angle < math.pi and beta >= 0 and min(masses) > 0):
        raise ValueError(f"a merge needs 0 < end < angle < π, β ≥ 0 and positive masses, got {end}, {angle}, {beta}")
    first, second = (mass / sum(masses) for mass in masses)
    low, high = 2 * math.sin(end / 2) ** 2, 2 * math.sin(angle / 2) ** 2

    def integrand(u: float) -> float:
        far = math.exp(-beta * u)
        pull = second / (first + second * far) + first / (second + first * far) if softmax else 1.0
        return math.exp(beta * (u - high)) / (u * (2 - u) * pull)

    # nearly all of the time is spent in the last few 1/β of u, and some near u = 0
    marks = sorted(
        {min(max(mark, low), high) for mark in (10 * low, high - 40 / max(beta, 1), high - 5 / max(beta, 1))}
    )
    ends = [low, *(mark for mark in marks if low < mark < high), high]
    pieces = (integrate.quad(integrand, *piece, limit=200, epsrel=1e-11) for piece in zip(ends, ends[1:], strict=False))
    return math.log(math.fsum(piece[0] for piece in pieces)) + beta * high - (0.0 if softmax else beta)


def merge_time(
    beta: float, angle: float, end: float, softmax: bool = True, masses: tuple[float, float] = (0.5, 0.5)
) -> float:
    """exp(`log_merge_time`); inf beyond the range of a float."""
    log = log_merge_time(beta, angle, end, softmax, masses)
    return math.exp(log) if log < 709 else math.inf


def leading_merge_time(beta: float, angle: float) -> float:
    """e^{β(1−cos φ)}/(2β sin²φ): the leading term for equal masses with softmax."""
    return math.exp(beta * (1 - math.cos(angle))) / (2 * beta * math.sin(angle) ** 2)


def merge_angle(beta: float) -> float:
    """1/√(β ln β): below this angle two clusters count as one in the staircase [@geshkovski2024dynamic]; β > 1."""
    if not beta > 1:
        raise ValueError(f"the merge angle needs β > 1, got {beta}")
    return 1 / math.sqrt(beta * math.log(beta))
