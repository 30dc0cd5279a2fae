"""Each rule of the study on planted data: what supports the claim, what contradicts it, and what leaves it open."""

import math

import numpy as np
import pytest

from gedanken.analysis.intervals import Estimate
from gedanken.analysis.mode_selection import Clock
from gedanken.status import Failure
from gedanken.studies import catalogue
from gedanken.studies.base import Verdict
from gedanken.studies.metastable_clustering import collapse, lifetimes, linear, mean_field, random_starts, symmetry
from gedanken.theory.clustering.equiangular import cosine_at

YES, NO, OPEN = Verdict.supported, Verdict.not_supported, Verdict.inconclusive


def estimate(value, half=0.01, n=50):
    return Estimate(value, value - half, value + half, n)


@pytest.mark.parametrize(("error", "verdict"), [(1e-7, YES), (1e-4, OPEN), (1e-2, NO)])
def test_growth_rates(error, verdict):
    circle, *_ = linear.judge_rates({"a": error, "b": -1e-9}, {"c": 0.0}, {"d": 0.0})
    assert circle.verdict is verdict and circle.effect == error


@pytest.mark.parametrize(
    ("modes", "shift", "verdict"), [((1, 3, 4), 1e-4, YES), ((1, 3, 4), 2e-3, NO), ((1, 2, 4), 1e-4, NO)]
)
def test_selection(modes, shift, verdict):
    switches = {k: beta * (1 + shift) for k, beta in linear.SWITCHES.items()}
    assert linear.judge_selection(dict(zip((1.0, 5.0, 7.0), modes, strict=True)), switches).verdict is verdict


def test_softmax():
    assert linear.judge_softmax({"x": (3, 3)}, 0.7332, 0.7355).verdict is YES
    assert linear.judge_softmax({"x": (3, 4)}, 0.7332, 0.7355).verdict is NO
    assert linear.judge_softmax({"x": (3, 3)}, 0.72, 0.7355).verdict is NO


def test_noise():
    assert linear.judge_noise({"a": -0.1}, {"b": 0.1}, {"c": -0.2}).verdict is YES
    assert linear.judge_noise({"a": 0.1}, {"b": 0.1}, {"c": -0.2}).verdict is NO
    assert linear.judge_noise({"a": -0.1}, {"b": 0.1}, {"c": 0.2}).verdict is NO


def test_layers():
    assert linear.judge_layers({"a": 1e-8}).verdict is YES
    assert linear.judge_layers({"a": 1e-5}).verdict is NO


@pytest.mark.parametrize(
    ("slope", "correlation", "within", "verdict"),
    [
        (1.0, 0.98, {300.0: (0.9, 0.3)}, YES),
        (1.0, 0.90, {300.0: (0.9, 0.3)}, OPEN),
        (1.3, 0.98, {300.0: (0.9, 0.3)}, NO),
        (1.0, 0.98, {300.0: (0.2, 0.3)}, NO),
    ],
)
def test_clock(slope, correlation, within, verdict):
    assert random_starts.judge_clock(Clock(estimate(slope), correlation, within)).verdict is verdict


@pytest.mark.parametrize(
    ("found", "p", "verdict"),
    [(estimate(-0.12, 0.03), 1e-6, YES), (estimate(-0.12, 0.2), 0.2, OPEN), (estimate(0.1, 0.02), 1e-6, NO)],
)
def test_approach(found, p, verdict):
    assert random_starts.judge_approach(found, p, -0.121).verdict is verdict


@pytest.mark.parametrize(("error", "other", "verdict"), [(0.15, 0.6, YES), (0.15, 0.15, OPEN), (0.7, 0.7, NO)])
def test_places(error, other, verdict):
    errors, elsewhere = np.full(40, error), np.full((200, 40), other)
    assert random_starts.judge_places(errors, elsewhere, 3, estimate(error)).verdict is verdict


@pytest.mark.parametrize(("share", "verdict"), [(20, YES), (12, OPEN), (3, NO)])
def test_degree(share, verdict):
    assert random_starts.judge_degree([3] * share + [2] * (24 - share), 3).verdict is verdict


