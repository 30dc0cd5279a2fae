"""Claim about many tokens: the flow of N tokens tends to that of a density (MC1)."""

import numpy as np

from gedanken.analysis.intervals import Estimate, bootstrap
from gedanken.sources.particles import integrators
from gedanken.sources.particles.flow import Flow
from gedanken.sources.particles.interaction import Interaction
from gedanken.sources.particles.mean_field import midpoint_quantiles, modes_of
from gedanken.studies.base import Claim, Judgement, Verdict
from gedanken.studies.metastable_clustering.evidence import Evidence, generator

BETA, TIME, STEPS = 5.0, 0.05, 24
"""Unnormalised attention for λ_3 t = 0.93, in 24 increments of the classical scheme: exact to 1e−9."""
AMPLITUDE, PHASE = 0.05, 0.7
"""Start density (1 + 0.05 cos(3θ − 0.7))/2π."""
SEEDS, SIZES = 32, (3_000, 10_000, 30_000, 100_000)


def third_mode(angles: np.ndarray) -> complex:
    """μ̂_3 at t = 0.05."""
    flow = Flow(Interaction(BETA, "unnormalised"), 2)
    for _ in range(STEPS):
        angles = integrators.rk4(flow, angles, TIME / STEPS)
    return complex(modes_of(angles, 3)[-1])


def drawn(count: int, seed: int) -> np.ndarray:
    """Independent angles of the start density: the distribution function inverted by a contraction of factor 0.05."""
    level = 2 * np.pi * np.random.default_rng([seed, count]).uniform(size=count)
    angles = level
    for _ in range(14):
        angles = level - AMPLITUDE / 3 * (np.sin(3 * angles - PHASE) + np.sin(PHASE))
    return angles


def quantile_modes() -> dict[str, float]:
    """μ̂_3 of the quantile solution with 512 and with 1,024 quantiles."""
    modes = np.array([0, 0, AMPLITUDE / 2 * np.exp(-1j * PHASE)])
    fine, coarse = (third_mode(midpoint_quantiles(modes, count)) for count in (1024, 512))
    return {"real": fine.real, "imaginary": fine.imag, "change": abs(fine - coarse)}


def judge_law(found: Estimate, change: float) -> Judgement:
    """supported: slope in [−.6, −.4]; contradicted: interval above −.4. `change`: of the quantile solution with N."""
    verdict, reason = Verdict.inconclusive, "undecided"
    if -0.6 <= found.value <= -0.4 and change <= 1e-10:
        verdict, reason = Verdict.supported, ""
    elif found.low > -0.4:
        verdict, reason = Verdict.not_supported, "contradicted"
    return Judgement(
        verdict, f"The distance of N tokens from the density falls as N^{found.value:.3f}; from quantiles in place of random "
        f"tokens there is none to fall ({change:.0e}).",
        reason, "slope of ln rms |μ̂_3^N − μ̂_3^∞| on ln N [1]", found.value, found.low, found.high, found.n,
        "quantile start, without dependence on N",
    )  # fmt: skip


def law(evidence: Evidence) -> Judgement:
    limit = evidence.once("MC1 quantiles", {"time": TIME}, quantile_modes, 2)
    target = complex(limit["real"], limit["imaginary"])
    squares = []
    for n in SIZES:
        runs = evidence.experiment(
            f"MC1 random {n}", {"time": TIME}, range(SEEDS),
            lambda seed, n=n: {"distance": abs(third_mode(drawn(n, seed)) - target)}, n / 400,
        )  # fmt: skip
        squares.append(runs["distance"].to_numpy() ** 2)
    logs = np.log(SIZES) - np.mean(np.log(SIZES))

    def statistic(strata: list[np.ndarray]) -> float:
        return float(logs @ [0.5 * np.log(part.mean()) for part in strata] / (logs @ logs))

    return judge_law(bootstrap(squares, statistic, generator("MC1")), limit["change"])


CLAIMS = (
    Claim("MC1", "From independent uniform tokens, the flow of N tokens follows an equation for their density as N grows.",
          "N = 20,000 throughout", "rms over 32 seeds of |μ̂_3^N − μ̂_3^∞| at t = 0.05: supported if the slope of its logarithm "
          "on ln N is in [−0.6, −0.4]; contradicted if the interval lies above −0.4", law),
)  # fmt: skip
