"""Claims about random starts: the clock of the linear phase, counts, places, and how near to periodic (MC4, 5, 7, 9, 10)."""

import numpy as np
import polars as pl

from gedanken.analysis.intervals import Estimate, bootstrap, wilson
from gedanken.analysis.metastable import defect_slope
from gedanken.analysis.mode_selection import Clock, agrees_with, clock, count_probability
from gedanken.sources.particles.simulation import Simulation
from gedanken.studies.base import Claim, Judgement, Verdict
from gedanken.studies.metastable_clustering.evidence import Evidence, generator
from gedanken.theory.clustering.mode_growth import dominant_mode, growth_rates
from gedanken.theory.clustering.predicted_angles import angle_error, null_angle_error, predicted_angles

SIZES = {300: (60, 64), 1_000: (60, 64), 3_000: (60, 64), 10_000: (40, 64), 30_000: (30, 64)}
"""Tokens → seeds, quick and full, at β = 5."""
PUBLISHED = {
    (4.0, 2_000): {1: 1, 2: 120, 3: 119},
    (5.0, 2_000): {2: 42, 3: 213, 4: 5},
    (5.0, 20_000): {1: 2, 2: 10, 3: 52},
    (7.0, 2_000): {2: 1, 3: 178, 4: 81},
    (7.0, 20_000): {2: 2, 3: 30, 4: 28},
}
"""Counts of an independent implementation (theory specification, § 4.3): (β, N) → count → runs."""
MAP = ((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 16.0, 20.0), (300, 1_000, 3_000))
PERMUTATIONS = 1000


def usa(beta: float, n: int) -> Simulation:
    return Simulation(inverse_temperature=beta, particles=n, attention="unnormalised")


def by_size(evidence: Evidence) -> pl.DataFrame:
    weights = {300: 5, 1_000: 8, 3_000: 20, 10_000: 50, 30_000: 110}
    return pl.concat([
        evidence.random_starts(usa(5.0, n), range(evidence.pick(*seeds)), weights[n]) for n, seeds in SIZES.items()
    ])  # fmt: skip


def judge_clock(found: Clock) -> Judgement:
    """supported: slope in [.9, 1.1], correlation ≥ .95, and at each N above the 99 % point of permutations."""
    inside = 0.9 <= found.slope.value <= 1.1
    verdict, reason = Verdict.inconclusive, "undecided"
    if inside and found.correlation >= 0.95 and found.beats_permutation:
        verdict, reason = Verdict.supported, ""
    elif not found.beats_permutation:
        verdict, reason = Verdict.not_supported, "explained by a null"
    elif found.slope.low > 1.1 or found.slope.high < 0.9:
        verdict, reason = Verdict.not_supported, "contradicted"
    worst = min(value - null for value, null in found.within.values())
    return Judgement(
        verdict, f"Saturation comes at {found.slope.value:.3f} times the time that linear theory makes of the same start, "
        f"with correlation {found.correlation:.3f}; at each N the correlation exceeds the permutation's 99 % point by "
        f"{worst:.2f} or more.",
        reason, "slope of the saturation time on t* [1]", found.slope.value, found.slope.low, found.slope.high,
        found.slope.n, "t* permuted among the runs of one N",
    )  # fmt: skip


def linear_clock(evidence: Evidence) -> Judgement:
    runs = by_size(evidence).drop_nulls("saturation_time")
    rng = generator("MC4")
    return judge_clock(clock(*(runs[c].to_numpy() for c in ("linear_time", "saturation_time", "n")), rng, PERMUTATIONS))


def judge_approach(found: Estimate, p: float, predicted: float) -> Judgement:
    """supported: slope negative with p < .01 and interval containing the prediction; contradicted: interval ≥ 0."""
    verdict, reason = Verdict.inconclusive, "undecided"
    if found.value < 0 and p < 0.01 and found.low <= predicted <= found.high:
        verdict, reason = Verdict.supported, ""
    elif found.low >= 0:
        verdict, reason = Verdict.not_supported, "contradicted"
    return Judgement(
        verdict, f"The smallest defect of a run falls with N as N^{found.value:.3f} (p = {p:.1g}), predicted "
        f"N^{predicted:.3f}: the manifold is approached, but slowly.",
        reason, "slope of ln min A on ln N [1]", found.value, found.low, found.high, found.n,
        "no dependence on N (slope 0)", "random data approach it",
    )  # fmt: skip


