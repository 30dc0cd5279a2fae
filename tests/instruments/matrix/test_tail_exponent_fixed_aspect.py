"""Windows of one aspect ratio: they cover the matrix, and noise of any shape then gives one exponent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.instruments.matrix.tail_exponent_fixed_aspect import TailExponentFixedAspect, windows
from gedanken.kinds import Factors
from gedanken.status import Flag, Refusal
from gedanken.theory import marchenko_pastur, power_law

RNG = np.random.default_rng(0)


def exponent(matrix, **fields):
    return TailExponentFixedAspect(**fields).measure(matrix, RNG)["tail_exponent_fixed_aspect"].value


def noise_limit(aspect, fraction=0.5):
    """Hill's exponent of the upper `fraction` of the Marchenko–Pastur law, by quadrature over its quantiles."""
    levels = 1 - fraction + fraction * (np.arange(4000) + 0.5) / 4000
    upper = marchenko_pastur.quantile(levels, aspect)
    start = marchenko_pastur.quantile(np.array([1 - fraction]), aspect)
    return 1 + 1 / np.mean(np.log(upper / start))


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.05, 1))
@settings(deadline=None, max_examples=80)
def test_windows_are_equal_cover_the_matrix_and_have_the_aspect(long, short, aspect):
    long, short = max(long, short), min(long, short)
    places = np.arange(float(long * short)).reshape(long, short)
    found = list(windows(places, aspect))
    rows, cols = found[0].shape
    assert {window.shape for window in found} == {(rows, cols)}
    assert len(np.unique(np.concatenate([window.ravel() for window in found]))) == long * short
    assert abs(cols - aspect * rows) <= 1  # rounding to whole rows and columns
    assert rows == long or cols == short  # no larger window fits


def test_noise_of_any_shape_has_one_exponent():
    rng = np.random.default_rng(1)
    found, plain = [], []
    for rows, cols in ((200, 200), (800, 200), (200, 1000)):
        matrix = rng.standard_normal((rows, cols))
        found.append(exponent(matrix))
        values = np.sort(np.linalg.svd(matrix, compute_uv=False)) ** 2
        plain.append(power_law.hill(values, 100)[0])
    assert noise_limit(1.0) == pytest.approx(2.12, abs=5e-3)
    # By simulation: lower by 3/200 for one window, 1.5/200 for four, and a scatter of 4/200 over √windows
    np.testing.assert_allclose(found, noise_limit(1.0), atol=0.015 + 4 * 0.02)
    assert max(plain) - min(plain) > 1.0  # the shape alone moves the exponent of the whole spectrum


@pytest.mark.parametrize("aspect", [0.25, 0.5])
def test_other_aspects(aspect):
    matrix = np.random.default_rng(2).standard_normal((500, 300))
    # By simulation: 6/125 lower, with a scatter of 8/125
    assert exponent(matrix, aspect=aspect) == pytest.approx(noise_limit(aspect), abs=0.05 + 4 * 0.06)


def test_heavy_tails_are_lower():
    rng = np.random.default_rng(3)
    left, right = (np.linalg.qr(rng.standard_normal((300, 100)))[0] for _ in range(2))
    matrix = (left * np.arange(1, 101.0) ** -0.7) @ right[:100].T
    shuffled = rng.permutation(matrix.ravel()).reshape(matrix.shape)
    assert exponent(matrix) < exponent(shuffled) - 0.2


def test_factors_types_and_refusals():
    rng = np.random.default_rng(4)
    factors = Factors(rng.standard_normal((60, 30)), rng.standard_normal((30, 30)))
    assert exponent(factors) == pytest.approx(exponent(factors.left @ factors.right), rel=1e-12)
    matrix = rng.standard_normal((90, 40)).astype(np.float32)
    assert exponent(1e-30 * matrix.astype(np.float64)) == pytest.approx(exponent(matrix), rel=1e-9)
    assert TailExponentFixedAspect().measure(matrix, RNG)["tail_exponent_fixed_aspect"].n == 3
    for bad, flag in (
        (np.zeros((40, 40)), Flag.zero_matrix),
        (np.full((40, 40), np.nan), Flag.non_finite),
        (rng.standard_normal((12, 12)), Flag.too_small),
        (np.outer(np.ones(40), np.ones(40)), Flag.too_small),
        (np.eye(40), Flag.constant),
    ):
        with pytest.raises(Refusal) as refused:
            TailExponentFixedAspect().measure(bad, RNG)
        assert refused.value.flag == flag
    with pytest.raises(ValueError, match=r"lies in \(0, 1\]"):
        TailExponentFixedAspect(aspect=2.0)
