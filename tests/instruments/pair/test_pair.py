"""Changes of matrices: overlaps against principal angles and Haar subspaces, thin factors against dense, norms."""

import numpy as np
import pytest
from scipy import linalg, stats

from gedanken.instruments.pair.relative_change import RelativeChange
from gedanken.instruments.pair.subspace_overlap import SubspaceOverlap, random_overlap
from gedanken.kinds import Factors, Pair
from gedanken.status import Flag, Refusal

RNG = np.random.default_rng(0)


def haar(k, d, rng):
    return np.linalg.qr(rng.standard_normal((d, k)))[0]


@pytest.mark.parametrize(("k", "d"), [(1, 12), (3, 20), (8, 40), (8, 10), (11, 12)])
def test_law_of_random_subspaces(k, d):
    rng, draws = np.random.default_rng(k + d), 3000
    found = np.array([np.sum((haar(k, d, rng).T @ haar(k, d, rng)) ** 2) / k for _ in range(draws)])
    mean, variance = k / d, 2 * (d - k) ** 2 / (d**2 * (d - 1) * (d + 2))
    law = random_overlap(k, d)
    assert (law.mean(), law.var()) == pytest.approx((mean, variance), rel=1e-10)
    assert found.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / draws))
    # a variance of 3000 draws scatters by √(2/3000) = 2.6 %, more with long tails
    assert found.var() == pytest.approx(variance, rel=0.13)
    assert found.min() >= max(2 * k - d, 0) / k - 1e-12
    p = np.minimum(1, 2 * np.minimum(law.cdf(found), law.sf(found)))
    if k in (1, d - 1):
        assert stats.kstest(p, "uniform").pvalue > 1e-3  # exact there
    for level in (0.05, 0.01):
        # ± 4 standard deviations of a share of 3000 draws, and up to half as much again for a law of three moments
        assert np.mean(p < level) == pytest.approx(level, abs=0.5 * level + 4 * np.sqrt(level / draws))


def test_null_of_an_independent_change():
    """ΔW without relation to W: all p of the change's overlaps are uniform."""
    rng, p = np.random.default_rng(1), {"change_left_overlap": [], "change_right_overlap": []}
    for _ in range(150):
        pair = Pair(rng.standard_normal((40, 30)), rng.standard_normal((40, 30)))
        bands = SubspaceOverlap(k=4).null(pair, SubspaceOverlap(k=4).measure(pair, rng))
        for name, values in p.items():
            values.append(bands[name].p)
            assert bands[name].low < bands[name].median < bands[name].high
    for values in p.values():
        assert stats.kstest(values, "uniform").pvalue > 1e-3


def test_overlap_is_the_mean_squared_cosine_of_principal_angles():
    rng, k = np.random.default_rng(2), 3
    before, change = rng.standard_normal((25, 15)), 0.5 * rng.standard_normal((25, 15))
    reading = SubspaceOverlap(k=k).measure(Pair(before, change), RNG)
    (u, _, v), (after_u, _, after_v), (change_u, _, change_v) = map(np.linalg.svd, (before, before + change, change))
    expected = {
        "left_overlap": (u[:, :k], after_u[:, :k]),
        "right_overlap": (v[:k].T, after_v[:k].T),
        "change_left_overlap": (u[:, :k], change_u[:, :k]),
        "change_right_overlap": (v[:k].T, change_v[:k].T),
    }
    for name, bases in expected.items():
        cosines = np.cos(linalg.subspace_angles(*bases))
        assert reading[name].value == pytest.approx(np.mean(cosines**2), abs=1e-9), name


def lora(rng, shape=(60, 40), rank=9):
    factors = Factors(rng.standard_normal((shape[0], rank)), rng.standard_normal((rank, shape[1])))
    return rng.standard_normal(shape), factors


