"""The light laws against scipy's distributions, far into both tails."""

import numpy as np
import pytest
from scipy import stats

from gedanken.theory.laws import ChiSquare, HalfNormal, LargestOf, Normal

PAIRS = [
    (Normal(0.3, 2.5), stats.norm(0.3, 2.5)),
    (HalfNormal(), stats.halfnorm()),
    (ChiSquare(1), stats.chi2(1)),
    (ChiSquare(768), stats.chi2(768)),
]


@pytest.mark.parametrize("ours, theirs", PAIRS, ids=[repr(ours) for ours, _ in PAIRS])
def test_quantiles_and_tails(ours, theirs):
    for q in (1e-12, 0.025, 0.5, 0.975):
        assert ours.ppf(q) == pytest.approx(theirs.ppf(q), rel=1e-9)
        assert ours.isf(q) == pytest.approx(theirs.isf(q), rel=1e-9)
    for x in theirs.ppf([1e-6, 0.3, 0.999]):
        assert ours.cdf(x) == pytest.approx(theirs.cdf(x), rel=1e-9)
        assert ours.sf(x) == pytest.approx(theirs.sf(x), rel=1e-9)


def test_laws_of_equal_parameters_are_one():
    assert LargestOf(ChiSquare(5), 10) == LargestOf(ChiSquare(5), 10)
    assert len({Normal(0, 1), Normal(0.0, 1.0), Normal(0, 2)}) == 2


@pytest.mark.parametrize("count", [1, 40])
def test_the_largest_of_uniform_draws_is_a_power(count):
    law = LargestOf(stats.uniform(), count)
    for x in (0.1, 0.5, 0.99):
        assert law.cdf(x) == pytest.approx(x**count, rel=1e-12)
        assert law.sf(x) == pytest.approx(1 - x**count, rel=1e-12)
        assert law.ppf(x) == pytest.approx(x ** (1 / count), rel=1e-12)
        assert law.isf(x) == pytest.approx((1 - x) ** (1 / count), rel=1e-12)


def test_the_largest_of_many_keeps_its_upper_tail():
    law = LargestOf(HalfNormal(), 1e6)
    assert law.sf(9.0) == pytest.approx(1e6 * stats.halfnorm.sf(9.0), rel=1e-6)
    draws = np.abs(np.random.default_rng(0).standard_normal((400, 10_000))).max(axis=1)
    of_draws = LargestOf(stats.halfnorm(), 10_000)
    assert stats.kstest(draws, np.vectorize(of_draws.cdf)).pvalue > 1e-3
