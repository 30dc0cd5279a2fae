"""Against `powerlaw` 2.0 on synthetic samples: exponents, starts, distances, and likelihood ratios with their p.

Two of its settings differ from ours and are set: it confines exponents to [0, 3] unless told otherwise, and it admits
tails of two values. Its rivals are fitted by a numerical search that stops early, ours in closed form or to machine precision.

One difference is a fault of its own. Where the best log-normal law lies at infinity (it is then the power law, our ratio
is 0), its search walks to a truncation point ξ = (ln x_min − μ)/σ of about 38, where the normalising 1 − Φ(ξ) leaves the
range of doubles and loses its digits: its likelihood then exceeds the true one at its own parameters, by up to 0.025 nat
a value here, and it prefers the log-normal law for no reason. `test_the_lognormal_ratio` recomputes that likelihood.
"""

import contextlib
import io
import warnings

import numpy as np
import pytest
from scipy import stats

from gedanken.theory import ensembles
from gedanken.theory import power_law as ours

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    powerlaw = pytest.importorskip("powerlaw")

UNDERFLOW = 37.0
"""1 − Φ(37.5) is the smallest normal double: from there on their normalisation is wrong."""

SAMPLES = {
    "power law": lambda rng: ours.sample(2.5, 1.0, 400, rng),
    "power law above a body": lambda rng: np.concatenate([rng.uniform(0.1, 1, 300), ours.sample(3.0, 1.0, 200, rng)]),
    "exponential": lambda rng: 0.1 + rng.exponential(size=300),
    "log-normal": lambda rng: np.exp(1.2 * rng.standard_normal(400)),
    "noise matrix": lambda rng: ensembles.gaussian_singular_values(400, 300, rng) ** 2,
}


@pytest.fixture(params=[(law, seed) for law in SAMPLES for seed in range(3)], ids=lambda p: f"{p[0]}, {p[1]}")
def sample(request) -> np.ndarray:
    law, seed = request.param
    return np.sort(SAMPLES[law](np.random.default_rng(seed)))


def theirs(values: np.ndarray, start: float | None = None):
    return powerlaw.Fit(values, xmin=start, discrete=False, verbose=False, parameter_ranges={"alpha": [1.0, 1000.0]})


@contextlib.contextmanager
def quiet():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield


def test_the_fitted_tail(sample):
    found = ours.fit(sample, minimum_count=2)
    with quiet():
        expected = theirs(sample).power_law
    # Sums of at most 500 logarithms in another order.
    assert found.start == expected.xmin
    assert found.exponent == pytest.approx(expected.alpha, rel=1e-10)
    assert found.stderr == pytest.approx(expected.standard_err, rel=1e-10)
    assert found.ks_distance == pytest.approx(expected.D, abs=1e-11)


def test_the_exponential_ratio(sample):
    fit = ours.fit(sample)
    tail = sample[sample >= fit.start]
    found = ours.against_exponential(tail, fit.start, fit.exponent)
    with quiet():
        their_fit = theirs(sample, fit.start)
        total, p = their_fit.distribution_compare("power_law", "exponential")
    # Our rate is the closed maximum, theirs is searched for: never better, and short of it by 1e-5 nat a value at most.
    assert -1e-9 <= total / len(tail) - found.ratio <= 2e-5
    # Their rate may be half a per cent off, which moves p by a fifth in a tail of 17; at their rate p is the same.
    at_their_rate = stats.pareto.logpdf(tail, fit.exponent - 1, scale=fit.start) - stats.expon.logpdf(
        tail, loc=fit.start, scale=1 / their_fit.exponential.Lambda
    )
    z = abs(np.mean(at_their_rate)) / np.std(at_their_rate) * np.sqrt(len(tail))
    assert p == pytest.approx(2 * stats.norm.sf(z), rel=1e-8)
    assert found.p == pytest.approx(p, abs=0.03)


def test_the_lognormal_ratio(sample):
    fit = ours.fit(sample)
    tail = sample[sample >= fit.start]
    found = ours.against_lognormal(tail, fit.start, fit.exponent)
    with quiet():
        their_fit = theirs(sample, fit.start)
        total, p = their_fit.distribution_compare("power_law", "lognormal")
        law = stats.norm(their_fit.lognormal.mu, their_fit.lognormal.sigma)
    # Their rival at their parameters, with a normalisation that does not underflow.
    rival = law.logpdf(np.log(tail)) - np.log(tail) - law.logsf(np.log(fit.start))
    exact = float(np.mean(stats.pareto.logpdf(tail, fit.exponent - 1, scale=fit.start) - rival))
    # Our maximum is the maximum: no parameters of theirs do better; and their search ends within 1e-3 nat of it.
    assert -1e-9 <= exact - found.ratio <= 1e-3
    depth = (np.log(fit.start) - law.mean()) / law.std()
    if depth < UNDERFLOW:
        assert total / len(tail) == pytest.approx(exact, abs=1e-9)
        if exact - found.ratio < 1e-6:
            # p follows the ratio; near its maximum the likelihood is flat, its pointwise spread less so.
            assert found.p == pytest.approx(p, abs=0.002)
    else:
        assert found == ours.Comparison(0.0, 1.0)
