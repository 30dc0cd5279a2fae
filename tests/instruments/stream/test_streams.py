"""Stream instruments: jackknives against really leaving out, biases removed, anchors, and honest errors."""

import numpy as np
import pytest

from gedanken.instruments.base import Curve, Value
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream._prompts import MOST_GROUPS, rows_of
from gedanken.instruments.stream._second_moment import differences, quadratic
from gedanken.instruments.stream.anisotropy_across_prompts import AnisotropyAcrossPrompts
from gedanken.instruments.stream.covariance_participation_ratio import CovarianceParticipationRatio
from gedanken.instruments.stream.covariance_spectrum import CovarianceSpectrum
from gedanken.instruments.stream.hoyer_sparsity import HoyerSparsity
from gedanken.instruments.stream.massive_coordinates import MassiveCoordinates
from gedanken.instruments.stream.norm_profile import NormProfile
from gedanken.instruments.stream.token_intrinsic_dimension import _distinct
from gedanken.kinds import FIRST_POSITIONS, Stream
from gedanken.status import Flag, Refusal
from gedanken.theory import hoyer

RNG = np.random.default_rng(0)


def without(stream: Stream, group: int) -> Stream:
    """The stream with a group of prompts taken out of its points."""
    rows = rows_of(stream)
    gone = np.unique(rows.prompt[rows.group == group])
    kept = ~np.isin(np.unique(stream.prompt, return_inverse=True)[1], gone)
    return Stream(stream.fit, stream.report, stream.excluded, stream.fit_absolute, stream.points[kept],
                  stream.prompt[kept], stream.position[kept])  # fmt: skip


def correlated(prompts: int, d: int, rng: np.random.Generator, share: float = 1.0) -> np.ndarray:
    """Prompts of 24 tokens that share an offset: tokens of one prompt depend on each other."""
    offset = share * np.repeat(rng.standard_normal((prompts, d)), 24, axis=0)
    return (offset + rng.standard_normal((24 * prompts, d))) * np.linspace(0.2, 2, d) + 0.3


@pytest.fixture(scope="module")
def stream() -> Stream:
    return stream_of(correlated(20, 130, np.random.default_rng(1)))


EXACT = [
    (HoyerSparsity(), ["hoyer_sparsity", "susceptibility_hoyer", "binder_cumulant_hoyer", "bimodality_hoyer"]),
    (HoyerSparsity(basis="standardised"), ["hoyer_sparsity"]),
    (CovarianceParticipationRatio(), ["covariance_participation_ratio"]),
    (CovarianceParticipationRatio(centring="uncentred"),
     ["covariance_participation_ratio", "covariance_participation_ratio_across_prompts"]),
    (NormProfile(), ["mean_norm", "norm_variation", "mean_share"]),
    (MassiveCoordinates(), ["massive_energy_share", "hoyer_massive"]),
    (AnisotropyAcrossPrompts(), ["anisotropy_across_prompts", "directional_participation_ratio_across_prompts"]),
]  # fmt: skip


@pytest.mark.parametrize("instrument, names", EXACT, ids=lambda x: type(x).__name__ if not isinstance(x, list) else "")
def test_left_out_values_are_those_without_the_group(stream, instrument, names):
    reading = instrument.measure(stream, RNG)
    for group in (0, 7, 19):
        again = instrument.measure(without(stream, group), RNG)
        for name in names:
            # What a group changes is a sum of float32 products, 6e-8 each and all positive.
            assert reading[name].left_out[group] == pytest.approx(again[name].value, rel=1e-6), name


def test_pairs_of_prompts_are_left_out_together(stream):
    """Prompt i is paired with i + 10 of 20; the other pairs stay as they are without these two."""
    name = "covariance_participation_ratio_across_prompts"
    reading = CovarianceParticipationRatio().measure(stream, RNG)[name]
    assert len(reading.left_out) == 10
    for pair in (0, 4, 9):
        again = CovarianceParticipationRatio().measure(without(without(stream, pair + 10), pair), RNG)[name]
        # As above.
        assert reading.left_out[pair] == pytest.approx(again.value, rel=1e-6)


