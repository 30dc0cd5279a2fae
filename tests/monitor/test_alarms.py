"""Alarms: one for each planted failure, none for a healthy run."""

import math

import numpy as np
import pytest
import torch

import gedanken as gd
from gedanken.experiment.alarms import HISTORY, RankExponent, SpectralNorm, StableRank, Watch
from gedanken.kinds import Spectrum
from gedanken.sources.base import Snapshot

SETTINGS = {
    "stable_rank": StableRank().setting, "spectral_norm": SpectralNorm().setting,
    "rank_exponent": RankExponent().setting, "rank_exponent_fit": RankExponent().setting,
}  # fmt: skip
SITE = "layers.0.attn.W_Q"
HEALTHY = {"stable_rank": 20.0, "spectral_norm": 1.0, "rank_exponent": 0.3, "rank_exponent_fit": 0.95}
BANDS = {"rank_exponent": (0.10, 0.12), "rank_exponent_fit": (0.85, 0.95)}


def rows(values, refused=()):
    address = {"site": SITE, "flags": list(refused)}
    measured = [address | {"variable": v, "setting": SETTINGS[v], "value": values.get(v)} for v in SETTINGS]
    bands = [
        {"site": SITE, "variable": v, "setting": SETTINGS[v], "low": low, "high": high}
        for v, (low, high) in BANDS.items()
    ]
    return {"sites": [{"site": SITE, "layer": 0, "stack": None}], "measurements": measured, "nulls": bands}


def heard(series, watch=None, losses=None):
    """(step, alarm) of a series of value dicts, one each 25 steps."""
    watch = watch or Watch()
    losses = losses or [None] * len(series)
    found = []
    for index, (values, loss) in enumerate(zip(series, losses, strict=True)):
        refused = values.pop("refused", ()) if isinstance(values, dict) else ()
        snapshot = Snapshot("run", None, "", 25 * index, loss=loss)
        found += [(alarm["step"], alarm["alarm"]) for alarm in watch.alarms(snapshot, rows(values, refused))]
    return found


def test_a_healthy_series_is_silent():
    rng = np.random.default_rng(0)
    series = [{**HEALTHY, "spectral_norm": math.exp(0.01 * t + 0.001 * rng.standard_normal())} for t in range(60)]
    assert heard(series, Watch(1500), [4 - 0.01 * t for t in range(60)]) == []


def test_rank_collapse_needs_three_snapshots_in_a_row():
    low = {**HEALTHY, "stable_rank": 1.5}
    assert heard([dict(HEALTHY), dict(low), dict(low), dict(HEALTHY), dict(low)]) == []
    assert heard([dict(HEALTHY), *(dict(low) for _ in range(5))]) == [(75, "rank_collapse")]


def fit_of(spectrum):
    values, high = np.linalg.svd(spectrum, compute_uv=False), max(spectrum.shape)
    measured = RankExponent().measure(Spectrum(values, min(spectrum.shape), high), np.random.default_rng(0))
    return {**HEALTHY, "rank_exponent_fit": measured["rank_exponent_fit"].value}


def test_a_fit_is_invalid_where_one_direction_stands_above_noise_or_behind_a_cliff():
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((128, 512))
    one = np.outer(rng.standard_normal(128), rng.standard_normal(512))
    outliers = noise + rng.standard_normal((128, 8)) @ rng.standard_normal((8, 512))
    left, values, right = np.linalg.svd(noise, full_matrices=False)
    law = left * np.arange(1, 129) ** -0.4 @ right
    cliff = left * np.where(np.arange(128) < 20, values, 1e-3 * values) @ right
    for healthy in (noise, law, outliers):
        assert heard([fit_of(healthy) for _ in range(5)]) == []
    for broken in (noise + one, cliff):
        assert heard([dict(HEALTHY), *(fit_of(broken) for _ in range(3))]) == [(75, "invalid_fit")]


def test_a_layer_that_stays_at_its_start_is_dead_after_a_fifth_of_training():
    still = {**HEALTHY, "rank_exponent": 0.11, "stable_rank": 20.0}
    assert heard([dict(still) for _ in range(12)], Watch(steps=1000)) == [(250, "dead_layer")]
    assert heard([dict(still) for _ in range(12)]) == []


