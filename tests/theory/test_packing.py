"""Capacity formulas against published values, bounds against closed forms, random laws against simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from gedanken.theory import packing
from gedanken.theory.packing import FORMS

# Recomputed from the published constants at full precision; printed to four or five digits.
FORMULA_VALUES = [
    ("jl", 4096, 0.0645, 8.415, 1e-4),
    ("jl_random", 4096, 0.0645, 277.2, 2e-4),
    ("ratio", 4096, 0.0645, 2.158e9, 3e-4),
    ("full", 4096, 0.0645, 3.9945e7, 2e-5),
    ("full", 2048, 0.09, 1.9847e7, 3e-5),
    ("full", 3072, 0.09, 5.9597e8, 2e-5),
    ("full", 8192, 0.05, 2.4592e8, 3e-5),
    ("full", 8192, 0.09, 2.0296e14, 3e-5),
    ("full", 2048, 0.25, 2.0454e20, 3e-5),
    ("full", 1024, 0.0625, 25_859, 2e-5),
]
GUARANTEES = [
    (4096, 0.0645, 2.775e4),
    (2048, 0.09, 2.218e4),
    (8192, 0.05, 1.679e5),
    (8192, 0.09, 3.027e15),
    (2560, 0.05497, 185),
]
# Published: model, d, ε, printed capacity, our log10 of `full`, and 1/p.
ROWS = [
    ("Llama 2 7B", 4096, 0.06450, 3.99e7, 7.6015, 2.8e4),
    ("Llama 3 8B", 4096, 0.05945, 1.42e7, 7.1523, 7.1e3),
    ("Llama 3.1 70B", 8192, 0.04413, 4.39e7, 7.6423, 1.6e4),
    ("Qwen 2.5 7B", 3584, 0.07501, 1.20e8, 8.0794, 1.4e5),
    ("Gemma 3 12B", 3840, 0.08635, 2.51e9, 9.4005, 1.2e7),
    ("Phi 2", 2560, 0.05497, 4.57e5, 5.6598, 185),
    ("TinyLlama 1.1B", 2048, 0.06329, 4.81e5, 5.6821, 241),
    ("DeepSeek R1", 7168, 0.05917, 1.16e9, 9.0625, 1.9e6),
]


@pytest.mark.parametrize(("form", "d", "overlap", "k", "tolerance"), FORMULA_VALUES)
def test_formula_values(form, d, overlap, k, tolerance):
    # tolerance: half a unit of the last printed digit
    assert math.exp(FORMS[form].log_count(d, overlap)) == pytest.approx(k, rel=tolerance)


@pytest.mark.parametrize(("d", "overlap", "k"), GUARANTEES)
def test_guarantee_values(d, overlap, k):
    assert math.exp(-packing.log_exceedance(overlap, d)) == pytest.approx(k, rel=3e-3)  # printed to 3–4 digits


@pytest.mark.parametrize(("model", "d", "overlap", "printed", "log10_full", "guarantee"), ROWS)
def test_published_rows(model, d, overlap, printed, log10_full, guarantee):
    full = FORMS["full"]
    assert full.log_capacity(d, overlap) / math.log(10) == pytest.approx(log10_full, abs=6e-5)  # printed to 4 decimals
    # ε is printed to 5 decimals: half a unit of it, times the elasticity, and half a unit of the printed k.
    tolerance = full.elasticity(d, overlap) * 5e-6 / overlap + 5e-3 / float(f"{printed:.2e}"[:4])
    assert math.exp(full.log_capacity(d, overlap)) == pytest.approx(printed, rel=tolerance)
    # printed to 2 or 3 digits
    assert math.exp(packing.log_greedy_guarantee(overlap, d)) == pytest.approx(guarantee, rel=0.05)
    assert full.is_extrapolated(d, overlap)
    assert packing.orthogonality_class(overlap) == "near_orthogonal"


def test_the_null_has_a_capacity():
    ratio, full = FORMS["ratio"], FORMS["full"]
    for d in (256, 1024, 4096, 16384):
        assert ratio.log_count(d, 2 / math.sqrt(d)) == pytest.approx(math.log(d) + 4 / ratio.C, rel=1e-12)
    gains = [math.exp(full.log_count(d, 2 / math.sqrt(d))) / d for d in (256, 1024, 4096, 16384)]
    assert gains == pytest.approx([30.4, 25.3, 21.0, 17.5], abs=0.05)


@given(st.sampled_from(sorted(FORMS)), st.floats(32, 16384), st.floats(0.02, 0.3))
@settings(deadline=None, max_examples=60)
def test_overlap_inverts_log_count(form, d, overlap):
    log_k = FORMS[form].log_count(d, overlap)
    if log_k < 600:  # k itself must be a float
        k = math.exp(log_k)
        # ε depends on ln(k^a/d): one rounding of ln k is amplified by ln k over that difference
        assert FORMS[form].overlap(k, d) == pytest.approx(overlap, rel=1e-9)


@given(st.sampled_from(["full", "ratio"]), st.integers(50, 100_000), st.floats(0.01, 0.3))
@settings(deadline=None, max_examples=60)
def test_dimension_is_the_smallest_that_suffices(form, k, overlap):
    d = FORMS[form].dimension(k, overlap)
    assert 1 <= d <= k
    if d < k:
        assert FORMS[form].log_count(d, overlap) >= math.log(k) * (1 - 1e-9)
    if d > 1:
        assert FORMS[form].log_count(d - 1, overlap) < math.log(k)


@given(st.floats(32, 16384), st.floats(0.02, 0.3))
@settings(deadline=None, max_examples=30)
def test_elasticity_is_the_log_derivative(d, overlap):
    full, h = FORMS["full"], 1e-5
    slope = (full.log_count(d, overlap * math.exp(h)) - full.log_count(d, overlap * math.exp(-h))) / (2 * h)
    assert full.elasticity(d, overlap) == pytest.approx(slope, rel=1e-6)  # central difference: h² plus rounding/h


def test_clamp():
    full = FORMS["full"]
    for d, crossing in ((1024, 0.01335), (2048, 0.01021), (4096, 0.00777), (8192, 0.00588)):
        assert full.is_clamped(d, crossing - 1e-5) and not full.is_clamped(d, crossing + 1e-5)
        assert full.log_capacity(d, 0.0) == full.log_capacity(d, -1 / d) == math.log(d)
    assert math.exp(full.log_count(4096, 0.0)) == pytest.approx(2433, abs=1)
    assert FORMS["ratio"].is_clamped(64, -1 / 64)
    assert not FORMS["jl"].is_clamped(4096, 0.0645)


def test_full_crosses_the_guarantee():
    for d, crossing in ((1024, 0.218), (2048, 0.159), (4096, 0.115), (8192, 0.083), (16384, 0.060)):
        below, above = (
            FORMS["full"].log_capacity(d, overlap) < packing.log_greedy_guarantee(overlap, d)
            for overlap in (crossing - 0.001, crossing + 0.001)
        )
        assert (below, above) == (False, True)


def test_welch():
    assert packing.welch_bound(33, 32) == pytest.approx(1 / 32, rel=1e-15)  # the simplex
    assert packing.welch_bound(32, 64) == 0.0
    assert packing.welch_bound(200, 16) == pytest.approx(0.2404, abs=5e-5)
    assert packing.welch_bound(2000, 32) == pytest.approx(((2000 / 528 - 1) / 1999) ** 0.25, rel=1e-14)  # s = 2
    assert packing.welch_bound(2000, 64) == pytest.approx(0.1230, abs=5e-5)
    # seven lines of a plane are at best π/7 apart
    assert packing.welch_bound(7, 2) <= math.cos(math.pi / 7)


@pytest.mark.parametrize("d", [2, 3, 7, 64, 4096])
def test_exceedance_against_quadrature(d):
    for overlap in (0.01, 0.1, 0.4):
        constant = math.lgamma(d / 2) - math.lgamma((d - 1) / 2) - math.log(math.pi) / 2
        # in the angle there is no singularity at 1 for d = 2
        share, _ = integrate.quad(
            lambda angle, constant=constant, d=d: math.exp(constant + (d - 2) * math.log(math.sin(angle))),
            0,
            math.acos(overlap),
            epsabs=0,
            epsrel=1e-10,
            points=[math.acos(overlap) - 10 / d] if d > 10 else None,
        )
        # the logarithms of the gamma functions cancel to about 1e-12·d
        assert packing.log_exceedance(overlap, d) == pytest.approx(math.log(2 * share), abs=1e-8)


def test_exceedance_is_continuous_where_the_series_takes_over():
    d = 16384
    overlaps = np.linspace(0.26, 0.30, 400)  # betainc falls through 1e-280 at about 0.277
    logs = np.array([packing.log_exceedance(x, d) for x in overlaps])
    assert logs.min() < math.log(1e-300) < math.log(1e-280) < logs.max()
    assert np.abs(np.diff(logs, 3)).max() < 1e-6  # a jump would show in a third difference; the law's own is 1e-8
    assert packing.log_exceedance(0.999, d) < packing.log_exceedance(0.99, d) < -3e4
    assert packing.log_greedy_guarantee(0.0, d) == 0.0
    assert packing.log_greedy_guarantee(0.99, d) == -packing.log_exceedance(0.99, d)


def test_guarantee_is_reached_by_greedy_choice():
    d, overlap, rng = 8, 0.6, np.random.default_rng(1)
    chosen = np.empty((0, d))
    for _ in range(2000):
        u = rng.standard_normal(d)
        u /= np.linalg.norm(u)
        if np.all(np.abs(chosen @ u) <= overlap):
            chosen = np.vstack([chosen, u])
    assert len(chosen) >= math.exp(packing.log_greedy_guarantee(overlap, d)) - 1e-9


def test_random_coherence_against_published_oracle():
    expected = {(200, 32): (0.6554, 0.5963), (500, 64): (0.5302, 0.4864), (1000, 128): (0.4101, 0.3781)}
    expected[2000, 256] = (0.3115, 0.2889)
    for (k, d), (single, best) in expected.items():
        pairs = k * (k - 1) / 2
        assert packing.random_coherence(pairs, d) == pytest.approx(single, abs=5e-5)
        assert packing.random_coherence(pairs, d, trials=100) == pytest.approx(best, abs=5e-5)
    assert packing.random_coherence(32_000 * 31_999 / 2, 4096) == pytest.approx(0.0945, abs=5e-5)
    band = [packing.random_coherence(200 * 199 / 2, 32, q) for q in (0.05, 0.95)]
    assert band == pytest.approx([0.613, 0.718], abs=5e-4)


def test_random_coherence_against_draws():
    k, d, rng = 200, 32, np.random.default_rng(2)
    found = []
    for _ in range(200):
        u = rng.standard_normal((k, d))
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        found.append(np.abs(np.triu(u @ u.T, 1)).max())
    pairs = k * (k - 1) / 2
    shares = [packing.random_coherence_cdf(x, pairs, d) for x in found]
    assert stats.kstest(shares, "uniform").pvalue > 0.01
    assert np.median(found) == pytest.approx(packing.random_coherence(pairs, d), rel=0.015)