def test_differences_of_standardised_rows():
    """What is made from the covariance's own against rows that are really standardised."""
    rng = np.random.default_rng(14)
    rows = correlated(11, 30, rng)
    rows[:, 7] = 3.0
    stream = stream_of(rows)
    found = differences(stream, "correlation")
    kept = stream.points[stream.kept].reshape(11, 20, 30)
    kept = np.delete(kept, 7, axis=2) / np.delete(stream.points[stream.kept].std(axis=0, ddof=1), 7)
    expected = ((kept[:5] - kept[6:]) / np.sqrt(2)).reshape(100, 29)
    assert Flag.constant_coordinates in found.rows.flags
    # Rounding of a hundred products of order one.
    np.testing.assert_allclose(found.rows.points, expected, atol=1e-12)
    np.testing.assert_allclose(found.matrix, expected.T @ expected, atol=1e-10)


def test_cosines_across_prompts_are_those_of_every_pair():
    """Seventy prompts in 64 groups, out of order, one row zero; against all pairs, one by one."""
    rng = np.random.default_rng(16)
    stream = stream_of(correlated(70, 9, rng))
    order = rng.permutation(len(stream.points))
    points = stream.points[order]
    points[np.flatnonzero(stream.position[order] >= FIRST_POSITIONS)[0]] = 0
    mixed = Stream(
        stream.fit, stream.report, 0, stream.fit_absolute, points, stream.prompt[order], stream.position[order]
    )
    reading = AnisotropyAcrossPrompts().measure(mixed, rng)
    rows, prompt = points[mixed.kept], mixed.prompt[mixed.kept]
    alive = rows.any(axis=1)
    rows, prompt = rows[alive], prompt[alive]
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = (rows @ rows.T)[prompt[:, None] != prompt]
    assert reading["anisotropy_across_prompts"].value == pytest.approx(cosines.mean(), abs=1e-12)
    inverse = reading["directional_participation_ratio_across_prompts"]
    assert inverse.value == pytest.approx(1 / np.mean(cosines**2), rel=1e-12)
    assert len(inverse.left_out) == MOST_GROUPS and inverse.n == 1399 and Flag.zero_rows in inverse.flags


@pytest.mark.parametrize("d", [1, 96, 250])
def test_quadratic_forms(d):
    rng = np.random.default_rng(15)
    points, factor = rng.standard_normal((40, d)), rng.standard_normal((d, d))
    matrix = factor + factor.T
    found = quadratic(points, matrix)
    # Sums of d² products of order one.
    np.testing.assert_allclose(found, np.einsum("ij,jk,ik->i", points, matrix, points), atol=1e-12 * d**2)


def test_left_out_spectra_are_right_to_first_order():
    rng = np.random.default_rng(1)
    # With one direction apart from the bulk: the largest of nearly equal eigenvalues is not smooth in the rows.
    spike = 8 * rng.standard_normal((960, 1)) * np.eye(70)[0]
    stream = stream_of(correlated(40, 70, rng, share=0.3) + spike)
    reading = CovarianceSpectrum().measure(stream, RNG)
    for name in ("covariance_energy_rank", "covariance_effective_rank", "covariance_stable_rank", "tail_share_16"):
        exact = np.array([CovarianceSpectrum().measure(without(stream, g), RNG)[name].value for g in range(40)])
        # Second order is a fortieth of the rows times the 70 directions of an entropy over 800 rows: some per cent.
        error = np.sqrt(39 / 40 * np.sum((exact - exact.mean()) ** 2))
        assert reading[name].stderr == pytest.approx(error, rel=0.15), name


def test_groups_are_the_same_at_every_place_and_bounded():
    rng = np.random.default_rng(2)
    first, second = (rows_of(stream_of(rng.standard_normal((24 * 150, d)))) for d in (5, 9))
    assert first.groups == MOST_GROUPS
    assert np.array_equal(first.group, second.group)
    assert np.ptp(np.bincount(np.unique(np.stack([first.group, first.prompt], axis=1), axis=0)[:, 0])) <= 1


def test_stderr_covers_what_other_texts_give():
    """Standard errors against the spread over 120 independent texts, tokens of a prompt depending on each other."""
    rng = np.random.default_rng(3)
    found = {"hoyer_sparsity": [], "mean_norm": [], "covariance_participation_ratio": []}
    fit = correlated(60, 24, rng)
    for _ in range(120):
        text = stream_of(correlated(30, 24, rng), fit)
        reading = {
            **HoyerSparsity().measure(text, rng),
            **NormProfile().measure(text, rng),
            **CovarianceParticipationRatio().measure(text, rng),
        }
        for name, values in found.items():
            values.append((reading[name].value, reading[name].stderr))
    for name, values in found.items():
        value, stderr = np.array(values).T
        # The spread of 120 values is known to 6.5 %, the mean error to 13 %/√120; three times that, and the curvature
        # of a ratio on 30 prompts.
        assert np.sqrt(np.mean(stderr**2)) == pytest.approx(value.std(), rel=0.25), name


