"""Edge cases of spectra (spectral-lifecycle, §2.8), products of thin factors, and quantised weights."""

import numpy as np
import pytest

from gedanken.captures.reduce import spectrum
from gedanken.instruments import catalogue
from gedanken.instruments.spectrum.effective_rank import EffectiveRank
from gedanken.instruments.spectrum.marchenko_pastur import MarchenkoPastur
from gedanken.instruments.spectrum.numerical_rank import NumericalRank
from gedanken.instruments.spectrum.participation_ratio import ParticipationRatio
from gedanken.instruments.spectrum.rank_exponent import RankExponent
from gedanken.instruments.spectrum.singular_value_density import SingularValueDensity
from gedanken.instruments.spectrum.singular_values import SingularValues
from gedanken.instruments.spectrum.spectral_norm import SpectralNorm
from gedanken.instruments.spectrum.stable_rank import StableRank
from gedanken.instruments.spectrum.tail_exponent import TailExponent
from gedanken.instruments.spectrum.tail_exponent_hill import TailExponentHill
from gedanken.instruments.spectrum.tracy_widom import TracyWidom
from gedanken.kinds import Factors, Kind, Spectrum
from gedanken.status import Flag, Refusal
from gedanken.theory import ensembles

ALL = tuple(setting for found in catalogue.of_kind(Kind.spectrum) for setting in found.standard())
OF_FITS = (RankExponent(), TailExponent(), TailExponentHill(), MarchenkoPastur(), TracyWidom(), SingularValueDensity())


def read(instrument, array: Spectrum):
    return instrument.measure(array, np.random.default_rng(0))


def refusal(instrument, array: Spectrum) -> Flag:
    with pytest.raises(Refusal) as caught:
        read(instrument, array)
    return caught.value.flag


def named(instruments):
    return pytest.mark.parametrize("instrument", instruments, ids=lambda i: f"{i.name()} {i.fields}")


@named([i for i in ALL if i not in (SpectralNorm(), SingularValues())])  # zeros are what these two say
def test_a_zero_matrix_is_refused(instrument):
    assert refusal(instrument, spectrum(np.zeros((20, 15)))) == Flag.zero_matrix


def test_a_zero_matrix_has_norm_zero():
    reading = read(SpectralNorm(), spectrum(np.zeros((20, 15))))
    assert [value.value for value in reading.values()] == [0.0, 0.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_non_finite_entries_are_refused(bad, dtype):
    matrix = np.ones((12, 9), dtype)
    matrix[3, 4] = bad
    with pytest.raises(Refusal) as caught:
        spectrum(matrix)
    assert caught.value.flag == Flag.non_finite


@named(OF_FITS)
def test_nine_values_are_too_few_for_a_fit(instrument):
    assert refusal(instrument, spectrum(np.random.default_rng(0).standard_normal((40, 9)))) == Flag.too_small


@named([StableRank(), EffectiveRank(), ParticipationRatio(), SpectralNorm(), NumericalRank()])
def test_nine_values_are_enough_for_the_rest(instrument):
    reading = read(instrument, spectrum(np.random.default_rng(0).standard_normal((40, 9))))
    assert not [name for name, value in reading.items() if isinstance(value, Refusal)]


def test_rank_one():
    array = spectrum(np.outer(np.arange(1.0, 31.0), np.arange(1.0, 21.0)))
    assert read(StableRank(), array)["stable_rank"].value == pytest.approx(1, abs=1e-12)
    assert refusal(RankExponent(), array) == Flag.too_small
    assert refusal(TailExponent(), array) == Flag.too_small
    reading = read(NumericalRank(), array)
    assert reading["numerical_rank"].value == 1
    assert Flag.rank_deficient in reading["numerical_rank"].flags
    assert Flag.below_resolution in reading["condition_number"].flags


def test_a_rank_below_k_shortens_the_fit_and_says_so():
    # r = 200, so K = 40; only 25 values lie above rounding.
    values = np.concatenate([ensembles.power_law_singular_values(25, 0.3), np.full(175, 1e-14)])
    found = read(RankExponent(), Spectrum(values, 200, 200, resolution=1e-7))["rank_exponent"]
    assert found.n == 25
    assert found.value == pytest.approx(0.3, abs=1e-12)
    assert Flag.rank_deficient in found.flags


def test_a_rank_above_k_leaves_the_fit_alone():
    values = np.concatenate([ensembles.power_law_singular_values(60, 0.3), np.full(140, 1e-14)])
    found = read(RankExponent(), Spectrum(values, 200, 200, resolution=1e-7))["rank_exponent"]
    assert (found.n, found.flags) == (40, ())


@named([TailExponent(), MarchenkoPastur()])
def test_a_deficient_rank_is_said_beside_the_value(instrument):
    rng = np.random.default_rng(1)
    thin = rng.standard_normal((120, 40)) @ rng.standard_normal((40, 100))
    try:
        reading = read(instrument, spectrum(thin))
    except Refusal as refused:
        assert refused.flag == Flag.poor_fit
    else:
        assert all(Flag.rank_deficient in reading[name].flags for name in (instrument.variables[0].name,))


def test_an_orthogonal_matrix():
    array = spectrum(ensembles.haar_orthogonal(64, np.random.default_rng(2)))
    assert read(StableRank(), array)["stable_rank"].value == pytest.approx(64, rel=1e-10)
    reading = read(RankExponent(), array)
    assert reading["rank_exponent"].value == pytest.approx(0, abs=1e-12)
    assert reading["rank_exponent_fit"].flag == Flag.constant
    assert refusal(TailExponent(), array) == Flag.constant
    assert refusal(TailExponentHill(), array) == Flag.constant


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e150])
def test_the_zero_floor_is_relative(scale):
    matrix = np.random.default_rng(3).standard_normal((60, 40))
    for instrument in ALL:
        for (name, before), after in zip(
            read(instrument, spectrum(matrix)).items(), read(instrument, spectrum(scale * matrix)).values(), strict=True
        ):
            assert type(before) is type(after), name
            variable = next(v for v in instrument.variables if v.name == name)
            if variable.degree == 0 and not variable.curve and not isinstance(before, Refusal):
                assert after.value == pytest.approx(before.value, rel=1e-8), name


