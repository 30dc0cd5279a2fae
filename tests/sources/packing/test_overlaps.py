"""The blocked loss and gradient against their naive twins: all pairs at once, in float64."""

import numpy as np
import pytest

from gedanken.sources.packing import overlaps as module
from gedanken.sources.packing.overlaps import Overlaps


def unit_rows(k, d, seed=0):
    rows = np.random.default_rng(seed).standard_normal((k, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def naive(unit, p):
    """ln(Σ|cos|^p)/p over ordered pairs, its gradient by rows, and the largest |cos|."""
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, 0)
    total = (np.abs(cosines) ** p).sum()
    weights = np.sign(cosines) * np.abs(cosines) ** (p - 1)
    return np.log(total) / p, 2 * weights @ unit / total, np.abs(cosines).max()


@pytest.mark.parametrize("p", [2, 3, 4, 11, 17, 40])
@pytest.mark.parametrize("k", [2, 37, 64, 130])
@pytest.mark.parametrize("device", ["cpu", "torch:cpu"])
def test_a_sweep_is_its_naive_twin(p, k, device, monkeypatch):
    if device != "cpu":
        pytest.importorskip("torch")
    monkeypatch.setattr(module, "BLOCK", 32)  # several blocks, and a ragged last one
    monkeypatch.setattr(module, "DEVICE_BLOCK", 48)
    unit = unit_rows(k, 12)
    loss, gradient, peak = naive(unit, p)
    engine = Overlaps(k, 12, p, device, threads=2)
    found = engine.sweep(engine.asarray(unit.astype(np.float32)), 1.0)
    # float32: 6e-8 a rounding, amplified p times by the power
    assert found.loss == pytest.approx(loss, abs=1e-6)
    assert found.peak == pytest.approx(peak, rel=1e-6)
    np.testing.assert_allclose(np.asarray(found.gradient), gradient, atol=p * 1e-6 * np.abs(gradient).max())


def test_the_gradient_is_that_of_the_loss():
    """Central differences of the naive loss along a random direction."""
    unit, way = unit_rows(40, 8), np.random.default_rng(1).standard_normal((40, 8))
    slope = (naive(unit + 1e-5 * way, 10)[0] - naive(unit - 1e-5 * way, 10)[0]) / 2e-5
    found = Overlaps(40, 8, 10).sweep(unit.astype(np.float32), 1.0).gradient
    assert float((found * way).sum()) == pytest.approx(slope, rel=1e-4)  # float32 and the difference's own error


@pytest.mark.parametrize("size", [1e-4, 1e-2])
def test_small_overlaps_do_not_underflow(size):
    """|cos|⁴⁰ of 10⁻⁴ is 10⁻¹⁶⁰, far outside float32."""
    unit = np.eye(6, 8) + size * unit_rows(6, 8)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    loss, gradient, peak = naive(unit.astype(np.float32).astype(float), 40)
    found = Overlaps(6, 8, 40).sweep(unit.astype(np.float32), 1.0)
    # cosines near zero carry the rounding 6e-8 of unit vectors, relative to `size`
    assert found.peak == pytest.approx(peak, rel=3e-7 / size)
    np.testing.assert_allclose(found.gradient, gradient, rtol=0, atol=40 * 3e-7 / size * np.abs(gradient).max())


def test_orthonormal_rows_have_no_gradient():
    found = Overlaps(5, 9, 40).sweep(np.eye(5, 9, dtype=np.float32), 1.0)
    assert (found.peak, found.loss) == (0.0, -np.inf)
    assert not found.gradient.any()


def test_an_exponent_below_two_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        Overlaps(3, 3, 1)