# The participation ratio of few rows.

VARIANCES = np.arange(1, 401) ** -0.5
PLUG_IN = {50: 40.0, 100: 68.9, 200: 105.8, 800: 176.5}


@pytest.mark.slow
@pytest.mark.parametrize("n", [48, 96, 200])
def test_participation_ratio_of_few_rows(n):
    rng = np.random.default_rng(n)
    centred, plug_in = [], []
    for _ in range(60):
        rows = rng.standard_normal((n * 6 // 5 // 24 * 24 + 24, 400)) * np.sqrt(VARIANCES) + rng.standard_normal(400)
        stream = stream_of(rows)
        centred.append(CovarianceParticipationRatio().measure(stream, rng)["covariance_participation_ratio"].value)
        values = np.linalg.svd(stream.points[stream.kept] - stream.points[stream.kept].mean(0), compute_uv=False) ** 2
        plug_in.append(values.sum() ** 2 / np.sum(values**2))
    kept = int(stream.kept.sum())
    # 226.369; the plug-in value is off by 1/(n − 1) in 1/PR.
    assert np.mean(centred) == pytest.approx(226.369, rel=0.05)
    assert np.mean(plug_in) == pytest.approx(1 / (1 / 226.369 + 1 / (kept - 1)), rel=0.02)


def test_tokens_of_one_prompt_lower_the_plain_form_only():
    rng = np.random.default_rng(4)
    rows = np.repeat(rng.standard_normal((60, 200)), 24, axis=0) + 0.3 * rng.standard_normal((1440, 200))
    reading = CovarianceParticipationRatio().measure(stream_of(rows), rng)
    assert reading["covariance_participation_ratio"].value < 80
    across = reading["covariance_participation_ratio_across_prompts"]
    # 200 from 30 pairs of prompts: tr Σ² fluctuates by about 2/30.
    assert across.value == pytest.approx(200, rel=4 * 2 / 30)


def test_exact_ranks():
    values = np.arange(1, 401) ** -0.5
    rng = np.random.default_rng(5)
    raw = rng.standard_normal((1000, 400))
    exact = np.linalg.qr(raw - raw.mean(axis=0))[0] * np.sqrt(values)
    points = np.zeros((1200, 400))
    points[np.arange(1200) % 24 >= FIRST_POSITIONS] = exact
    reading = CovarianceSpectrum().measure(stream_of(points), rng)
    assert reading["covariance_stable_rank"].value == pytest.approx(38.565, abs=5e-4)
    assert reading["covariance_energy_rank"].value == pytest.approx(322.192, abs=5e-4)
    assert reading["covariance_effective_rank"].value == pytest.approx(384.444, abs=5e-4)
    # σ = √λ ∝ i^(−1/4).
    assert reading["covariance_rank_exponent"].value == pytest.approx(0.25, abs=1e-9)
    assert reading["tail_share_64"].value == pytest.approx(values[64:].sum() / values.sum(), abs=1e-9)


# Sparsity.


def test_variants_take_a_massive_coordinate_apart():
    """A constant outlier raises the raw value and no other; the closed form says by how much."""
    rng = np.random.default_rng(6)
    rows = rng.standard_normal((4800, 256))
    rows[:, 9] += 50.0
    stream = stream_of(rows)
    found = {i.fields: i.measure(stream, rng)["hoyer_sparsity"] for i in HoyerSparsity.standard()}
    omega = {fields: value.value * (1 - 1 / 16) for fields, value in found.items() if '"first": false' in fields}
    raw = omega[HoyerSparsity().fields]
    assert raw == pytest.approx(0.698, abs=0.01)
    # The rest are random directions of 255 coordinates at most, the mean of 4,000 tokens to 4·0.0133/√4000.
    others = [value for fields, value in omega.items() if fields != HoyerSparsity().fields]
    assert len(others) == 5
    assert others == pytest.approx([hoyer.random_mean(256)] * 5, abs=3e-3)
    explained = MassiveCoordinates().measure(stream, rng)["hoyer_massive"].value * (1 - 1 / 16)
    assert explained == pytest.approx(raw, abs=0.01)


def test_the_first_positions_count_only_when_asked():
    rng = np.random.default_rng(7)
    rows = rng.standard_normal((2400, 64))
    rows[::24, 5] = 1000.0
    stream = stream_of(rows)
    kept, every = (HoyerSparsity(first=first).measure(stream, rng) for first in (False, True))
    assert kept["hoyer_sparsity"].n == 2000 and every["hoyer_sparsity"].n == 2400
    assert every["hoyer_sparsity"].value > kept["hoyer_sparsity"].value + 0.02
    # One token of 24 displaced by ΔΩ ≈ 0.67: χ = 1 + d·p(1 − p)ΔΩ²/0.04507, and a negative Binder dip for p < 1/3.
    assert every["susceptibility_hoyer"].value == pytest.approx(
        1 + 64 * (23 / 24**2) * (1 - 1 / 8 - hoyer.random_mean(64)) ** 2 / hoyer.UNIT_VARIANCE, rel=0.05
    )
    assert every["binder_cumulant_hoyer"].value < -2
    assert kept["susceptibility_hoyer"].value == pytest.approx(1, abs=0.2)


def test_one_per_cent_of_tokens_dominates_the_susceptibility():
    """d = 4096, 1 % of tokens displaced by ΔΩ: χ = 1 + d·p(1 − p)ΔΩ²/0.04507, which is 226 for ΔΩ = 0.5."""
    rng = np.random.default_rng(13)
    rows = rng.standard_normal((960, 4096))
    rows[10::96, :1] = 96.0  # 10 of 800 kept tokens
    found = HoyerSparsity().measure(stream_of(rows, fit=rows[:10]), rng)["susceptibility_hoyer"].value
    moved = hoyer.massive(np.array([96**2 / (96**2 + 4095)]), np.array([96 / np.sqrt(96**2 + 4095)]), 4096)[0]
    share = 10 / 800
    expected = 1 + 4096 * share * (1 - share) * (moved - hoyer.random_mean(4096)) ** 2 / hoyer.UNIT_VARIANCE
    # ΔΩ of 0.33 is known to 0.003 by the closed form, twice that in its square.
    assert found == pytest.approx(expected, rel=0.03)


def test_whitening_refuses_a_short_fit():
    rng = np.random.default_rng(8)
    stream = stream_of(rng.standard_normal((240, 64)))
    with pytest.raises(Refusal) as refused:
        HoyerSparsity(basis="whitened").measure(stream, rng)
    assert refused.value.flag == Flag.too_small


def test_null_band_holds_its_level():
    rng = np.random.default_rng(9)
    low = 0
    for _ in range(200):
        stream = stream_of(rng.standard_normal((480, 32)))
        reading = HoyerSparsity().measure(stream, rng)
        band = HoyerSparsity().null(stream, reading)["hoyer_sparsity"]
        low += band.p < 0.05
    assert low / 200 == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 200))


