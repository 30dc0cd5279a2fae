"""The Gaussian twin as a null: noise is not rejected more often than chance, structure is, and it comes by shape alone."""

import numpy as np
import pytest
from scipy import stats

from gedanken.captures.reduce import spectrum
from gedanken.instruments import catalogue
from gedanken.instruments.nulls import ENTRY_SHUFFLE, GAUSSIAN_TWIN, Draws
from gedanken.instruments.spectrum.marchenko_pastur import MarchenkoPastur
from gedanken.instruments.spectrum.rank_exponent import RankExponent
from gedanken.instruments.spectrum.stable_rank import StableRank
from gedanken.instruments.spectrum.tracy_widom import TracyWidom
from gedanken.kinds import Factors, Kind, Spectrum
from gedanken.status import Flag, Refusal
from gedanken.theory import ensembles

DRAWS, TRIALS = 79, 120
INSTRUMENTS = tuple(
    setting
    for found in catalogue.of_kind(Kind.spectrum)
    for setting in found.standard()
    if found.null_model is GAUSSIAN_TWIN
)


def compared(instrument) -> list:
    return [variable for variable in instrument.variables if not variable.no_null]


def scale_free(instrument, array: Spectrum) -> dict[str, float]:
    """The values of an instrument, brought to unit Frobenius norm as the draws are; refused and exact ones left out."""
    try:
        reading = instrument.measure(array, np.random.default_rng(0))
    except Refusal:
        return {}
    norm = GAUSSIAN_TWIN.norm(array)
    found = {variable.name: (variable, reading[variable.name]) for variable in compared(instrument)}
    return {
        name: result.value / norm**variable.degree
        for name, (variable, result) in found.items()
        if not isinstance(result, Refusal) and Flag.null_is_exact not in result.flags
    }


def p_values(instrument, arrays: list[Spectrum], draws: list[Spectrum]) -> dict[str, list[float]]:
    null = [scale_free(instrument, draw) for draw in draws]
    seen = [scale_free(instrument, array) for array in arrays]
    return {
        name: [
            Draws.of([values[name] for values in null if name in values]).band(s[name], "x").p
            for s in seen
            if name in s
        ]
        for name in {name for values in seen for name in values}
    }


@pytest.fixture(scope="module", params=[(60, 60, None), (160, 40, None), (40, 160, None), (70, 50, 16)], ids=str)
def world(request):
    """A shape, its null draws, and matrices of the null made another way: dense, in another unit, float32."""
    rows, cols, rank = request.param
    rng = np.random.default_rng(rows * cols)

    def matrix():
        if rank is None:
            return (0.02 * rng.standard_normal((rows, cols))).astype(np.float32)
        return Factors(0.3 * rng.standard_normal((rows, rank)), 0.1 * rng.standard_normal((rank, cols)))

    arrays = [spectrum(matrix()) for _ in range(TRIALS)]
    return arrays, list(GAUSSIAN_TWIN.draws(arrays[0], DRAWS, rng))


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda i: f"{i.name()} {i.fields}")
def test_noise_is_rejected_as_often_as_chance_has_it(world, instrument):
    arrays, draws = world
    found = p_values(instrument, arrays, draws)
    for name, p in found.items():
        rejected = np.count_nonzero(np.array(p) <= 0.1)
        # Trials share one set of 79 draws, whose 10 % points scatter by √(0.1·0.9/79) = 3.4 % of probability each: given
        # them, up to 0.1 + 4 · 3.4 % · √2 may fall outside. Some 90 comparisons: the binomial tail is cut at 1e-5.
        allowed = stats.binom.isf(1e-5, len(p), 0.1 + 4 * 0.034)
        assert rejected <= allowed, f"{name}: {rejected} of {len(p)}"


def test_draws_have_the_scale_shape_and_unit_norm_of_the_twin(world):
    arrays, draws = world
    for draw in draws[:5]:
        assert (draw.rows, draw.cols, draw.rank_bound) == (arrays[0].rows, arrays[0].cols, arrays[0].rank_bound)
        assert GAUSSIAN_TWIN.norm(draw) == pytest.approx(1, abs=1e-12)
        assert len(draw.singular_values) == draw.size


def test_draws_depend_on_the_shape_alone():
    tall, wide = Spectrum(np.ones(3), 5, 3), Spectrum(7 * np.ones(3), 3, 5)
    thin = Spectrum(np.ones(2), 5, 3, rank_bound=2)
    assert GAUSSIAN_TWIN.shape_key(tall) == GAUSSIAN_TWIN.shape_key(wide) != GAUSSIAN_TWIN.shape_key(thin)
    first, second = (next(GAUSSIAN_TWIN.draws(s, 1, np.random.default_rng(1))) for s in (tall, wide))
    assert np.array_equal(first.singular_values, second.singular_values)


def structured(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "a spike": ensembles.spiked(160, 80, np.array([4.0]), rng),
        "a power law": ensembles.with_singular_values(ensembles.power_law_singular_values(80, 0.4), 160, 80, rng),
        "heavy-tailed entries": rng.standard_t(1.5, (160, 80)),
        "nearly orthogonal": ensembles.with_singular_values(np.linspace(1.1, 0.9, 80), 160, 80, rng),
    }


@pytest.mark.parametrize(
    "structure, instrument, name",
    [
        ("a spike", StableRank(), "stable_rank"),
        ("a spike", MarchenkoPastur(), "soft_rank"),
        ("a power law", RankExponent(), "rank_exponent"),
        ("a power law", StableRank(), "stable_rank_ratio"),
        ("heavy-tailed entries", StableRank(), "stable_rank"),
        ("heavy-tailed entries", RankExponent(), "rank_exponent"),
        ("nearly orthogonal", StableRank(), "stable_rank"),
        ("nearly orthogonal", RankExponent(), "rank_exponent"),
    ],
)
def test_structure_is_rejected(structure, instrument, name):
    array = spectrum(structured(np.random.default_rng(3))[structure])
    draws = list(GAUSSIAN_TWIN.draws(array, DRAWS, np.random.default_rng(4)))
    # Farther out than every draw.
    assert p_values(instrument, [array], draws)[name] == [1 / (DRAWS + 1)]


def test_the_shuffle_keeps_heavy_tails_and_breaks_spikes():
    rng = np.random.default_rng(5)
    matrices = structured(rng)
    p = {}
    for structure in ("a spike", "heavy-tailed entries"):
        draws = [spectrum(draw) for draw in ENTRY_SHUFFLE.draws(matrices[structure], 39, rng)]
        p[structure] = p_values(StableRank(), [spectrum(matrices[structure])], draws)["stable_rank"][0]
    assert p["a spike"] == 1 / 40
    # Against its own entries in another order, an independent heavy-tailed matrix is nothing special.
    assert p["heavy-tailed entries"] > 0.05


@pytest.mark.parametrize("rows, cols", [(200, 200), (400, 150)])
def test_the_edge_test_rejects_at_its_level(rows, cols):
    rng = np.random.default_rng(6)
    trials, rejected = 200, 0
    for _ in range(trials):
        array = Spectrum(ensembles.gaussian_singular_values(rows, cols, rng), rows, cols)
        rejected += TracyWidom().null(array, TracyWidom().measure(array, rng))["edge_statistic"].p <= 0.05
    # The fitted noise adds little scatter, and only at p < 0.001 a bias: binomial tails of 1e-3 about 5 %, and of 3 % below.
    assert rejected <= stats.binom.isf(1e-3, trials, 0.05)
    assert rejected >= stats.binom.ppf(1e-3, trials, 0.03)
