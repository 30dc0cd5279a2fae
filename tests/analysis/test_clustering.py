"""Growth rates, counts, clocks and lifetimes from runs: small simulations, drawn laws with known answers, scipy."""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from gedanken.analysis import metastable, mode_selection
from gedanken.analysis.intervals import bootstrap, slope, wilson
from gedanken.theory.clustering.mode_growth import expected_linear_time, growth_rates, linear_time
from gedanken.theory.harmonic_power import fourier_modes

RNG = np.random.default_rng


def quiet_run(beta, k, n=64, states=400):
    """Unnormalised attention on the circle from equispaced angles + 1e−6 sin kθ: |μ̂_k| over time by RK4, λ dt = 0.01."""
    start = 2 * np.pi * np.arange(n) / n
    x, dt = start + 1e-6 * np.sin(k * start), 0.01 / growth_rates(beta, 2, k, softmax=False)[-1]

    def velocity(x):
        gap = x[:, None] - x[None, :]
        return -(np.exp(beta * np.cos(gap)) * np.sin(gap)).mean(axis=1)

    amplitudes = np.empty(states)
    for i in range(states):
        amplitudes[i] = abs(fourier_modes(x, k)[-1])
        a = velocity(x)
        b = velocity(x + dt / 2 * a)
        c = velocity(x + dt / 2 * b)
        x = x + dt / 6 * (a + 2 * b + 2 * c + velocity(x + dt * c))
    return dt * np.arange(states), amplitudes


@pytest.mark.parametrize("beta, k", [(1.0, 1), (5.0, 3), (5.0, 2), (7.0, 4)])
def test_measured_rate_is_the_predicted_one(beta, k):
    time, amplitude = quiet_run(beta, k)
    found = mode_selection.growth_rate(time, amplitude)
    predicted = growth_rates(beta, 2, k, softmax=False)[-1]
    assert abs(found.relative_error(predicted)) < 1e-6
    assert found.first == 0 and np.all(amplitude[: found.last + 1] <= mode_selection.QUIET)


def test_a_rate_that_drifts_has_a_wide_interval():
    time = np.linspace(0, 1, 50)
    found = mode_selection.growth_rate(time, 1e-6 * np.exp(2 * time + time**2))
    assert found.low < 2.7 and found.high > 3.3
    steady = mode_selection.growth_rate(time, 1e-6 * np.exp(2 * time))
    assert steady.high - steady.low < 1e-9


def test_window_ends_where_any_mode_is_no_longer_small():
    time = np.linspace(0, 1, 50)
    amplitude, others = 1e-6 * np.exp(2 * time), 1e-7 * np.exp(20 * time)
    found = mode_selection.growth_rate(time, amplitude, others=others)
    assert others[found.last] <= 1e-4 < others[found.last + 1]
    with pytest.raises(ValueError, match="too few"):
        mode_selection.growth_rate(time, np.ones(50))
    with pytest.raises(ValueError, match="amplitude of zero"):
        mode_selection.growth_rate(time, np.zeros(50))


def test_saturation_time_is_log_linear_between_states():
    time = np.array([0.0, 1.0, 2.0])
    amplitudes = np.array([[0.1, 0.01], [0.2, 0.01], [0.4, 0.01]])
    assert mode_selection.saturation_time(time, amplitudes) == pytest.approx(1 + math.log2(1.5))
    assert mode_selection.saturation_time(time, amplitudes / 10) is None
    assert mode_selection.saturation_time(time, amplitudes + 0.3) == 0.0