def test_a_prompt_alone_has_no_error():
    reading = HoyerSparsity().measure(stream_of(np.random.default_rng(10).standard_normal((24, 8))), RNG)
    assert reading["hoyer_sparsity"].stderr is None and not reading["hoyer_sparsity"].left_out


def test_not_finite_is_refused():
    rows = np.random.default_rng(11).standard_normal((240, 8))
    rows[100, 3] = np.nan
    with pytest.raises(Refusal) as refused:
        HoyerSparsity().measure(stream_of(rows), RNG)
    assert refused.value.flag == Flag.non_finite


def test_zero_rows_are_left_out_and_said():
    rows = np.random.default_rng(12).standard_normal((240, 8))
    rows[24:48] = 0.0
    reading = HoyerSparsity().measure(stream_of(rows), RNG)
    assert reading["hoyer_sparsity"].n == 180 and Flag.zero_rows in reading["hoyer_sparsity"].flags
    assert isinstance(reading["hoyer_density"], Curve) and isinstance(reading["bimodality_hoyer"], Value)


def test_rows_that_repeat_count_once():
    """Against unique rows; some agree in their first entry only."""
    points = RNG.integers(0, 3, (480, 4)).astype(float)
    points[100:] += RNG.standard_normal((380, 4))
    first = np.sort(np.unique(points, axis=0, return_index=True)[1])
    assert 380 < len(first) < 480
    np.testing.assert_array_equal(_distinct(points), first)
    np.testing.assert_array_equal(_distinct(points[100:]), np.arange(380))