# Products of thin factors.


@pytest.fixture(scope="module")
def product():
    rng = np.random.default_rng(4)
    return Factors(rng.standard_normal((90, 16)), rng.standard_normal((16, 70)))


def test_a_product_has_the_values_of_its_dense_form(product):
    array = spectrum(product)
    dense = np.linalg.svd(product.left @ product.right, compute_uv=False)
    assert array.size == 16
    assert np.allclose(array.singular_values, dense[:16], rtol=1e-12)


@named([MarchenkoPastur(), MarchenkoPastur(noise="entries"), TracyWidom()])
def test_laws_of_independent_entries_refuse_products(instrument, product):
    assert refusal(instrument, spectrum(product)) == Flag.product


def test_what_a_product_still_has(product):
    array = spectrum(product)
    reading = read(StableRank(), array)
    assert reading["stable_rank_ratio"].flag == Flag.product
    dense = spectrum(product.left @ product.right)
    assert reading["stable_rank"].value == pytest.approx(read(StableRank(), dense)["stable_rank"].value, rel=1e-10)
    # r is the inner width: a product of full inner rank lacks nothing.
    assert read(NumericalRank(), array)["numerical_rank"].flags == ()
    assert read(RankExponent(), array)["rank_exponent"].n == 10
    curve = read(SingularValueDensity(), array)["singular_value_density"]
    assert curve.null_low is None and Flag.no_null in curve.flags


def test_a_density_integrates_to_one_and_so_does_its_law():
    array = spectrum(np.random.default_rng(5).standard_normal((150, 100)))
    curve = read(SingularValueDensity(), array)["singular_value_density"]
    width = curve.x[1] - curve.x[0]
    assert np.sum(curve.y) * width == pytest.approx(1, abs=1e-9)
    # The bins end at the largest value, which may lie inside the law's edge: the share beyond is of order 1/r.
    assert 1 - 2 / 100 < np.sum(curve.null_low) * width <= 1 + 1e-9


# Quantised weights.


def test_smallest_values_of_quantised_weights_are_refused():
    values = ensembles.gaussian_singular_values(50, 50, np.random.default_rng(6))
    assert refusal(NumericalRank(), Spectrum(values, 50, 50, quantised=True)) == Flag.quantised


@named([i for i in ALL if i != NumericalRank()])
def test_the_rest_of_a_quantised_spectrum_is_read_as_ever(instrument):
    values = ensembles.gaussian_singular_values(80, 50, np.random.default_rng(7))
    plain, coded = (read(instrument, Spectrum(values, 80, 50, quantised=q)) for q in (False, True))
    for name, value in plain.items():
        assert np.array_equal(getattr(value, "y", None) if hasattr(value, "y") else value.value,
                              coded[name].y if hasattr(value, "y") else coded[name].value)  # fmt: skip


def test_a_noise_that_is_neither_is_an_error():
    with pytest.raises(ValueError, match='noise is "bulk" or "entries"'):
        MarchenkoPastur(noise="edge")
