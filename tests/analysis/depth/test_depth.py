"""Depth profiles: planted steps, crossovers and trends; fits against plain ones; rows of a lab as series."""

import numpy as np
import pytest

from gedanken.analysis.depth import breaks, fits, locate, rule, series
from gedanken.analysis.depth.pooled import pooled
from gedanken.experiment import rows as make
from gedanken.instruments.base import Value
from gedanken.instruments.ensemble.attention_entropy import AttentionEntropy
from gedanken.instruments.stream.norm_profile import NormProfile
from gedanken.measurements.schema import LEFT_OUT
from gedanken.measurements.store import Lab
from gedanken.status import Flag, Refusal

BLOCKS, GROUPS = 32, 40
STATES = np.arange(BLOCKS + 1.0)


def planted(profile: np.ndarray, noise: float, rng: np.random.Generator, count: int = 1000) -> series.Series:
    """A profile plus noise of GROUPS prompts, whose mean has standard error `noise`."""
    each = profile + noise * np.sqrt(GROUPS) * rng.standard_normal((GROUPS, len(profile)))
    left_out = (each.sum(axis=0) - each) / (GROUPS - 1)
    return series.from_left_out("planted", each.mean(axis=0), left_out, rng, count)


def logistic(centre: float, width: float) -> np.ndarray:
    return 1 / (1 + np.exp(-(STATES - centre) * fits.TEN_TO_NINETY / width))


def test_a_planted_step_is_located_and_called_one():
    rng = np.random.default_rng(0)
    # A jump in block 13 of 32.
    found = planted((STATES > 13.5) * 1.0, 0.02, rng)
    located, judged = locate.locate(found), rule.judge(found, rng)
    assert located.agree and located.levels == (13.5,)
    for name in ("increment", "logistic", "levels", "kernel"):
        assert located.places[name].block == pytest.approx(13.5, abs=0.5)
    assert judged.shape == rule.Shape.step and judged.width[2] <= 1
    assert located.place.meets(13.5 / 32) and located.place.meets(0.42) and not located.place.meets(0.5)
    assert located.place.conventions["(l+1)/L"] == pytest.approx(14 / 32, abs=0.02)


@pytest.mark.parametrize("width", [4.0, 8.0])
def test_a_planted_width_is_recovered(width):
    rng = np.random.default_rng(int(width))
    judged = rule.judge(planted(logistic(14.2, width), 0.003, rng), rng)
    assert judged.width[0] == pytest.approx(width, rel=0.05)
    assert judged.width[1] <= width <= judged.width[2]
    assert judged.shape == rule.Shape.crossover


def test_a_step_seen_half_way_is_unresolved():
    """One state half way is an apparent width near one layer: neither step nor crossover."""
    rng = np.random.default_rng(1)
    profile = (STATES > 13.5) * 1.0
    profile[14] = 0.5
    judged = rule.judge(planted(profile, 0.02, rng), rng)
    assert judged.shape == rule.Shape.unresolved
    assert 0.5 < judged.width[0] < 1.2


def test_noise_alone_is_unresolved():
    rng = np.random.default_rng(2)
    shapes = [rule.judge(planted(np.zeros(BLOCKS + 1), 0.02, rng, 300), rng).shape for _ in range(20)]
    # One of twenty may be called anything at the 5 % level.
    assert sum(shape != rule.Shape.unresolved for shape in shapes) <= 4
    assert rule.Shape.step not in shapes


@pytest.mark.slow
def test_a_linear_trend_is_never_a_step():
    rng = np.random.default_rng(3)
    for run in range(200):
        noise = (0.001, 0.01, 0.05, 0.2)[run % 4]
        judged = rule.judge(planted(STATES / BLOCKS, noise, rng, 300), rng)
        assert judged.shape != rule.Shape.step, (run, judged)


def test_an_unbeaten_null_takes_the_step_away():
    rng = np.random.default_rng(4)
    judged = rule.judge(planted((STATES > 13.5) * 1.0, 0.02, rng), rng, nulls={"random_init": 0.4})
    assert judged.shape == rule.Shape.unresolved and "random_init" in judged.reason


def test_no_shape_is_called_a_transition():
    assert not any("transition" in shape for shape in rule.Shape)


def test_a_spread_profile_has_no_located_depth():
    rng = np.random.default_rng(5)
    profile = STATES / 32 + (STATES > 25.5) * 0.3
    located = locate.locate(planted(profile, 0.002, rng))
    assert not located.agree
    with pytest.raises(Refusal) as refused:
        _ = located.place
    assert refused.value.flag == Flag.no_agreement


def test_too_few_layers_are_refused():
    rng = np.random.default_rng(6)
    short = planted(np.arange(7.0), 0.1, rng)
    with pytest.raises(Refusal):
        locate.locate(short)