def approach(evidence: Evidence) -> Judgement:
    from scipy import stats

    runs = by_size(evidence)
    n, defect = runs["n"].to_numpy(), runs["periodicity_defect"].to_numpy()
    rates = np.sort(growth_rates(5.0, 2, 12))[::-1]
    p = float(stats.linregress(np.log(n), np.log(defect)).pvalue)
    return judge_approach(defect_slope(n, defect), p, -(1 - float(rates[1] / rates[0])))


def judge_places(errors: np.ndarray, elsewhere: np.ndarray, mode: int, median: Estimate, part: str = "") -> Judgement:
    """`errors` of each run against its own prediction, `elsewhere` (draw × run) against that of another run.

    supported: median at most half the analytic null and permutation p < .01; contradicted: median at least the null.
    """
    null = null_angle_error(mode)
    p = (1 + int(np.sum(np.median(elsewhere, axis=1) <= np.median(errors)))) / (1 + len(elsewhere))
    verdict, reason = Verdict.inconclusive, "undecided"
    if median.value <= null / 2 and p < 0.01:
        verdict, reason = Verdict.supported, ""
    elif median.value >= null:
        verdict, reason = Verdict.not_supported, "contradicted"
    return Judgement(
        verdict, f"The clusters stand {median.value:.2f} rad from their predicted places (median over runs, root mean "
        f"square), against {null:.2f} if the phase were random (p = {p:.2g}).",
        reason, "median error of the predicted angles [rad]", median.value, median.low, median.high, median.n,
        "predictions of other runs; a uniform phase, π/(k√3)", part,
    )  # fmt: skip


def places(evidence: Evidence) -> list[Judgement]:
    return [
        _places(evidence.random_starts(usa(beta, 2_000), range(evidence.pick(60, 260)), 25), beta, f"β = {beta:g}")
        for beta in (5.0, 7.0)
    ]


def _places(runs: pl.DataFrame, beta: float, part: str) -> Judgement:
    mode, rng = dominant_mode(beta), generator(f"MC7 {beta}")
    runs = runs.drop_nulls("angle_error")
    centres = runs.select(f"cluster_angle_{i}" for i in range(mode)).to_numpy()
    predicted = [predicted_angles(complex(np.exp(1j * phase)), mode) for phase in runs["mode_phase"]]
    errors = runs["angle_error"].to_numpy()
    table = np.array([[angle_error(found, told) for told in predicted] for found in centres])
    order = np.arange(len(runs))
    elsewhere = np.array([table[order, rng.permutation(order)] for _ in range(PERMUTATIONS)])
    median = bootstrap([errors], lambda strata: float(np.median(strata[0])), rng)
    return judge_places(errors, elsewhere, mode, median, part)


def judge_degree(degrees: list[int], mode: int) -> Judgement:
    """supported: Wilson's lower bound of the share at k_max above ½; contradicted: the upper bound below it."""
    found = wilson(sum(degree == mode for degree in degrees), len(degrees))
    verdict, reason = _against_half(found)
    return Judgement(
        verdict, f"At saturation degree {mode} has most power in {round(found.value * found.n)} of {found.n} runs.",
        reason, "share of runs led by degree k_max [1]", found.value, found.low, found.high, found.n,
        "equal initial power per component",
    )  # fmt: skip


def degree(evidence: Evidence) -> Judgement:
    # power grows from 1e−4 to 0.02 in λt = 2.65 on average
    end = 5 / float(growth_rates(5.0, 3, 3).max())
    wanted = Simulation(inverse_temperature=5.0, particles=10_000, dimension=3, end=end)
    runs = evidence.random_starts(wanted, range(24), 250)
    return judge_degree([int(found) for found in runs["leading_degree"].drop_nulls()], dominant_mode(5.0, 3))


