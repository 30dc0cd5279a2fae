"""Spearman's ρ with its exact p."""

import numpy as np
import pytest
from scipy import stats

from gedanken.analysis.rank_correlation import partial, partial_spearman, spearman, t_approximation

RNG = np.random.default_rng(0)


def test_six_interior_layers():
    x = np.arange(6.0)
    y = np.array([0.0, 3, 1, 2, 5, 4])
    found = spearman(x, y, RNG)
    assert found.rho == pytest.approx(1 - 6 * sum((x - y) ** 2) / 210)
    of_25 = next(spearman(x, p, RNG) for p in map(np.array, _orders()) if round(35 * _rho(x, p)) == 25)
    assert of_25.rho == pytest.approx(25 / 35) and of_25.exact
    assert of_25.p == pytest.approx(0.1361, abs=5e-5) and of_25.t_p == pytest.approx(0.1108, abs=5e-5)


def _orders():
    from itertools import permutations

    return permutations(np.arange(6.0))


def _rho(x, y):
    return 1 - 6 * np.sum((x - y) ** 2) / (len(x) * (len(x) ** 2 - 1))


@pytest.mark.parametrize(("n", "smallest"), [(5, 1.000), (6, 0.886), (7, 0.786), (8, 0.738)])
def test_the_smallest_significant_rho(n, smallest):
    from itertools import permutations

    x = np.arange(float(n))
    rho = np.array([_rho(x, np.array(p)) for p in permutations(x)])
    values = np.unique(np.round(np.abs(rho), 9))
    p = np.array([np.mean(np.abs(rho) >= value - 1e-9) for value in values])
    assert values[p <= 0.05].min() == pytest.approx(smallest, abs=5e-4)
    order = next(np.array(q) for q in permutations(x) if abs(_rho(x, np.array(q)) - values[p <= 0.05].min()) < 1e-6)
    assert spearman(x, order, RNG).p == pytest.approx(p[p <= 0.05].max())


def test_four_values_are_never_significant():
    assert spearman(np.arange(4.0), np.arange(4.0), RNG).p > 0.05


def test_t_approximation():
    for n, p in ((10, 0.027), (11, 0.0188), (14, 0.0063)):
        assert t_approximation(0.69, n) == pytest.approx(p, abs=5e-4 if n == 10 else 5e-5)


def test_against_scipy_with_ties():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 6, 22).astype(float), rng.standard_normal(22)
    found, theirs = spearman(x, y, rng), stats.spearmanr(x, y)
    assert found.rho == pytest.approx(theirs.statistic) and found.t_p == pytest.approx(theirs.pvalue)
    # 99,999 draws: a standard error of at most 0.0016
    assert found.p == pytest.approx(theirs.pvalue, abs=0.01) and not found.exact


def test_partial():
    assert partial(0.7, 0.5, 0.4) == pytest.approx(0.62994, abs=5e-6)
    rng = np.random.default_rng(2)
    z = rng.standard_normal(40)
    x, y = z + 0.3 * rng.standard_normal(40), z + 0.3 * rng.standard_normal(40)
    assert spearman(x, y, rng).p < 0.001 and partial_spearman(x, y, z, rng).p > 0.01
    rho = partial(*(stats.spearmanr(*pair).statistic for pair in ((x, y), (x, z), (y, z))))
    assert partial_spearman(x, y, z, rng).rho == pytest.approx(rho)


def test_constants_have_no_rank_correlation():
    with pytest.raises(ValueError, match="not all equal"):
        spearman(np.ones(5), np.arange(5.0), RNG)
    with pytest.raises(ValueError, match="nothing is left"):
        partial_spearman(np.arange(5.0), RNG.standard_normal(5), np.arange(5.0), RNG)