@pytest.mark.parametrize(
    "instrument", [RelativeChange(), SubspaceOverlap()], ids=["relative_change", "subspace_overlap"]
)
def test_thin_factors_are_their_product(instrument):
    base, factors = lora(np.random.default_rng(3))
    thin = instrument.measure(Pair(base, factors), RNG)
    dense = instrument.measure(Pair(base, factors.left @ factors.right), RNG)
    for name, value in dense.items():
        assert thin[name].value == pytest.approx(value.value, rel=1e-12)


def test_relative_change_against_numpy():
    base, factors = lora(np.random.default_rng(4))
    change = factors.left @ factors.right
    for scale in (1.0, 1e-200, 1e200):
        reading = RelativeChange().measure(Pair(scale * base, scale * change), RNG)
        for name, order in (("relative_change", "fro"), ("relative_spectral_change", 2)):
            plain = np.linalg.norm(change, order) / np.linalg.norm(base, order)
            assert reading[name].value == pytest.approx(plain, rel=1e-10)
    still = RelativeChange().measure(Pair(base, np.zeros_like(base)), RNG)
    assert {value.value for value in still.values()} == {0.0}


def test_a_change_along_the_leading_directions_is_seen():
    rng = np.random.default_rng(5)
    base = rng.standard_normal((50, 50)) + np.diag(np.r_[np.linspace(60, 40, 8), np.zeros(42)])
    u, s, vt = np.linalg.svd(base)
    pair = Pair(base, 0.01 * (u[:, :8] * s[:8]) @ vt[:8] + 1e-6 * rng.standard_normal((50, 50)))
    reading = SubspaceOverlap().measure(pair, RNG)
    bands = SubspaceOverlap().null(pair, reading)
    for name, value in reading.items():
        assert value.value > 0.999 and bands[name].p < 1e-6


@pytest.mark.parametrize(
    ("base", "change", "flag"),
    [
        (np.zeros((12, 12)), np.ones((12, 12)), Flag.zero_matrix),
        (np.full((12, 12), -np.inf), np.ones((12, 12)), Flag.non_finite),
        (np.zeros((0, 12)), np.zeros((0, 12)), None),
    ],
)
def test_refusals(base, change, flag):
    for instrument in (RelativeChange(), SubspaceOverlap(k=2)):
        with pytest.raises(Refusal) as refused:
            instrument.measure(Pair(base, change), RNG)
        assert flag is None or refused.value.flag == flag


def test_a_broken_change_refuses_what_needs_it():
    base = np.random.default_rng(7).standard_normal((12, 12))
    broken = Pair(base, np.full((12, 12), np.nan))
    with pytest.raises(Refusal):
        RelativeChange().measure(broken, RNG)
    assert {value.flag for value in SubspaceOverlap(k=2).measure(broken, RNG).values()} == {Flag.non_finite}


def test_a_change_of_low_rank_refuses_its_own_overlaps_only():
    rng = np.random.default_rng(6)
    base = rng.standard_normal((20, 20))
    for change, flag in ((lora(rng, (20, 20), 4)[1], Flag.constant), (np.zeros((20, 20)), Flag.zero_matrix)):
        pair = Pair(base, change)
        reading = SubspaceOverlap().measure(pair, RNG)
        assert reading["change_left_overlap"].flag == reading["change_right_overlap"].flag == flag
        assert set(SubspaceOverlap().null(pair, reading)) == {"left_overlap", "right_overlap"}
    assert reading["left_overlap"].value == pytest.approx(1, abs=1e-12)  # nothing was added
    exactly = lora(rng, (20, 20), 8)[1]
    assert 0 < SubspaceOverlap().measure(Pair(base, exactly), RNG)["change_left_overlap"].value < 1


def test_an_undefined_leading_subspace_is_refused():
    rng = np.random.default_rng(6)
    for base, change, flag in (
        (np.eye(20), rng.standard_normal((20, 20)), Flag.constant),  # all singular values equal
        (rng.standard_normal((20, 8)), rng.standard_normal((20, 8)), Flag.too_small),
    ):
        with pytest.raises(Refusal) as refused:
            SubspaceOverlap().measure(Pair(base, change), RNG)
        assert refused.value.flag == flag
