"""Claims about periodic data: an invariant set that random data approach, whose solutions end in k clusters (MC5, MC6)."""

import math

import numpy as np

from gedanken.analysis.intervals import wilson
from gedanken.sources.particles import integrators, start
from gedanken.sources.particles.flow import Flow
from gedanken.sources.particles.interaction import Interaction
from gedanken.studies.base import Claim, Judgement, Verdict
from gedanken.studies.metastable_clustering.evidence import Evidence
from gedanken.studies.metastable_clustering.random_starts import approach
from gedanken.theory.clustering.cluster_positions import centres_of
from gedanken.theory.clustering.mode_growth import growth_rates, periodicity_defect
from gedanken.theory.harmonic_power import fourier_modes

BETA, MODE, WRONG = 5.0, 3, 4
HORIZON = 20.0
"""λt to which periodic data are followed: rounding that grows from 1e−16 is then still below the rule's limits."""
PACE = 0.16


def periodic_run(period: int, count: int, seed: int) -> dict[str, float | None]:
    """Random data of period 2π/period under softmax attention at β = 5, to λt = 20: defect, count and spacing at the end."""
    rate = float(growth_rates(BETA, 2, MODE)[-1])
    flow = Flow(Interaction(BETA), 2)
    state = start.periodic(count, period, np.random.default_rng([seed, period]))
    largest, wrong = 0.0, 1.0
    for _ in range(math.ceil(HORIZON / PACE)):
        state = integrators.rk4(flow, state, PACE / rate)
        amplitudes = np.abs(fourier_modes(state, 12))
        largest = max(largest, periodicity_defect(amplitudes, period))
        wrong = min(wrong, periodicity_defect(amplitudes, period + 1))
    centres = centres_of(state, BETA)
    gaps = np.diff(centres, append=centres[0] + 2 * np.pi)
    spacing = float(np.abs(gaps - 2 * np.pi / period).max()) if len(centres) == period else None
    return {"defect": largest, "wrong": wrong, "count": float(len(centres)), "spacing": spacing}


def judge_invariance(defects: list[float], wrong: list[float]) -> Judgement:
    """supported: the defect stays at or below 1e−12 to λt = 20."""
    largest = max(defects)
    holds = largest <= 1e-12
    return Judgement(
        Verdict.supported if holds else Verdict.not_supported,
        f"Data of period 2π/{MODE} keep it: their defect stays below {largest:.1e} to λt = {HORIZON:g} in {len(defects)} "
        f"runs; that of the wrong period is {min(wrong):.2f} or more.",
        "" if holds else "contradicted", "largest periodicity defect [1]", largest, 0.0, largest, len(defects),
        f"period 2π/{MODE + 1}", "periodic data keep their period", "deterministic runs: what grows is rounding",
    )  # fmt: skip


def judge_clusters(counts: list[int], spacings: list[float], others: list[int]) -> Judgement:
    """supported: all runs k_max, spacing within 1e−3 rad, and 4-periodic data give four; contradicted: Wilson's upper < .95."""
    found = wilson(sum(count == MODE for count in counts), len(counts))
    widest = max(spacings, default=math.inf)
    verdict, reason = Verdict.inconclusive, "undecided"
    if found.value == 1 and widest <= 1e-3 and set(others) == {WRONG}:
        verdict, reason = Verdict.supported, ""
    elif found.high < 0.95:
        verdict, reason = Verdict.not_supported, "contradicted"
    return Judgement(
        verdict, f"{round(found.value * found.n)} of {found.n} runs from data of period 2π/{MODE} end in {MODE} clusters, "
        f"evenly spaced to {widest:.1e} rad; of period 2π/{WRONG}, {others.count(WRONG)} of {len(others)} end in {WRONG}: "
        "the period decides, and the fastest mode only which period random data come near.",
        reason, f"share of runs with {MODE} clusters [1]", found.value, found.low, found.high, found.n,
        f"data of period 2π/{WRONG} at the same β",
    )  # fmt: skip


def _periodic(evidence: Evidence, period: int, count: int, seeds: int, weight: float):
    settings = {"beta": BETA, "period": period, "count": count, "horizon": HORIZON}
    return evidence.experiment(
        f"MC6 period {period}", settings, range(seeds), lambda seed: periodic_run(period, count, seed), weight
    )


def manifold(evidence: Evidence) -> list[Judgement]:
    runs = _periodic(evidence, MODE, 999, evidence.pick(50, 60), 25)
    return [judge_invariance(runs["defect"].to_list(), runs["wrong"].to_list()), approach(evidence)]


def clustering(evidence: Evidence) -> Judgement:
    runs = _periodic(evidence, MODE, 999, evidence.pick(50, 60), 25)
    others = _periodic(evidence, WRONG, 1000, 10, 5)
    counts, fours = ([int(count) for count in frame["count"]] for frame in (runs, others))
    return judge_clusters(counts, runs["spacing"].drop_nulls().to_list(), fours)


CLAIMS = (
    Claim("MC5", "The solution then stays near a manifold of solutions with the period of the fastest mode.",
          "density snapshots", "periodic data: defect at most 1e−12 to λt = 20. Random data, at least 250 runs over two "
          "decades of N: slope of ln min A on ln N negative with p < 0.01 and its interval containing −(1 − λ_2nd/λ_max); "
          "contradicted if the interval is at or above 0", manifold),
    Claim("MC6", "A solution on that manifold converges to k_max equally spaced clusters.", "three, four peaks",
          "periodic data, at least 50 seeds, λt = 20: supported if all runs have k_max clusters with spacing error at most "
          "1e−3 rad; contradicted if Wilson's upper bound is below 0.95", clustering),
)  # fmt: skip
