"""Every procedure finds a planted effect and does not find one in noise; nothing is decided on too little."""

import sys
from pathlib import Path

import numpy as np
import pytest

from gedanken.analysis.depth_profile import delta_smooth, relative_depth
from gedanken.studies.spectral_lifecycle import (
    CLAIMS,
    dissociation,
    importance,
    profile,
    pruning,
    survey,
    types,
    warmup,
    wave,
)
from gedanken.studies.spectral_lifecycle.arms import Arm
from gedanken.studies.spectral_lifecycle.watched import Watched
from gedanken.theory.two_timescales import bump

sys.path.insert(0, str(Path(__file__).parent))
from planted import RECIPE, evidence, model, unit  # noqa: E402


def words(judge, *found, **more):
    made = judge(evidence(*found, **more))
    rows = list(made) if not hasattr(made, "verdict") else [made]
    return {row.part: str(row.verdict) for row in rows}


@pytest.fixture(scope="module")
def waves():
    return [unit("wave", 12), unit("wave", 16)]


@pytest.mark.slow
def test_a_planted_wave_is_found():
    waves = [unit("wave", 8), unit("wave", 9)]
    assert set(words(wave.travels, *waves).values()) == {"supported"}
    assert set(words(wave.reverses, *waves).values()) == {"supported"}
    assert set(words(dissociation.two_timescales, *waves[:1]).values()) == {"supported", "not_testable"}
    parts = words(dissociation.dissociates, *waves)
    assert parts["time and fate"] == "supported" and parts["information"] == "not_testable"


@pytest.mark.slow
def test_what_does_not_travel_is_not_called_a_wave():
    together = words(wave.travels, unit("together", 8), unit("together", 9))
    assert set(together.values()) == {"inconclusive"}
    assert "supported" not in words(wave.travels, unit("noise", 8), unit("noise", 9)).values()


def test_noise_does_not_reverse():
    assert "supported" not in words(wave.reverses, unit("noise", 12), unit("noise", 16)).values()


def test_profiles(waves):
    assert set(words(profile.persists, *waves).values()) == {"supported"}
    assert set(words(profile.bends, *waves).values()) == {"supported"}
    noise = unit("noise", 12), unit("noise", 16)
    for judge in (profile.persists, profile.bends):
        assert "supported" not in words(judge, *noise).values()
    assert words(profile.bends, unit("wave", 8))["wave 8"] == "not_testable"


def test_asymmetry():
    units = unit("asymmetric", 12), unit("asymmetric", 16)
    assert set(words(types.carried, *units).values()) == {"supported"}
    assert set(words(types.uniform, *units).values()) == {"supported"}
    assert set(words(types.uniform, unit("uneven", 12), unit("uneven", 16)).values()) == {"not_supported"}
    assert "supported" not in words(types.carried, unit("wave", 12), unit("noise", 16)).values()


def test_ladders():
    depths = (6, 8, 12, 16, 24)
    # the range of the parabola of a bump depends on where its layers lie: heights that make Δ_smooth ∝ L^0.26
    size = {L: float(delta_smooth(bump(relative_depth(L), 0.0, 1.0, 0.45, 0.25))) for L in depths}
    ladder = [unit("wave", L, height=0.2 * (L / 12) ** 0.26 / size[L], noise=0.002) for L in depths]
    assert words(profile.scales, *ladder) == {"": "supported"}
    assert words(profile.scales, *[unit("wave", L, height=0.2 * L / 12 / size[L], noise=0.002) for L in depths]) == {
        "": "not_supported"
    }
    assert words(profile.scales, *ladder[:3]) == {"": "not_testable"}
    assert words(profile.moves_up, *ladder[:3]) == {"": "not_testable"}


def test_a_vertex_that_moves_up():
    """Four depths are the fewest whose permutations allow p < 0.05 (1/24); three give 1/6 at best."""
    depths = (12, 16, 20, 24)
    moving = [unit("wave", L, noise=0.003, centre=0.6 - 0.01 * L) for L in depths]
    assert words(profile.moves_up, *moving) == {"": "supported"}
    assert words(profile.moves_up, *moving[:3]) == {"": "inconclusive"}
    assert words(profile.moves_up, *[unit("wave", L, noise=0.003, centre=0.3 + 0.01 * L) for L in depths]) == {
        "": "not_supported"
    }


def test_importance_and_pruning():
    good, noise = [model("good", 20), model("good", 26)], [model("noise", 20), model("noise", 26)]
    for judge in (importance.predicts, pruning.beats_last, pruning.gap):
        assert set(words(judge, *good).values()) == {"supported"}, judge
        assert "supported" not in words(judge, *noise).values(), judge
    assert words(importance.predicts, model("good", 8))["good 8"] == "not_testable"


def test_pruning_that_could_not_be_found_is_not_testable():
    few = model("few", 20)
    for judge in (pruning.beats_last, pruning.gap):
        found = list(judge(evidence(few)))[1]
        assert found.verdict == "not_testable" and "2 documents" in found.sentence
    noisy = model("good", 20)
    rng = np.random.default_rng(0)
    noisy.losses.update({sets: 40 * rng.standard_normal(24) + x for sets, x in noisy.losses.items() if sets})
    found = list(pruning.beats_last(evidence(noisy)))[1]
    assert found.verdict == "not_testable" and "power" in found.sentence


