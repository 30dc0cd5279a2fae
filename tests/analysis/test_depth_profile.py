"""Depth gradients of a profile, and the test of an inverted U: its power, and what it must not call one."""

import numpy as np
import pytest

from gedanken.analysis.depth_profile import (
    delta_range,
    delta_smooth,
    delta_thirds,
    inverted_u,
    persistence,
    profile_p,
    relative_depth,
)

PARABOLA = 0.3 + 0.8 * relative_depth(16) - relative_depth(16) ** 2


def test_a_parabola():
    assert delta_range(PARABOLA) == pytest.approx(0.32344, abs=5e-6)
    assert delta_smooth(PARABOLA) == pytest.approx(0.32344, abs=5e-6)
    assert int(np.argmax(PARABOLA)) == 6 and relative_depth(16)[6] == 0.40625
    found = inverted_u(PARABOLA + 1e-6 * np.random.default_rng(0).standard_normal(16))
    assert found.vertex.value == pytest.approx(0.4, abs=1e-5) and found.holds
    assert found.vertex.low < 0.4 < found.vertex.high and found.curvature == pytest.approx(-2, abs=1e-4)


def rates(layers, profile, noise, draws=400):
    """Shares of draws in which the plain test, the end slopes, and both tests find an inverted U."""
    rng = np.random.default_rng(layers)
    found = [inverted_u(profile + noise * rng.standard_normal(layers)) for _ in range(draws)]
    return [np.mean(list(map(ask, found))) for ask in (
        lambda f: f.plain, lambda f: f.end_slopes, lambda f: f.end_slopes and f.two_lines
    )]  # fmt: skip


@pytest.mark.parametrize(("layers", "plain", "ends"), [(8, 0.48, 0.04), (16, 0.74, 0.09), (36, 0.91, 0.22)])
def test_a_profile_that_only_flattens_fools_the_plain_test(layers, plain, ends):
    x = relative_depth(layers)
    found = rates(layers, np.log(x + 0.05) / 3, 0.05)
    # four standard errors of a share of 400 draws
    assert found[0] == pytest.approx(plain, abs=4 * np.sqrt(plain * (1 - plain) / 400))
    assert found[1] == pytest.approx(ends, abs=4 * np.sqrt(ends * (1 - ends) / 400))
    assert found[2] <= 0.004 + 4 * np.sqrt(0.004 / 400)


@pytest.mark.parametrize(("layers", "power"), [(8, 0.30), (12, 0.69), (16, 0.89), (24, 0.99)])
def test_power_for_a_centred_bump(layers, power):
    x = relative_depth(layers)
    found = rates(layers, 5 * np.exp(-((x - 0.45) ** 2) / (2 * 0.25**2)), 1.0)[2]
    assert found == pytest.approx(power, abs=4 * np.sqrt(power * (1 - power) / 400) + 0.005)


def test_noise_is_no_inverted_u():
    assert rates(16, np.zeros(16), 1.0)[2] <= 0.05


def test_the_interval_of_the_vertex_covers_it():
    rng = np.random.default_rng(3)
    x = relative_depth(16)
    found = [inverted_u(-((x - 0.4) ** 2) + 0.03 * rng.standard_normal(16)).vertex for _ in range(400)]
    # Fieller's interval is exact: 95 % ± four standard errors
    assert np.mean([v.low <= 0.4 <= v.high for v in found]) == pytest.approx(0.95, abs=0.044)


def test_persistence():
    growth = np.linspace(0, 1, 41)[:, None] * PARABOLA
    assert persistence(growth) == pytest.approx(0.9625), "the mean of the last four of 41: 0.925, 0.95, 0.975, 1"
    fades = np.sin(np.linspace(0, np.pi, 41))[:, None] * PARABOLA
    assert persistence(fades) < 0.2
    assert np.isnan(persistence(np.ones((5, 8))))


def test_thirds_and_their_null():
    assert delta_thirds(np.array([0.0, 0, 1, 1, 1, 1, 0, 0])) == 1.0
    observed, p = profile_p(PARABOLA, np.random.default_rng(0), 999)
    assert observed == pytest.approx(0.32344, abs=5e-6) and p < 0.01
    ps = [profile_p(np.random.default_rng(s).standard_normal(12), np.random.default_rng(s), 199)[1] for s in range(100)]
    assert np.mean(np.array(ps) < 0.05) <= 0.13, "5 % and four standard errors"
