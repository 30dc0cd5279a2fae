"""The two-timescale model: recovered where planted, not preferred where a rival made the data."""

import numpy as np
import pytest

from gedanken.analysis.depth_profile import relative_depth
from gedanken.analysis.timescales import MODELS, fit_models, parameter_intervals

T = np.arange(0, 1001, 25.0)
X = relative_depth(8)
TRUE = {
    "a0": 0.8, "a1": 0.6, "t0": 50, "delay": 30, "tau_fast": 100, "tau_slow": 400, "alpha_start": 0.1,
    "alpha_base": 0.2, "height": 0.15, "centre": 0.45, "width": 0.25, "slowing": 2.0,
}  # fmt: skip
NOISE = 0.02, 0.005


def planted(name, rng, replicates=1):
    model = next(model for model in MODELS if model.name == name)
    u, alpha = model.predict(TRUE, T[:, None], np.arange(8.0), X)
    shape = replicates, *u.shape
    return u + NOISE[0] * rng.standard_normal(shape), alpha + NOISE[1] * rng.standard_normal(shape)


@pytest.mark.parametrize("name", ["M3", *(pytest.param(name, marks=pytest.mark.slow) for name in ("M1", "M2", "M4"))])
def test_the_model_that_made_the_data_is_found(name):
    rng = np.random.default_rng(0)
    u, alpha = planted(name, rng)
    fits = fit_models(T, u[0], alpha[0], NOISE, rng, starts=6, left_out=False)
    by_name = {fit.model: fit for fit in fits}
    own = by_name[name]
    # A richer model that contains the true one may win by chance, by at most a few units for its extra parameters.
    assert own.aic - fits[0].aic < 4
    assert own.r_squared["u"] > 0.99 and own.r_squared["alpha"] > 0.95
    if name in ("M3", "M4"):
        rival = by_name["M4" if name == "M3" else "M3"]
        assert rival.aic - own.aic > 10
        assert own.parameters["tau_fast"] == pytest.approx(100, rel=0.05)
        assert own.parameters["tau_slow"] == pytest.approx(400, rel=0.1)
    if name == "M3":
        assert own.parameters["delay"] == pytest.approx(30, rel=0.05) and own.at_bound == ()


@pytest.mark.slow
def test_layers_left_out_are_predicted_by_the_true_model():
    rng = np.random.default_rng(1)
    u, alpha = planted("M3", rng)
    chosen = [model for model in MODELS if model.name in ("M0", "M2", "M3", "M4")]
    fits = fit_models(T, u[0], alpha[0], NOISE, rng, models=chosen, starts=6)
    errors = {fit.model: fit.left_out for fit in fits}
    assert min(errors, key=errors.get) == "M3"
    # pure noise has mean square 1; 656 values give it to 0.06
    assert errors["M3"] == pytest.approx(1.0, abs=0.25)


def test_intervals_over_seeds():
    rng = np.random.default_rng(2)
    u, alpha = planted("M3", rng, 5)
    found = parameter_intervals(T, u, alpha, NOISE, rng, draws=60, starts=6)
    assert found["ratio"].low > 2 and found["ratio"].value == pytest.approx(4, rel=0.1)
    for name in ("tau_fast", "delay", "tau_slow"):
        # percentile intervals of five seeds are narrow: twice as wide, they must hold the truth
        estimate = found[name]
        half = max(estimate.high - estimate.value, estimate.value - estimate.low)
        assert abs(estimate.value - TRUE[name]) <= 2 * half, name


def test_no_noise_is_refused():
    with pytest.raises(ValueError, match="must be positive"):
        fit_models(T, np.zeros((41, 8)), np.zeros((41, 8)), (0.0, 1.0), np.random.default_rng(0))
