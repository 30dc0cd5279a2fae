"""The dip: closed cases, another library, and its law for uniform values."""

import numpy as np
import pytest

from gedanken.theory.dip import UniformDip, dip


def test_closed_cases():
    # Equally spaced values are as near to uniform as n steps allow; two atoms are as far as anything.
    assert dip(np.arange(10.0)) == pytest.approx(1 / 20, abs=1e-15)
    assert dip(np.repeat([0.0, 1.0], 50)) == pytest.approx(0.25, abs=1e-15)
    with pytest.raises(ValueError, match="needs a value"):
        dip(np.empty(0))


def test_against_another_library():
    diptest = pytest.importorskip("diptest")
    rng = np.random.default_rng(0)
    for n in (3, 10, 47, 200, 1000):
        for draw in (
            rng.standard_normal(n),
            np.concatenate([rng.standard_normal(n // 2), 4 + rng.standard_normal(n - n // 2)]),
            rng.uniform(size=n) ** 3,
            rng.standard_cauchy(n),
        ):
            assert dip(draw) == pytest.approx(diptest.dipstat(np.sort(draw)), abs=1e-12)


def test_level_of_the_uniform_law():
    rng = np.random.default_rng(1)
    n, draws = 500, 400
    limit = UniformDip(n).isf(0.05)
    share = np.mean([dip(rng.uniform(size=n)) > limit for _ in range(draws)])
    # Four standard errors of a share of 5 %, and the law at n = 500 instead of 2,000.
    assert share == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / draws) + 0.01)


def test_law_is_consistent():
    law = UniformDip(100)
    for q in (0.01, 0.05, 0.5, 0.95):
        assert law.cdf(law.ppf(q)) == pytest.approx(q, abs=1e-9)
        assert law.sf(law.isf(q)) == pytest.approx(q, abs=1e-9)