@pytest.mark.parametrize(
    ("share", "typical", "exact"), [(200, YES, YES), (160, YES, NO), (100, OPEN, NO), (40, NO, NO), (192, YES, OPEN)]
)
def test_typical(share, typical, exact):
    found = random_starts.judge_typical([3] * share + [2] * (200 - share), 3, "β", 0.5)
    assert [judgement.verdict for judgement in found] == [typical, exact]


def test_invariance():
    assert symmetry.judge_invariance([1e-20], [0.9]).verdict is YES
    assert symmetry.judge_invariance([1e-3], [0.9]).verdict is NO


@pytest.mark.parametrize(
    ("right", "spacing", "others", "verdict"),
    [(50, 1e-6, [4] * 10, YES), (50, 1e-2, [4] * 10, OPEN), (50, 1e-6, [3] * 10, OPEN), (40, 1e-6, [4] * 10, NO)],
)
def test_clusters(right, spacing, others, verdict):
    counts = [3] * right + [2] * (50 - right)
    assert symmetry.judge_clusters(counts, [spacing], others).verdict is verdict


@pytest.mark.parametrize(("s", "persists", "short"), [(0.46, YES, NO), (0.01, NO, YES), (0.07, NO, NO)])
def test_lifetimes(s, persists, short):
    assert lifetimes.judge_persistence(estimate(s)).verdict is persists
    first, control = lifetimes.judge_first_state(estimate(s), estimate(0.46))
    assert (first.verdict, control.verdict) == (short, YES)
    assert lifetimes.judge_first_state(estimate(s), estimate(0.6))[1].verdict is NO


def test_lifetimes_that_the_interval_leaves_open():
    assert lifetimes.judge_persistence(estimate(0.1, 0.05)).verdict is OPEN
    assert lifetimes.judge_first_state(estimate(0.05, 0.05), estimate(0.46))[0].verdict is OPEN


@pytest.mark.parametrize(
    ("shares", "others", "verdict"),
    [((0.76, 0.89, 0.95, 0.96), 0, YES), ((0.76, 0.89, 0.95, 0.96), 1, OPEN), ((0.7, 0.72, 0.74, 0.75), 0, NO),
     ((0.9, 0.89, 0.95, 0.96), 0, OPEN)],
)  # fmt: skip
def test_stairs(shares, others, verdict):
    medians = {beta: estimate(share) for beta, share in zip(lifetimes.STAIRS, shares, strict=True)}
    found = lifetimes.judge_stairs(medians, {100.0: others})
    assert found.verdict is verdict
    assert ("runs at β = 100" in found.sentence) is bool(others)


@pytest.mark.parametrize(
    ("found", "change", "verdict"),
    [(estimate(-0.5), 1e-14, YES), (estimate(-0.2), 1e-14, NO), (estimate(-0.41, 0.05), 1e-3, OPEN)],
)
def test_mean_field(found, change, verdict):
    assert mean_field.judge_law(found, change).verdict is verdict


def test_cosines():
    theory = cosine_at(collapse.TIMES, collapse.COUNT, collapse.BETA)
    noise = 0.01 * np.random.default_rng(0).standard_normal((8, 4))
    assert [j.verdict for j in collapse.judge_cosines(list(theory), theory + noise)] == [YES, YES]
    assert [j.verdict for j in collapse.judge_cosines(list(theory + 0.01), theory + 0.1 + noise)] == [NO, NO]


def test_causal():
    rng = np.random.default_rng(0)
    right = {2: rng.normal(2 * math.pi, 0.8, 400)}
    assert [j.verdict for j in collapse.judge_causal(0.0, 0.5, right)] == [YES, YES]
    assert [j.verdict for j in collapse.judge_causal(1e-3, 0.5, {2: right[2] + 1})] == [NO, NO]


def test_the_study_states_its_claims_in_order():
    study = catalogue.get("metastable_clustering")
    assert [claim.id for claim in study.claims] == [f"MC{i}" for i in range(1, 19)]
    assert all(claim.rule and claim.statement for claim in study.claims)


def test_an_unknown_scale_is_a_sentence(tmp_path):
    from gedanken.measurements.store import Lab

    with pytest.raises(Failure, match="quick or full"):
        catalogue.get("metastable_clustering").judge(Lab(tmp_path), scale="huge")