def test_logarithmic_law_of_the_linear_clock():
    """Times from random starts and linear growth alone: the slope that the theory integrates."""
    rng, rates = RNG(3), growth_rates(5, 2, 7, softmax=False)
    sizes = np.repeat([300.0, 3000.0, 30000.0], 150)
    # Rayleigh amplitudes stand for the modes of N random angles
    amplitudes = rng.rayleigh(1 / np.sqrt(2 * sizes)[:, None], (len(sizes), 7))
    times = np.array([linear_time(each, rates) for each in amplitudes])
    found = mode_selection.logarithmic_law(sizes, times, rates.max(), rng)
    ends = [expected_linear_time(n, rates) for n in (300, 30000)]
    assert found.low < 2 * rates.max() * (ends[1] - ends[0]) / math.log(100) < found.high
    assert found.low > 1 and found.n == 450
    with pytest.raises(ValueError, match="two values of N"):
        mode_selection.logarithmic_law(sizes[:10], times[:10], 1.0, rng)


def test_clock_beats_its_permutations_only_if_it_predicts():
    rng = RNG(4)
    sizes, predicted = np.repeat([300.0, 3000.0], 60), rng.uniform(1, 2, 120)
    good = mode_selection.clock(predicted, predicted + 0.05 * rng.standard_normal(120), sizes, rng, 300)
    assert good.beats_permutation and good.slope.low < 1 < good.slope.high and good.correlation > 0.95
    assert not mode_selection.clock(predicted, rng.uniform(1, 2, 120), sizes, rng, 300).beats_permutation


def test_count_probability_and_map():
    found = mode_selection.count_probability([3] * 213 + [2] * 42 + [4] * 5, 3)
    assert found.value == pytest.approx(0.82, abs=5.1e-3) and found.n == 260
    runs = pl.DataFrame(
        {
            "inverse_temperature": [5.0] * 4 + [7.0] * 2,
            "n": [2000] * 4 + [20000] * 2,
            "cluster_count": [3.0, 3.0, 2.0, None, 3.0, 4.0],
        }
    )
    table = mode_selection.count_map(runs).to_dicts()
    assert [(row["k_max"], row["runs"], row["counts"]) for row in table] == [(3, 3, "2:1 3:2"), (4, 2, "3:1 4:1")]
    assert table[0]["probability"] == pytest.approx(2 / 3)
    assert mode_selection.count_map(runs.clear()).is_empty()


def test_leading_degree_counts_components():
    power = np.array([0.0, 0.03, 0.025, 0.001])
    assert mode_selection.leading_degree(power, 3) == 3  # 7 · 0.025 against 5 · 0.03
    assert mode_selection.leading_degree(power, 3, per_component=True) == 2
    assert mode_selection.leading_degree(power, 2) == 2


def test_agreement_with_published_counts():
    rng, published = RNG(5), {2: 42, 3: 213, 4: 5}
    alike = rng.choice([2, 3, 4], 200, p=[42 / 260, 213 / 260, 5 / 260])
    assert mode_selection.agrees_with(alike, published, rng) > 0.01
    assert mode_selection.agrees_with([2] * 100 + [3] * 100, published, rng) < 0.01
    assert mode_selection.agrees_with([3] * 5, {3: 7}, rng) == 1.0
    assert mode_selection.agrees_with([3] * 5, {2: 7}, rng) == pytest.approx(1 / math.comb(12, 5))


def test_wilson_is_the_printed_formula():
    found, z = wilson(20, 24), stats.norm.ppf(0.975)
    centre, half = 20 + z**2 / 2, z * math.sqrt(20 * 4 / 24 + z**2 / 4)
    assert (found.low, found.high) == pytest.approx(((centre - half) / (24 + z**2), (centre + half) / (24 + z**2)))
    assert found.low == pytest.approx(0.64, abs=5.1e-3)
    for successes, n in ((0, 0), (3, 2)):
        with pytest.raises(ValueError, match="proportion needs"):
            wilson(successes, n)


def test_bootstrap_of_a_mean():
    rng = RNG(6)
    found = bootstrap([rng.standard_normal(200)], lambda groups: float(groups[0].mean()), rng, 2000)
    assert found.high - found.low == pytest.approx(2 * 1.96 / math.sqrt(200), rel=0.15)
    with pytest.raises(ValueError, match="one run"):
        bootstrap([np.empty(0)], lambda groups: 0.0, rng)
    with pytest.raises(ValueError, match="three points"):
        slope(np.arange(2.0), np.arange(2.0))