def test_a_jump_of_the_largest_singular_value_is_a_spike():
    rng = np.random.default_rng(1)
    logs = np.cumsum(0.01 + 0.002 * rng.standard_normal(HISTORY + 5))
    logs[-1] += 0.3
    series = [{**HEALTHY, "spectral_norm": math.exp(x)} for x in logs]
    assert heard(series) == [(25 * (HISTORY + 4), "spike")]
    # after twenty snapshots (half of a run of 1,000 steps) a jump is heard, and not before
    for before, expected in ((HISTORY, [(25 * HISTORY, "spike")]), (HISTORY - 1, [])):
        early = [{**HEALTHY, "spectral_norm": math.exp(x)} for x in [*logs[:before], logs[before - 1] + 0.3]]
        assert heard(early) == expected
    rising = [{**HEALTHY, "spectral_norm": math.exp(1e-4 * t**2)} for t in range(2 * HISTORY)]
    assert heard(rising) == [], "growth that rises is no spike"
    frozen = [dict(HEALTHY) for _ in range(HISTORY + 5)]
    assert heard(frozen) == []


def test_a_matrix_that_becomes_zero_or_non_finite_is_bad_at_once():
    assert heard([dict(HEALTHY), {"refused": ["non_finite"]}]) == [(25, "bad_matrix")]
    assert heard([dict(HEALTHY), {"refused": ["zero_matrix"]}]) == [(25, "bad_matrix")]
    assert heard([{"refused": ["zero_matrix"]}, dict(HEALTHY)]) == [], "a projection may start at zero"


def test_divergence_of_the_loss():
    series = [dict(HEALTHY) for _ in range(5)]
    assert heard([dict(s) for s in series], losses=[4.0, 3.0, float("nan"), 3.0, 3.0]) == [(50, "divergence")]
    assert heard([dict(s) for s in series], losses=[4.0, 4.5, 5.0, 6.0, 7.0]) == [(75, "divergence")]
    assert heard([dict(s) for s in series], losses=[4.0, 4.5, 3.9, 4.5, 3.0]) == []


def test_alarms_are_rows_and_one_line(models, small, tmp_path, caplog):
    lab = gd.Lab(tmp_path)
    with gd.Monitor(lab, "run", every=1, gradients_every=0, updates_every=0) as monitor:
        monitor(small, 0)
        with torch.no_grad():
            small.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
        raised = monitor(small, 1)
    assert [alarm["alarm"] for alarm in raised] == ["bad_matrix"]
    row = lab.alarms.collect().row(0, named=True)
    assert (row["run"], row["step"], row["site"]) == ("run", 1, "layers.1.mlp.W_in")
    assert [record.getMessage().startswith("step 1: layers.1.mlp.W_in is zero") for record in caplog.records] == [True]


@pytest.mark.parametrize("failure", ["rank one", "frozen layer"])
def test_planted_failures_are_heard(models, small, tmp_path, failure):
    """A growing rank-one term in one matrix; a layer that is not trained."""
    with torch.no_grad():
        for parameter in small.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.02 if failure == "rank one" else 0.1)
    target = small.model.layers[1].self_attn.q_proj.weight
    if failure == "frozen layer":
        for parameter in small.model.layers[1].parameters():
            parameter.requires_grad_(False)
    heard = []
    with gd.Monitor(tmp_path, "run", every=5, gradients_every=0, updates_every=0, steps=50) as monitor:

        def watched(model, step, *rest, **named):
            if failure == "rank one":
                with torch.no_grad():
                    target.add_(0.002 * torch.ones_like(target))
            heard.extend(monitor(model, step, *rest, **named))

        models.train(small, watched, 50, rate=1e-2)
    alarms = {(alarm["alarm"], alarm["site"]) for alarm in heard}
    wanted = ("rank_collapse", "layers.1.attn.W_Q") if failure == "rank one" else ("dead_layer", "layers.1")
    assert wanted in alarms
