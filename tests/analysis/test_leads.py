"""Which variable moves first."""

import numpy as np
import pytest

from gedanken.analysis.leads import lead


def walk(rng, series, steps):
    """Increments with memory."""
    noise = rng.standard_normal((series, steps))
    for t in range(1, steps):
        noise[:, t] += 0.5 * noise[:, t - 1]
    return np.cumsum(noise, axis=1)


def test_a_planted_lead_is_found():
    rng = np.random.default_rng(0)
    a = walk(rng, 8, 120)
    b = np.roll(a, 3, axis=1) + 0.5 * rng.standard_normal(a.shape)
    b[:, :3] = b[:, 3:4]
    found = lead(a, b, 6, rng, draws=199)
    assert found.lag.value == 3 and found.lag.low <= 3 <= found.lag.high and found.correlation > 0.5
    assert found.p == pytest.approx(1 / 200)
    assert lead(b, a, 6, rng, draws=99).lag.value == -3


def test_independent_series_with_memory_lead_nothing():
    rejected = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rejected += lead(walk(rng, 3, 80), walk(rng, 3, 80), 4, rng, draws=99).p < 0.05
    # 5 % and four standard errors
    assert rejected <= 5 + 4 * np.sqrt(100 * 0.05 * 0.95)


def test_too_few_snapshots():
    with pytest.raises(ValueError, match="fewer than four blocks"):
        lead(np.zeros((1, 10)), np.zeros((1, 10)), 4, np.random.default_rng(0))
