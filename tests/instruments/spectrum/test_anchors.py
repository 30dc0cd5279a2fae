"""Spectrum instruments at the numbers printed in the theory file (spectral-lifecycle, §6.1 and §6.2)."""

import math

import numpy as np
import pytest

from gedanken.captures.reduce import spectrum
from gedanken.instruments.spectrum.effective_rank import EffectiveRank
from gedanken.instruments.spectrum.participation_ratio import ParticipationRatio
from gedanken.instruments.spectrum.rank_exponent import RankExponent
from gedanken.instruments.spectrum.stable_rank import StableRank
from gedanken.instruments.spectrum.tail_exponent import TailExponent
from gedanken.kinds import Spectrum
from gedanken.status import Flag
from gedanken.theory import ensembles

RNG = np.random.default_rng(0)


def value(instrument, array: Spectrum, name: str) -> float:
    return instrument.measure(array, RNG)[name].value


def noise(rows: int, cols: int, draws: int) -> list[Spectrum]:
    rng = np.random.default_rng(rows + cols)
    return [Spectrum(ensembles.gaussian_singular_values(rows, cols, rng), rows, cols) for _ in range(draws)]


@pytest.mark.parametrize("top_fraction", [0.05, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("exponent", [0.0, 0.1, 0.45, 2.0])
def test_the_rank_exponent_of_a_power_law_is_its_own(exponent, top_fraction):
    decay = Spectrum(ensembles.power_law_singular_values(512, exponent), 512, 512)
    # A straight line, to rounding of 512 logarithms.
    assert value(RankExponent(top_fraction=top_fraction), decay, "rank_exponent") == pytest.approx(exponent, abs=1e-12)


@pytest.mark.parametrize(
    "exponent, expected", [(0.35, 18.888), (0.38, 15.019), (0.40, 12.977), (0.45, 9.232), (0.50, 6.817)]
)
def test_stable_ranks_of_power_laws(exponent, expected):
    decay = Spectrum(ensembles.power_law_singular_values(512, exponent), 512, 512)
    assert value(StableRank(), decay, "stable_rank") == pytest.approx(expected, abs=5e-4)


def test_the_two_exponents_move_in_opposite_directions():
    for exponent, tail in [(0.10, 6.04), (0.25, 3.02), (0.45, 2.12)]:
        decay = Spectrum(ensembles.power_law_singular_values(512, exponent), 512, 512)
        found = value(TailExponent(), decay, "tail_exponent")
        assert found == pytest.approx(tail, abs=0.005)
        # The relation a = 1 + 1/(2α) holds in the limit; a discrete sample of 512 is within 1 %.
        assert found == pytest.approx(1 + 1 / (2 * exponent), rel=0.01)


TABLE = [
    # rows, cols, SR and its standard deviation, rank exponent and its, R², exponent of all values
    (64, 64, 16.9, 0.7, 0.134, 0.010, 0.92, 0.83),
    (128, 128, 32.9, 1.1, 0.119, 0.005, 0.90, 0.78),
    (256, 256, 65.8, 1.1, 0.107, 0.002, 0.87, 0.75),
    (512, 512, 129.3, 1.2, 0.1003, 0.0007, 0.856, 0.727),
    (1024, 1024, 258, 2, 0.0967, 0.0004, 0.838, 0.715),
    (2048, 512, 229, 1.5, 0.0563, 0.0005, 0.870, 0.237),
    (512, 128, 58.1, 0.9, 0.066, 0.003, 0.91, 0.25),
]


@pytest.mark.parametrize("rows, cols, sr, sr_sd, alpha, alpha_sd, fit, whole", TABLE, ids=lambda v: str(v))
def test_random_matrices_have_the_tabled_values(rows, cols, sr, sr_sd, alpha, alpha_sd, fit, whole):
    draws = 12
    spectra = noise(rows, cols, draws)

    def mean(instrument, name):
        return np.mean([value(instrument, s, name) for s in spectra])

    # Four standard errors of a mean of `draws`, the table's own error of about one draw in ten, and its last digit.
    share = 4 / math.sqrt(draws) + 0.3
    assert mean(StableRank(), "stable_rank") == pytest.approx(
        sr, abs=share * sr_sd + 0.05 * (sr < 200) + 0.5 * (sr >= 200)
    )
    digit = 5e-5 if alpha_sd < 0.001 else 5e-4
    assert mean(RankExponent(), "rank_exponent") == pytest.approx(alpha, abs=share * alpha_sd + digit)
    # No scatter is printed for these. That of R² is three times the exponent's relative one at most; "all values" hangs
    # on the smallest value of a square matrix, whose logarithm scatters by one: 1/(r·sd(ln k)²) each, 5 % here.
    assert mean(RankExponent(), "rank_exponent_fit") == pytest.approx(
        fit, abs=0.005 + 3 * share * alpha_sd / alpha * 0.1
    )
    assert mean(RankExponent(top_fraction=1.0), "rank_exponent") == pytest.approx(whole, abs=0.005 + 0.05 * whole)


@pytest.mark.parametrize(
    "rows, cols, effective, energy, participation", [(512, 512, 412, 310.4, 255.8), (2048, 512, 495, 451.7, 409.4)]
)
def test_ranks_of_random_matrices(rows, cols, effective, energy, participation):
    spectra = noise(rows, cols, 8)

    def mean(instrument, name):
        return np.mean([value(instrument, s, name) for s in spectra])

    # Linear statistics fluctuate by O(1) in 512 for one draw (0.3 to 0.6 here): four errors of eight draws, and a digit.
    assert mean(EffectiveRank(), "effective_rank") == pytest.approx(effective, abs=0.9 + 0.5)
    assert mean(EffectiveRank(), "energy_effective_rank") == pytest.approx(energy, abs=0.9)
    assert mean(ParticipationRatio(), "participation_ratio") == pytest.approx(participation, abs=0.9)


def test_a_formed_matrix_gives_what_the_drawn_spectrum_gives():
    matrix = np.random.default_rng(1).standard_normal((512, 512)).astype(np.float32)
    found = spectrum(matrix)
    assert value(StableRank(), found, "stable_rank") == pytest.approx(129.3, abs=4 * 1.2)
    assert value(RankExponent(), found, "rank_exponent") == pytest.approx(0.1003, abs=4 * 0.0007)


@pytest.mark.parametrize("spike, sigma, sr", [(2.0, 2.5, 82.6), (3.0, 10 / 3, 46.9)])
def test_planted_spikes(spike, sigma, sr):
    rng = np.random.default_rng(7)
    spectra = [spectrum(ensembles.spiked(512, 512, np.array([spike]), rng)) for _ in range(6)]
    largest = np.mean([s.singular_values[0] for s in spectra])
    # σ₁ scatters by √((1 − θ⁻²)/d)·√2 ≈ 0.06, SR by twice that relative: four errors of six draws.
    assert largest == pytest.approx(sigma, abs=4 * 0.06 / math.sqrt(6))
    found = np.mean([value(StableRank(), s, "stable_rank") for s in spectra])
    assert found == pytest.approx(sr, rel=4 * 2 * 0.06 / sigma / math.sqrt(6))


@pytest.mark.parametrize("size", [512, 1024])
def test_the_tail_fit_of_noise_is_flagged(size):
    for array in noise(size, size, 10):
        reading = TailExponent().measure(array, RNG)
        flags = set(reading["tail_exponent"].flags)
        assert flags & {Flag.poor_fit, Flag.short_tail}
        assert {Flag.poor_fit, Flag.short_tail} & set(reading["ks_distance"].flags)
        # Its distance hardly scatters, though exponent and length of the tail do.
        assert 0.10 < reading["ks_distance"].value < 0.15
        assert reading["lognormal_ratio"].value < 0 and reading["exponential_ratio"].value < 0