def test_a_sign_that_changes_in_another_setting_decides_nothing(waves):
    flipped = [unit("wave", 12), unit("asymmetric", 12)]
    for one in flipped:
        one.profiles["leading 10 %"] = -one.profiles["leading 10 %"]
        one.parts["leading 10 %"] = one.parts["leading 10 %"][:, [2, 3, 0, 1]]
    judged = [profile.persists, profile.bends, types.carried]
    for judge, one in zip(judged, (flipped[0], flipped[0], flipped[1]), strict=True):
        found = list(judge(evidence(one)))[1]
        assert found.verdict == "inconclusive" and "The sign changes with leading 10 %" in found.sentence
    pruned = model("good", 20)
    pruned.profiles.pop("leading 10 %")
    found = list(importance.predicts(evidence(pruned)))[1]
    assert found.verdict == "inconclusive" and "not all measured" in found.sentence


def test_few_seeds_decide_nothing():
    two = unit("wave", 12, seeds=2)
    for judge in (wave.travels, wave.reverses, profile.persists, types.uniform, dissociation.two_timescales):
        found = list(judge(evidence(two)))
        assert {str(row.verdict) for row in found} == {"not_testable"}
        assert "2 of 3 seeds" in found[0].sentence


def test_an_empty_lab_says_what_is_needed():
    for claim in CLAIMS:
        made = claim.judge(evidence())
        for row in [made] if hasattr(made, "verdict") else made:
            assert row.verdict == "not_testable" and "gedanken" in row.sentence, claim.id


def arm(name, losses, rate=1e-3):
    return Arm("x", name, rate, RECIPE, dict(enumerate(losses)))


def grid(name, base):
    """Three rates, the middle one best."""
    return [
        arm(name, base + worse + np.array([0.0, 0.01, -0.01]), rate)
        for rate, worse in ((3e-4, 0.2), (1e-3, 0), (3e-3, 0.3))
    ]


def test_warm_up():
    # the reference is not shifted together with the seeds: differences vary by 0.01
    base = [arm("C0", [4.0, 4.0, 4.0 + 0.005], r) for r in (3e-4, 1e-3, 3e-3)]
    base[0] = arm("C0", [4.3, 4.3, 4.3], 3e-4)
    base[2] = arm("C0", [4.3, 4.3, 4.3], 3e-3)
    arms = (*base, *grid("C1", 5.0), *grid("C2", 4.2), *grid("C3", 3.5), *grid("C5", 4.8))
    assert words(warmup.harms, arms=arms) == {"": "supported"}
    assert words(warmup.directions, arms=arms) == {"": "supported"}
    swapped = (*base, *grid("C1", 3.5), *grid("C2", 4.2), *grid("C3", 5.0))
    assert words(warmup.harms, arms=swapped) == {"": "not_supported"}
    assert words(warmup.directions, arms=swapped) == {"": "not_supported"}
    assert words(warmup.harms, arms=(base[1], arm("C1", [5.0, 5.01, 5.02]))) == {"": "inconclusive"}


def seen(control, alarms, losses):
    return Watched(
        control or "healthy", {**RECIPE, "control": control}, tuple(alarms), np.arange(0, 1001, 250), np.array(losses)
    )


def test_monitor():
    calm = [seen("", (), [7, 5, 4.5, 4.6, 4.2])] * 3
    broken = [
        seen("rate-jump", [(750, "spike", "a")], [7, 5, 4.5, 4.6, 6.0]),
        seen("frozen-layer", [(250, "dead_layer", "b")], [7, 6, 5, 4, 4]),
    ]
    assert words(survey.monitors, watched=(*calm, *broken)) == {"": "supported"}
    false = [seen("", [(500, "spike", "a")], [7, 5, 4.5, 4.6, 4.2])]
    assert words(survey.monitors, watched=(*calm, *false, *broken)) == {"": "not_supported"}
    assert words(survey.monitors, watched=tuple(calm)) == {"": "not_testable"}


def test_survey():
    good = [model("good", 20), model("good", 26, family="gpt2")]
    assert words(survey.general, *good) == {"": "inconclusive"}
    assert words(survey.general, good[0]) == {"": "not_testable"}


def test_the_trace_of_planted_failures():
    calm = [seen("", (), [7, 5, 4.5, 4.6, 4.2])] * 3
    broken = [
        seen("rate-jump", [(250, "spike", "a"), (750, "spike", "a")], [7, 5, 4.5, 4.6, 6.0]),
        seen("rank-one", [], [7, 6, 5, 4, 4]),
    ]
    found = survey.monitors(evidence(watched=(*calm, *broken)))
    # Wilson's interval of one in two, and of none in three
    assert (found.effect, found.low, found.high) == pytest.approx((0.5, 0.0945, 0.9055), abs=1e-4)
    assert "0 of 3 healthy runs (0.00 to 0.56)" in found.sentence
    assert "rate-jump from step 500, spike at step 750, loss at 1000" in found.sentence
    assert "rank-one from step 500, no alarm, loss never" in found.sentence