def test_ends_are_fitted_only_when_asked():
    rng = np.random.default_rng(7)
    profile = (STATES > 13.5) * 1.0
    profile[-1] = 9.0
    found = planted(profile, 0.01, rng)
    assert locate.locate(found).places["increment"].block == 13.5
    assert locate.locate(found, ends=True).places["increment"].block == 31.5


def test_ties_go_to_the_shallower_block():
    found = series.Series("two", np.r_[np.zeros(10), np.ones(10), np.full(13, 2.0)], np.zeros((0, 33)))
    place = locate.locate(found).places["increment"]
    assert place.block == 9.5 and place.tied


# Fits.


def test_logistic_against_general_least_squares():
    from scipy.optimize import curve_fit

    rng = np.random.default_rng(8)
    for centre, width in ((9.3, 3.0), (20.0, 6.0), (15.6, 1.5)):
        y = 2 - 3 * logistic(centre, width) + 0.05 * rng.standard_normal(BLOCKS + 1)

        def model(s, low, step, c, w):
            return low + step / (1 + np.exp(-(s - c) / w))

        best, _ = curve_fit(model, STATES, y, p0=(2, -3, centre, width / 4.394))
        found = fits.logistic(y[None], STATES)
        expected = np.sum((y - model(STATES, *best)) ** 2)
        # Halving from steps of 0.25 layers fourteen times leaves 2e-5 layers.
        assert found.error[0] == pytest.approx(expected, rel=1e-6)
        assert [found.low[0], found.step[0], found.centre[0], found.scale[0]] == pytest.approx(best, abs=1e-3)


def test_two_levels_and_kink_against_plain_search():
    rng = np.random.default_rng(9)
    for _ in range(20):
        y = np.cumsum(rng.standard_normal(20))
        plain = min(range(2, 19), key=lambda b: y[:b].var() * b + y[b:].var() * (20 - b))
        at, error = fits.two_levels(y[None])
        assert at[0] == plain
        assert error[0] == pytest.approx(y[:plain].var() * plain + y[plain:].var() * (20 - plain), rel=1e-9)
    states = np.arange(30.0)
    bent = 1 + 0.5 * states - 1.5 * np.maximum(states - 11.25, 0)
    knot, error = fits.kink(bent[None], states)
    assert knot[0] == pytest.approx(11.25, abs=1e-9) and error[0] == pytest.approx(0, abs=1e-9)


def test_change_points_against_another_library():
    ruptures = pytest.importorskip("ruptures")
    rng = np.random.default_rng(10)
    for _ in range(10):
        y = np.repeat(rng.standard_normal(4) * 3, [8, 5, 9, 7]) + 0.3 * rng.standard_normal(29)
        for penalty in (0.5, 3.0):
            theirs = ruptures.Pelt(model="l2", min_size=2, jump=1).fit(y).predict(pen=penalty)[:-1]
            assert breaks.levels(y, penalty=penalty) == theirs
        square = np.subtract.outer(y, y)[np.triu_indices(29, 1)] ** 2
        cost = ruptures.costs.CostRbf(gamma=1 / np.median(square))
        theirs = ruptures.Dynp(custom_cost=cost, min_size=2, jump=1).fit(y).predict(n_bkps=1)[0]
        assert breaks.kernel(y) == theirs


# Replicates.


def test_replicates_are_the_bootstrap_of_prompts():
    """For a mean, first order is everything: variance and correlation over depth of resampled prompts."""
    rng = np.random.default_rng(11)
    each = rng.standard_normal((30, 3)) @ np.array([[1, 0.9, 0], [0, 0.4, 0], [0, 0, 2.0]])
    left_out = (each.sum(axis=0) - each) / 29
    found = series.from_left_out("mean", each.mean(axis=0), left_out, rng, 20_000)
    # 20,000 draws: 1 % of a variance; a correlated pair likewise.
    assert np.cov(found.replicates.T) == pytest.approx(np.cov(each.T) / 30, abs=0.03 * np.cov(each.T).max() / 30)
    assert found.replicates.mean(axis=0) == pytest.approx(found.values, abs=0.02)


def test_replicates_of_errors_are_independent_and_say_so():
    rng = np.random.default_rng(12)
    found = series.from_errors("x", np.zeros(4), np.full(4, 0.5), rng, 20_000)
    assert not found.joint
    assert np.cov(found.replicates.T) == pytest.approx(0.25 * np.eye(4), abs=0.01)


def address(site: str) -> dict:
    return {"run": "m", "step": None, "site": site, "setting": "s", "fingerprint": "f"}


