"""Claims about late times: how long clusters last, and the staircase of the energy (MC8, MC12, MC13)."""

import math

import numpy as np

from gedanken.analysis.intervals import Estimate, bootstrap, slope
from gedanken.analysis.metastable import lifetime_exponent
from gedanken.sources.particles.centres import Centres, closest
from gedanken.sources.particles.interaction import Interaction
from gedanken.studies.base import Claim, Judgement, Verdict
from gedanken.studies.metastable_clustering.evidence import Evidence, generator
from gedanken.theory.clustering.cluster_pair import merge_angle
from gedanken.theory.clustering.cluster_positions import LINK

RINGS = tuple(range(4, 11))
JITTER = 1e-3
SEEDS = 20
PAIR_BETAS = (20.0, 30.0, 40.0, 50.0)
PAIR_ANGLE = 1.0
STAIRS = (100.0, 500.0, 2_000.0, 4_000.0)
STAIR_TOLERANCE = 1e-6
"""Of the integrator: merge times then differ by 1e−5 of themselves from those at 1e−8."""


def points_at(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def ring_lifetime(count: int, seed: int) -> float:
    """Softmax time to the first merge of `count` equal clusters, evenly spaced but for a jitter of 1e−3 rad; β = m²/2."""
    beta = count**2 / 2
    rng = np.random.default_rng([seed, count])
    angles = 2 * np.pi * np.arange(count) / count + JITTER * rng.standard_normal(count)
    return first_merge(beta, angles)


def first_merge(beta: float, angles: np.ndarray) -> float:
    """ln of the time of the first merge, at the linking angle 0.3/√β."""
    centres = Centres(Interaction(beta), LINK / math.sqrt(beta), tolerance=1e-8)
    for moment in centres.moments(points_at(angles)):
        if moment.merged:
            return moment.log_time
    return math.inf


def stairs(beta: float, seed: int) -> dict[str, float]:
    """Five equal masses on a half circle, gaps in [0.3, 1], unnormalised attention: the share of arc length on the levels
    Σα², and whether each merge was of the pair that was closest when the plateau before it began."""
    rng = np.random.default_rng([seed, 13])
    gaps = rng.uniform(0.3, 1.0, 4)
    while gaps.sum() > np.pi:
        gaps = rng.uniform(0.3, 1.0, 4)
    centres = Centres(Interaction(beta, "unnormalised"), merge_angle(beta), tolerance=STAIR_TOLERANCE, clock="peak")
    near, length, right, before, pair = 0.0, 0.0, True, None, None
    for moment in centres.moments(points_at(np.concatenate([[0.0], np.cumsum(gaps)]))):
        if moment.merged:
            right &= moment.merged == pair
        if (moment.merged or before is None) and len(moment.points) > 1:
            pair = closest(moment.points)[1]
        level = float(np.sum(moment.masses**2))
        on = abs(moment.energy - level) <= 0.01 * level
        if before is not None and not moment.merged:
            step = moment.arc_length - before[0]
            length += step
            near += step * (on + before[1]) / 2
        before = moment.arc_length, on
    return {"share": near / length, "closest": float(right)}


def judge_persistence(found: Estimate) -> Judgement:
    """MC8, "exponential": supported if the interval of s lies above .1; the claim is excluded if it lies below."""
    verdict, reason = Verdict.inconclusive, "undecided"
    if found.low > 0.1:
        verdict, reason = Verdict.supported, ""
    elif found.high < 0.1:
        verdict, reason = Verdict.not_supported, "contradicted"
    return Judgement(
        verdict, f"The lifetime of the ring of k_max clusters grows as e^({found.value:.3f} β): over β = 8 … 50 by a factor of "
        f"{math.exp(found.value * 42):.1f} only.",
        reason, "slope of ln(median lifetime) on β [1]", found.value, found.low, found.high, found.n,
        "two clusters at a fixed angle, whose lifetime is exponential", "exponentially long",
    )  # fmt: skip


def judge_first_state(found: Estimate, pair: Estimate) -> list[Judgement]:
    """MC12: supported if the interval of s lies below .05; the control must give 1 − cos 1 within .02."""
    expected = 1 - math.cos(PAIR_ANGLE)
    verdict, reason = Verdict.inconclusive, "undecided"
    if found.high < 0.05:
        verdict, reason = Verdict.supported, ""
    elif found.low > 0.05:
        verdict, reason = Verdict.not_supported, "contradicted"
    right = abs(pair.value - expected) <= 0.02
    return [
        Judgement(
            verdict, f"The first metastable state lives no longer at larger β: s = {found.value:.3f}.", reason,
            "slope of ln(median lifetime) on β [1]", found.value, found.low, found.high, found.n,
            "two clusters at a fixed angle", "the first state",
        ),
        Judgement(
            Verdict.supported if right else Verdict.not_supported,
            f"Two clusters 1 rad apart live as e^({pair.value:.3f} β)/β, predicted {expected:.3f}.",
            "" if right else "contradicted", "slope of ln(βT) on β [1]", pair.value, pair.low, pair.high, pair.n,
            "the ring, whose barrier does not grow", "gaps of order one",
        ),
    ]  # fmt: skip


def exponent(evidence: Evidence) -> Estimate:
    found, seeds = {}, evidence.pick(SEEDS, SEEDS)
    for m in RINGS:
        runs = evidence.experiment(
            f"MC8 ring {m}", {"jitter": JITTER}, range(seeds), lambda seed, m=m: {"log_time": ring_lifetime(m, seed)}, 8
        )
        times = np.exp(runs["log_time"].to_numpy())
        found[m**2 / 2] = times, np.isfinite(times)
    return lifetime_exponent(found, generator("MC8"))


def persistence(evidence: Evidence) -> Judgement:
    return judge_persistence(exponent(evidence))


def first_state(evidence: Evidence) -> list[Judgement]:
    def measure() -> dict[str, float]:
        angles = np.array([0.0, PAIR_ANGLE])
        return {f"{beta:g}": first_merge(beta, angles) + math.log(beta) for beta in PAIR_BETAS}

    pairs = evidence.once("MC12 pair", {"angle": PAIR_ANGLE, "betas": str(PAIR_BETAS)}, measure, 3)
    control = slope(np.array(PAIR_BETAS), np.array([pairs[f"{beta:g}"] for beta in PAIR_BETAS]))
    return judge_first_state(exponent(evidence), control)


def judge_stairs(medians: dict[float, Estimate], others_first: dict[float, int]) -> Judgement:
    """supported: medians increase with β, ≥ .9 at 2,000, every merge of the closest pair; contradicted: < .8 at 4,000.

    others_first: by β, the runs in which a pair merges that was not the closest.
    """
    values, closest_first = [medians[beta].value for beta in STAIRS], not any(others_first.values())
    verdict, reason = Verdict.inconclusive, "undecided"
    if all(a < b for a, b in zip(values, values[1:], strict=False)) and medians[2_000.0].value >= 0.9 and closest_first:
        verdict, reason = Verdict.supported, ""
    elif medians[4_000.0].value < 0.8:
        verdict, reason = Verdict.not_supported, "contradicted"
    at = medians[2_000.0]
    told = ", ".join(f"{value:.2f}" for value in values)
    others = ", ".join(f"{n} of {medians[beta].n} runs at β = {beta:g}" for beta, n in others_first.items() if n)
    merges = (
        "every merge is of the closest pair" if closest_first else f"another pair than the closest merges in {others}"
    )
    return Judgement(
        verdict, f"The share of the path on the levels Σα² is {told} at β = {', '.join(f'{b:g}' for b in STAIRS)} (medians); "
        f"{merges}.",
        reason, "median share of arc length on plateaus, β = 2,000 [1]", at.value, at.low, at.high, at.n,
        "β = 100, where the levels are blurred",
    )  # fmt: skip


def staircase(evidence: Evidence) -> Judgement:
    medians, others_first, rng = {}, {}, generator("MC13")
    for beta in STAIRS:
        runs = evidence.experiment(
            f"MC13 stairs {beta:g}",
            {"tolerance": STAIR_TOLERANCE},
            range(evidence.pick(5, 20)),
            lambda seed, beta=beta: stairs(beta, seed),
            8,
        )
        medians[beta] = bootstrap([runs["share"].to_numpy()], lambda strata: float(np.median(strata[0])), rng)
        others_first[beta] = int((runs["closest"] == 0).sum())
    return judge_stairs(medians, others_first)


CLAIMS = (
    Claim("MC8", "The periodic state survives for exponentially long before clusters merge.",
          "trajectories to T = 0.6 show no merging", "ring of m clusters with jitter 1e−3, β = m²/2, m = 4 … 10, 20 seeds: "
          "the slope of ln(median lifetime) on β is supported as exponential if its interval lies above 0.1", persistence),
    Claim("MC12", "The first metastable state does not live exponentially long in β; lifetimes are exponential once gaps are "
          "of order one.", "", "the same slope: supported if its interval lies below 0.05. Control: two clusters at angle 1, "
          "β = 20 … 50: slope of ln(βT) is 0.46 ± 0.02", first_state),
    Claim("MC13", "Late unnormalised dynamics is a staircase of energy plateaus with pairwise merging.", "",
          "share of arc length with 2βe^{−β}E within 1 % of Σα², five equal masses: medians increase with β, at least 0.9 at "
          "2,000, every merge of the closest pair; contradicted if below 0.8 at 4,000", staircase),
)  # fmt: skip
