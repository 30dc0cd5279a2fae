"""Quantiles, histogram and coherence of sampled pairs: plain counts, the law of the angle, replicated draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gedanken.instruments.points.coherence import Coherence
from gedanken.instruments.points.cosine_histogram import CosineHistogram
from gedanken.instruments.points.cosine_quantile import CosineQuantile
from gedanken.status import Flag, Refusal
from gedanken.theory import packing

RNG = np.random.default_rng(0)


def pairs_of(table):
    u = table / np.linalg.norm(table, axis=1, keepdims=True)
    return np.concatenate([u[i + 1 :] @ u[i] for i in range(len(u))])


@given(st.integers(10, 80), st.integers(2, 20), st.floats(0, 2), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_against_plain_counts(n, d, offset, seed):
    table = np.random.default_rng(seed).standard_normal((n, d)) + offset
    pairs, reading = pairs_of(table), CosineQuantile().measure(table, RNG)
    levels = [0.5, 0.977, 0.99, 0.999]
    np.testing.assert_allclose(reading["cosine_quantile"].y, np.quantile(pairs, levels), atol=1e-12)
    np.testing.assert_allclose(reading["absolute_cosine_quantile"].y, np.quantile(abs(pairs), levels), atol=1e-12)
    edge = pairs.mean() + 2 * pairs.std()
    assert reading["cosine_exceedance"].value == pytest.approx(np.mean(pairs > edge), abs=1e-12)
    assert reading["absolute_cosine_exceedance"].value == pytest.approx(np.mean(abs(pairs) > edge), abs=1e-12)
    low, middle, high = np.quantile(pairs, [0.001, 0.5, 0.999])
    assert reading["cosine_asymmetry"].value == pytest.approx(low + high - 2 * middle, abs=1e-12)
    assert Coherence().measure(table, RNG)["coherence"].value == pytest.approx(abs(pairs).max(), abs=1e-12)


def test_nothing_escapes_the_histogram():
    table = np.random.default_rng(1).standard_normal((300, 8)) + 0.4
    curve = CosineHistogram().measure(table, RNG)["cosine_histogram"]
    size = round((curve.x[1] - curve.x[0]) * 150)
    assert size == 5 and len(curve.x) <= 60
    edges = np.append(curve.x - size / 300, curve.x[-1] + size / 300)
    counted = 100 * np.histogram(pairs_of(table), edges)[0] / (300 * 299 / 2)
    np.testing.assert_allclose(size * curve.y, counted, atol=1e-9)
    assert 99.97 < size * curve.y.sum() <= 100  # two ends of 0.01 % may be left out


def test_null_histogram_is_that_of_random_directions():
    table = np.random.default_rng(2).standard_normal((1000, 512))
    curve = CosineHistogram().measure(table, RNG)["cosine_histogram"]
    assert curve.x[1] - curve.x[0] == pytest.approx(1 / 150)
    inside = (curve.null_low <= curve.y) & (curve.y <= curve.null_high)
    assert inside.mean() > 0.8  # 95 %, less discreteness in the outermost bins
    assert (curve.null_low + curve.null_high).sum() / 2 == pytest.approx(100, abs=0.05)


def test_null_of_quantiles_is_that_of_random_directions():
    table = np.random.default_rng(3).standard_normal((1000, 64))
    instrument = CosineQuantile(levels=tuple(np.arange(1, 20) / 20))
    reading = instrument.measure(table, RNG)
    for name in ("cosine_quantile", "absolute_cosine_quantile"):
        curve = reading[name]
        band = curve.null_high - curve.null_low
        assert np.all((curve.null_low - band < curve.y) & (curve.y < curve.null_high + band))
    for name, band in instrument.null(table, reading).items():
        assert band.low < band.median < band.high and band.p > 1e-3, name


def test_null_sd_of_the_asymmetry():
    rng, n, d = np.random.default_rng(4), 120, 16
    draws = [CosineQuantile().measure(rng.standard_normal((n, d)), RNG) for _ in range(300)]
    found = np.array([reading["cosine_asymmetry"].value for reading in draws])
    band = CosineQuantile().null(np.zeros((n, d)), draws[0])["cosine_asymmetry"]
    # 7 pairs lie beyond each tail level, so the asymptotic variance of a quantile is good to about 15 %
    assert found.std() == pytest.approx((band.high - band.low) / 3.92, rel=0.2)


@pytest.mark.parametrize("kind", ["isotropic", "clusters", "stretched"])
def test_errors_against_replicated_draws(kind):
    rng, n, d, draws = np.random.default_rng(5), 400, 24, 150
    centres, stretch = 2 * rng.standard_normal((8, d)), np.exp(rng.standard_normal(d) / 2)

    def draw():
        table = rng.standard_normal((n, d))
        if kind == "clusters":
            table += centres[rng.integers(8, size=n)]
        return table * stretch if kind == "stretched" else table

    readings = [CosineQuantile().measure(draw(), RNG) for _ in range(draws)]
    curves = [reading["cosine_quantile"] for reading in readings]
    spread = np.std([curve.y for curve in curves], axis=0)
    error = np.mean([(curve.high - curve.low) / 3.92 for curve in curves], axis=0)
    # pairs count twice where rows do not differ: up to √2 too cautious; an sd of 150 draws scatters by 6 %
    assert np.all((error / spread > 0.8) & (error / spread < 1.7)), error / spread


def test_coherence_null():
    rng, n, d = np.random.default_rng(6), 200, 32
    readings = [Coherence().measure(rng.standard_normal((n, d)), RNG) for _ in range(100)]
    bands = [Coherence().null(np.zeros((n, d)), reading)["coherence"] for reading in readings]
    assert bands[0].median == pytest.approx(packing.random_coherence(n * (n - 1) / 2, d), rel=2e-6)  # ln(1 − p) ≈ −p
    # two-sided p is uniform
    assert stats.kstest([band.p for band in bands], "uniform").pvalue > 0.01


def test_the_sample_is_bounded_even_and_said():
    table = np.random.default_rng(7).standard_normal((1000, 8))
    small = Coherence(sample=100).measure(table, RNG)["coherence"]
    assert small.n == 100 and small.flags == (Flag.sampled,)
    assert small.value == Coherence().measure(table[::10], RNG)["coherence"].value
    assert Coherence().measure(table, RNG)["coherence"].flags == ()
    for instrument in (CosineQuantile(sample=100), CosineHistogram(sample=100)):
        assert all(Flag.sampled in value.flags for value in instrument.measure(table, RNG).values())


def test_zero_rows_and_bad_ones():
    table = np.vstack([np.eye(4), np.zeros((3, 4))])
    assert Coherence().measure(table, RNG)["coherence"].n == 4
    for bad, flag in ((np.full((12, 3), np.nan), Flag.non_finite), (np.zeros((12, 3)), Flag.too_small)):
        for instrument in (Coherence(), CosineQuantile(), CosineHistogram()):
            with pytest.raises(Refusal) as refused:
                instrument.measure(bad, RNG)
            assert refused.value.flag == flag
    with pytest.raises(Refusal):
        CosineQuantile().measure(np.eye(9), RNG)
