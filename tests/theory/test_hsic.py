"""Debiased HSIC: a plain transcription with n × n kernels, with groups really left out, and unrelated points."""

import numpy as np
import pytest

from gedanken.theory import hsic


def naive(x: np.ndarray, y: np.ndarray) -> float:
    """[@song2012feature, eq. 5] word for word."""
    n, k, m = len(x), x @ x.T, y @ y.T
    np.fill_diagonal(k, 0.0)
    np.fill_diagonal(m, 0.0)
    one = np.ones(n)
    mixed = one @ k @ m @ one
    return (np.trace(k @ m) + one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 * mixed / (n - 2)) / (
        n * (n - 3)
    )


@pytest.mark.parametrize("dimensions", [(5, 7), (40, 3), (40, 50)])
def test_against_kernels_with_groups_left_out(dimensions):
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((30, d)) for d in dimensions)
    y[:, 0] += x[:, 0]
    group = np.repeat([0, 1, 2, 3], [6, 9, 1, 14])
    found = hsic.hsic(hsic.Sample(x, group), hsic.Sample(y, group))
    expected = [naive(x[group != g], y[group != g]) for g in range(4)] + [naive(x, y)]
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_mean_does_not_count():
    rng = np.random.default_rng(1)
    x, y, group = rng.standard_normal((20, 4)), rng.standard_normal((20, 6)), np.zeros(20, int)
    moved = hsic.hsic(hsic.Sample(x + 3, group), hsic.Sample(y - 5, group))
    assert moved[-1] == pytest.approx(hsic.hsic(hsic.Sample(x, group), hsic.Sample(y, group))[-1], rel=1e-9)


def test_unrelated_points_scatter_about_zero():
    rng = np.random.default_rng(2)
    group = np.zeros(100, int)
    found = [
        hsic.cka(
            hsic.Sample(rng.standard_normal((100, 30)), group), hsic.Sample(rng.standard_normal((100, 20)), group)
        )[-1]
        for _ in range(200)
    ]
    sd = np.sqrt(2) / 100
    assert np.mean(found) == pytest.approx(0, abs=4 * sd / np.sqrt(200))
    # Four standard errors of a standard deviation from 200 draws, and corrections of order 1/n.
    assert np.std(found) == pytest.approx(sd, rel=4 / np.sqrt(400) + 0.02)