# Lifetimes.


def test_survival_is_that_of_scipy():
    rng = RNG(7)
    times, limits = rng.exponential(1.0, 80).round(2), rng.uniform(0, 2, 80).round(2)
    observed = times <= limits
    times = np.minimum(times, limits)
    found = metastable.survival(times, observed)
    data = stats.CensoredData(uncensored=times[observed], right=times[~observed])
    peer = stats.ecdf(data).sf
    ends = np.isin(peer.quantiles, found["time"].to_numpy())
    np.testing.assert_allclose(found["survival"], peer.probabilities[ends], atol=1e-12)
    band = peer.confidence_interval(method="log-log")
    np.testing.assert_allclose(found["low"], band.low.probabilities[ends], atol=1e-12)
    np.testing.assert_allclose(found["high"], band.high.probabilities[ends], atol=1e-12)


def test_survival_of_a_worked_example():
    # 10 at risk: ends at 1 and 3, one lost at 2
    times = np.array([1.0, 2.0, 3.0, *[5.0] * 7])
    found = metastable.survival(times, np.array([True, False, True, *[False] * 7]))
    assert found["survival"].to_list() == pytest.approx([9 / 10, 9 / 10 * 7 / 8])
    assert found["at_risk"].to_list() == [10, 8]
    assert metastable.median_lifetime(times, np.array([True, False, True, *[False] * 7])).value == math.inf
    assert metastable.survival(times, np.zeros(10, bool)).is_empty()
    whole = metastable.survival(np.array([1.0, 2.0]), np.array([True, True]))
    assert whole["survival"].to_list() == [0.5, 0.0] and whole["low"][1] == 0.0


def test_median_and_rate_of_exponential_lifetimes_with_censoring():
    rng, holds = RNG(8), np.zeros(2)
    for _ in range(200):
        times = rng.exponential(2.0, 60)
        observed = times < 3.0
        times = np.minimum(times, 3.0)
        median, rate = metastable.median_lifetime(times, observed), metastable.escape_rate(times, observed)
        holds += [median.low <= 2 * math.log(2) <= median.high, rate.low <= 0.5 <= rate.high]
    # 95 % of 200, ± four standard deviations, either interval somewhat conservative
    assert np.all(holds >= 178)
    assert metastable.escape_rate(np.array([4.0, 4.0]), np.array([False, False])).value == 0.0


def test_exponent_of_lifetimes():
    rng = RNG(9)
    every = np.ones(40, bool)
    grown = {beta: (rng.exponential(math.exp(0.46 * beta), 40), every) for beta in (5.0, 10.0, 15.0, 20.0)}
    found = metastable.lifetime_exponent(grown, rng, 300)
    assert found.low < 0.46 < found.high and found.low > 0.1
    flat = {beta: (rng.exponential(1.0, 40), every) for beta in (5.0, 10.0, 15.0, 20.0)}
    assert metastable.lifetime_exponent(flat, rng, 300).high < 0.1
    with pytest.raises(ValueError, match="three values of β"):
        metastable.lifetime_exponent({5.0: grown[5.0]}, rng)
    with pytest.raises(ValueError, match="not reached"):
        metastable.lifetime_exponent(grown | {30.0: (np.ones(40), ~every)}, rng)


def test_defects_and_plateaus():
    sizes = np.repeat([300.0, 3000.0, 30000.0], 20)
    defects = 0.9 * sizes**-0.121 * np.exp(0.1 * RNG(10).standard_normal(60))
    found = metastable.defect_slope(sizes, defects)
    assert found.low < -0.121 < found.high < 0
    energy = np.array([0.2, 0.201, 0.3, 0.6, 1.0])
    along = np.array([0.0, 2.0, 3.0, 4.0, 5.0])
    assert metastable.plateau_share(energy, along, [0.2, 1.0]) == pytest.approx(2 / 5)
    with pytest.raises(ValueError, match="finite times"):
        metastable.survival(np.array([-1.0]), np.array([True]))
