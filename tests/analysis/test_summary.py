"""Findings and summaries: planted effects are found and worded, pure noise is not."""

import numpy as np
import pytest

from gedanken.analysis.summary import findings, judged, ranked_findings, summarise
from gedanken.analysis.wording import cited, count, interval, listed, number


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0312, "0.0312"), (1234.5, "1,230"), (-4.5, "−4.5"), (2.13e-7, "2.13×10⁻⁷"), (1e6, "10⁶"), (0, "0"), (None, "–"),
     (9.999, "10"), (999_999.9, "10⁶"), (float("inf"), "∞"), (0.1 + 0.2, "0.3"), (144, "144")],
)  # fmt: skip
def test_number(value, text):
    assert number(value) == text


def test_words():
    assert interval(1, 2.5) == "1 to 2.5" and interval(0.33333, 0.33334) == "0.333" and interval(None, 1) == ""
    assert count(1, "layer") == "1 layer" and count(1200, "site") == "1,200 sites"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert cited("[@clauset2009power, eq. 3.1]") == "Clauset 2009, eq. 3.1"
    assert cited("edge [@a2009b, §1]; law [@c2010d].") == "edge (A 2009, §1); law (C 2010)"


def one_variable(synthetic, draw, layers=12, parts=("W_Q", "W_V")):
    """A model whose only variable is stable_rank = draw(part, layer), against a null of 100 with p by position."""
    values, nulls, sites = [], [], []
    for layer in range(layers):
        for part in parts:
            place = {"run": "m", "step": None, "site": f"layers.{layer}.attn.{part}"}
            key = {**place, "variable": "stable_rank", "setting": "s"}
            value = draw(part, layer)
            values.append({**key, "value": value, "status": "ok"})
            p = 0.01 if abs(np.log(value / 100)) > 0.05 else 0.5
            band = {"median": 100.0, "low": 95.0, "high": 105.0}
            nulls.append({**key, "null": "gaussian_twin", **band, "p": p, "draws": 200})
            sites.append({**place, "layer": layer, "block": "attn", "part": part})
    settings = [{"setting": "s", "instrument": "stable_rank", "version": 1, "fields": "{}", "default": True}]
    return synthetic.frames(measurements=values, nulls=nulls, sites=sites, settings=settings)


def test_a_planted_part_and_pair_are_found(synthetic):
    lab = one_variable(synthetic, lambda part, layer: (10.0 if part == "W_Q" else 99.0) + 0.001 * (layer * 7 % 5))
    by_kind = {f.kind: f for f in ranked_findings(lab, 5)}
    assert set(by_kind) == {"part", "pair"}
    assert by_kind["part"].size == pytest.approx(np.log(10), abs=1e-3)
    assert "stable rank of the query matrices is 10 times smaller" in by_kind["part"].claim
    for piece in ("12 layers", "middle half", "against 100", "95 to 105", "12 of 12", "false-discovery"):
        assert piece in by_kind["part"].evidence
    assert "lower in 12 of 12 layers" in by_kind["pair"].evidence


def test_activations_are_not_called_weights(synthetic):
    lab = one_variable(synthetic, lambda part, layer: 10.0 + 0.001 * (layer * 7 % 5), parts=("attn_out",))
    (part,) = ranked_findings(lab, 1)
    assert "stable rank of the attention outputs is 10 times smaller than that of independent noise" in part.claim


def test_a_planted_trend_is_found(synthetic):
    lab = one_variable(synthetic, lambda part, layer: 80.0 * 0.8**layer if part == "W_V" else 100.0)
    trend = next(f for f in ranked_findings(lab, 5) if f.kind == "trend")
    assert "value matrices falls by a factor of 6" in trend.claim  # 0.8⁸ between the thirds' medians
    assert trend.size == pytest.approx(8 * np.log(1.25), rel=1e-6)


def test_noise_makes_no_finding(synthetic):
    rng = np.random.default_rng(5)
    assert findings(one_variable(synthetic, lambda part, layer: 100 * np.exp(rng.normal(0, 0.01)))) == []


def test_refusals_fill_up(synthetic):
    row = {"run": "m", "site": "embed.W_E", "variable": "condition_number", "setting": "s", "status": "refused"}
    (only,) = findings(synthetic.frames(measurements=[{**row, "flags": ["quantised"]}]))
    assert only.startswith("m: 1 number was refused: the stored weights are quantised")


def test_findings_differ_in_kind_and_model(lab):
    found = ranked_findings(lab, 3)
    assert len({f.kind for f in found}) == 3 and len({f.run for f in found}) == 3
    assert [f.size for f in found] == sorted((f.size for f in found), reverse=True)
    assert findings(lab) == [f.sentence for f in found]


def test_every_model_gets_a_summary(lab):
    summaries = {s.run: s for s in summarise(lab, judged(lab))}
    assert set(summaries) == {"SmolLM2-135M", "all-MiniLM-L6-v2", "small-decoder"}
    assert summaries["small-decoder"].step == 20_000
    assert "210" not in str(summaries["all-MiniLM-L6-v2"].sentences[0])
    text = " ".join(map(str, summaries["SmolLM2-135M"].sentences))
    assert "quantised" in text and "false-discovery rate of 5 %" in text
    assert any("From step 1 to step 20,000" in str(s) for s in summaries["small-decoder"].sentences)