def judge_typical(counts: list[int], mode: int, part: str, agreement: float | None) -> list[Judgement]:
    """`typical`: lower bound > ½ supported, upper bound < ½ contradicted; `exact`: lower bound > .95."""
    found = count_probability(counts, mode)
    typical, why = _against_half(found)
    exactly = (
        Verdict.supported if found.low > 0.95 else Verdict.not_supported if found.high < 0.95 else Verdict.inconclusive
    )
    values, times = np.unique(counts, return_counts=True)
    told = ", ".join(f"{value} in {many}" for value, many in zip(values, times, strict=True))
    same = f" An independent implementation counts alike (p = {agreement:.2g})." if agreement is not None else ""
    words = {Verdict.supported: "", Verdict.not_supported: "contradicted", Verdict.inconclusive: "undecided"}
    shared = ("share of runs with k_max clusters [1]", found.value, found.low, found.high, found.n,
              "β = 0, one cluster; the counts of an independent implementation")  # fmt: skip
    return [
        Judgement(typical, f"Clusters counted: {told} runs; predicted {mode}.{same}", why, *shared, f"typical, {part}"),
        Judgement(exactly, f"A share of {found.value:.2f} has exactly {mode} clusters.", words[exactly], *shared,
                  f"exact, {part}"),
    ]  # fmt: skip


def typical(evidence: Evidence) -> list[Judgement]:
    made, rng = [], generator("MC10")
    for beta in (5.0, 7.0):
        runs = evidence.random_starts(usa(beta, 20_000), range(evidence.pick(40, 64)), 120)
        counts = [int(count) for count in runs["cluster_count"].drop_nulls()]
        agreement = agrees_with(counts, PUBLISHED[beta, 20_000], rng)
        made += judge_typical(counts, dominant_mode(beta), f"β = {beta:g}, N = 20,000", agreement)
    count_map(evidence)
    return made


def count_map(evidence: Evidence) -> pl.DataFrame:
    """The ensembles behind the map of P(count = k_max) over (β, N)."""
    betas, sizes = MAP
    seeds = evidence.pick(12, 100)
    return pl.concat(
        [
            evidence.random_starts(usa(beta, n), range(seeds), 120 / len(betas) / len(sizes))
            for beta in betas
            for n in sizes
        ],
        how="diagonal",
    )


def _against_half(found: Estimate) -> tuple[Verdict, str]:
    if found.low > 0.5:
        return Verdict.supported, ""
    return (Verdict.not_supported, "contradicted") if found.high < 0.5 else (Verdict.inconclusive, "undecided")


CLAIMS = (
    Claim("MC4", "The perturbation stays near the linear solution until mode k_max dominates, at a time logarithmic in N.",
          "clusters visible at t ≈ 0.30 (β = 5)", "saturation time on t* over at least 200 runs and two decades of N: slope in "
          "[0.9, 1.1], correlation at least 0.95, and above the 99 % point of permutations at each N", linear_clock),
    Claim("MC7", "Cluster angles can be read off the initial data.", "red lines in the pictures",
          "median error of the predicted angles over runs with k_max clusters: supported if at most half of π/(k√3) with "
          "permutation p < 0.01; contradicted if at least π/(k√3)", places),
    Claim("MC9", "On the sphere the fastest degree takes the place of the period.", "",
          "share of runs (d = 3, β = 5, N = 10,000, 24 seeds) led by degree k_max at saturation: supported if Wilson's lower "
          "bound exceeds ½", degree),
    Claim("MC10", "A random start shows exactly k_max clusters.", "3 bands (β = 5), 4 bands (β = 7), one seed each",
          "share with count k_max at N = 20,000: typical if Wilson's lower bound exceeds ½, contradicted if the upper bound "
          "is below; exact if the lower bound exceeds 0.95", typical),
)  # fmt: skip