def filled(tmp_path, values: list[Value | Refusal]) -> Lab:
    """A lab with mean_norm at every state, written as a scan writes it."""
    rows = {"measurements": [], "curves": [], "sites": []}
    norm = NormProfile()
    for state, value in enumerate(values):
        part, layer = ("resid_pre", 0) if state == 0 else ("resid_post", state - 1)
        at = address(f"layers.{layer}.resid.{part}")
        reading = dict.fromkeys((v.name for v in norm.variables), Refusal(Flag.too_small)) | {"mean_norm": value}
        make.add_reading(rows, at, norm, reading)
        rows["sites"].append({"run": "m", "site": at["site"], "kind": "stream", "layer": layer, "block": "resid",
                              "part": part, "fingerprint": "f"})  # fmt: skip
    lab = Lab(tmp_path / "lab")
    lab.record("steps", [{"run": "m", "fingerprint": "f"}])
    for table in ("sites", "curves", "measurements"):
        lab.write(table, rows[table], "key")
    return lab


def test_a_series_comes_back_from_a_lab(tmp_path):
    rng = np.random.default_rng(13)
    each = np.exp(rng.standard_normal((9, 12)) / 10)
    left_out = (each.sum(axis=0) - each) / 8
    values = [Value(each[:, s].mean(), 0.1, n=9, left_out=tuple(left_out[:, s])) for s in range(12)]
    lab = filled(tmp_path, values)
    assert set(lab.curves.collect()["variable"]) == {"mean_norm" + LEFT_OUT}
    found = series.of_lab(lab, "m", "mean_norm", "s", np.random.default_rng(1), change=np.log)
    direct = series.from_left_out("mean_norm", np.log(each.mean(0)), np.log(left_out), np.random.default_rng(1))
    assert found.joint and found.blocks == 11
    assert found.replicates == pytest.approx(direct.replicates, abs=1e-12)


def test_a_lab_with_errors_alone_gives_rough_replicates(tmp_path):
    lab = filled(tmp_path, [Value(float(s + 1), 0.1) for s in range(10)])
    found = series.of_lab(lab, "m", "mean_norm", "s", np.random.default_rng(1))
    assert not found.joint and found.values.tolist() == list(range(1, 11))


def test_a_state_that_was_refused_refuses_the_series(tmp_path):
    values = [Value(float(s), 0.1) for s in range(10)]
    values[4] = Refusal(Flag.too_small)
    lab = filled(tmp_path, values)
    with pytest.raises(Refusal, match="states 4"):
        series.of_lab(lab, "m", "mean_norm", "s", np.random.default_rng(1))


def test_heads_are_averaged_by_layer(tmp_path):
    rng, entropy = np.random.default_rng(14), AttentionEntropy()
    each = 1 + rng.standard_normal((9, 5, 3)) / 10
    left_out = (each.sum(axis=0) - each) / 8
    rows = {"measurements": [], "curves": [], "sites": []}
    for layer, head in np.ndindex(5, 3):
        at = address(f"layers.{layer}.attn.attention_pattern.heads.{head}")
        value = Value(each[:, layer, head].mean(), 0.1, n=9, left_out=tuple(left_out[:, layer, head]))
        reading = dict.fromkeys((v.name for v in entropy.variables), Refusal(Flag.too_small))
        make.add_reading(rows, at, entropy, reading | {"attention_entropy": value})
        rows["sites"].append({"run": "m", "site": at["site"], "kind": "ensemble", "layer": layer, "block": "attn",
                              "part": "attention_pattern", "head": head, "fingerprint": "f"})  # fmt: skip
    lab = Lab(tmp_path / "lab")
    lab.record("steps", [{"run": "m", "fingerprint": "f"}])
    for table in ("sites", "curves", "measurements"):
        lab.write(table, rows[table], "key")
    found = series.of_heads(lab, "m", "attention_entropy", "s", np.random.default_rng(1))
    direct = series.from_left_out(
        "attention_entropy", each.mean(axis=(0, 2)), left_out.mean(axis=2), np.random.default_rng(1)
    )
    assert found.replicates == pytest.approx(direct.replicates, abs=1e-12)
    with pytest.raises(Refusal, match="0 layers"):
        series.of_heads(lab, "m", "energy", "s", np.random.default_rng(1))


# What is small.


def test_rivals_and_pooling():
    assert rule.explained_by_massive(np.zeros(5), np.ones(5)) is None
    raw = np.array([0.2, 0.2, 0.6, 0.6])
    assert rule.explained_by_massive(raw, raw - 0.1) == pytest.approx(1, abs=1e-12)
    assert rule.two_kinds(0.01, 0.6) and not rule.two_kinds(0.2, 0.6) and not rule.two_kinds(0.01, 0.5)
    agreed = pooled([0.40, 0.42, 0.44], [0.02, 0.02, 0.02])
    # Q = Σ((x − mean)/e)² = 2, two degrees: p = e^(−1).
    assert (agreed.q, agreed.p) == pytest.approx((2, np.exp(-1)), abs=1e-9)
    assert agreed.depth == pytest.approx(0.42) and agreed.high - agreed.depth == pytest.approx(
        1.96 * 0.02 / 3**0.5, rel=1e-4
    )
    assert pooled([0.2, 0.6], [0.02, 0.02]).depth is None
