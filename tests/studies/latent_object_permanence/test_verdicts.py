"""Planted profiles over depth: every word of the study is said where it must be, and not where it must not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from gedanken.analysis.depth import fits
from gedanken.analysis.depth.series import Series, from_left_out
from gedanken.status import Flag, Refusal
from gedanken.studies.base import Verdict
from gedanken.studies.latent_object_permanence import STUDY, depth, free_energy, principles, sizes, spectra
from gedanken.studies.latent_object_permanence.evidence import (
    ENERGY,
    ENERGY_WITHOUT,
    SERIES,
    VARIANTS,
    Evidence,
    Model,
    Profile,
    _as_deep,
)

BLOCKS, GROUPS = 32, 40
STATES = np.arange(BLOCKS + 1.0)
STEP = (STATES > 13.5) * 1.0
"""A jump in block 13 of 32, at 13.5/32 = 0.42."""


def smooth(width: float) -> np.ndarray:
    return 1 / (1 + np.exp(-(STATES - 13.5) * fits.TEN_TO_NINETY / width))


def series(name: str, profile: np.ndarray, noise: float, seed: int) -> Series:
    rng = np.random.default_rng(seed)
    each = profile + noise * np.sqrt(GROUPS) * rng.standard_normal((GROUPS, len(profile)))
    left_out = (each.sum(axis=0) - each) / (GROUPS - 1)
    return from_left_out(name, each.mean(axis=0), left_out, np.random.default_rng(0))


def profiles(noise: float = 0.002, seed: int = 0, **given: np.ndarray) -> dict:
    """Flat in everything but what is given."""
    return {
        name: Profile(series(name, given.get(name, np.zeros(BLOCKS + 1)), noise, seed + i))
        for i, name in enumerate(SERIES)
    }


def model(with_nulls: bool = True, blocks: int = BLOCKS, rows: int = 4000, nulls: dict | None = None, **given) -> Model:
    kinds = {"m~random": "N1", "m~shuffled": "N2"} if with_nulls else {}
    others = {run: profiles(seed=100 + 50 * i, **(nulls or {})) for i, run in enumerate(kinds)}
    return Model("m", blocks, 512, rows, 100, profiles(**given), others, kinds)


def all_variants(profile: np.ndarray) -> dict[str, np.ndarray]:
    return dict.fromkeys(VARIANTS, profile)


def test_a_step_in_every_variant_at_the_target_is_supported():
    found = depth.step_of_sparsity(model(**all_variants(0.2 * STEP)))
    assert found.verdict == Verdict.supported and found.reason == "step within resolution"
    assert found.low <= 0.42 <= found.high and found.effect == pytest.approx(13.5 / 32, abs=0.02)
    assert all(name in found.sentence for name in VARIANTS) and "N1 (1 runs)" in found.sentence


def test_without_null_runs_nothing_is_supported():
    found = depth.step_of_sparsity(model(with_nulls=False, **all_variants(0.2 * STEP)))
    assert found.verdict == Verdict.not_testable and "N1, N2" in found.sentence


def test_a_massive_activation_that_switches_on_is_told_for_what_it_is():
    """Raw Ω steps, and so does the closed form; what is left without the coordinate does not."""
    found = depth.step_of_sparsity(model(**{"Ω_raw": 0.3 * STEP, "Ω_MA": 0.3 * STEP}))
    assert found.verdict == Verdict.not_supported and found.reason == "explained by null N4"
    assert found.effect == pytest.approx(1.0, abs=0.02)
    # The closed form alone decides, even if other variants step as well.
    found = depth.step_of_sparsity(model(**all_variants(0.3 * STEP) | {"Ω_MA": 0.3 * STEP}))
    assert found.reason == "explained by null N4"


def test_random_weights_that_do_as_much_come_first():
    planted = all_variants(0.2 * STEP)
    found = depth.step_of_sparsity(model(nulls=planted, **planted))
    assert found.verdict == Verdict.not_supported and found.reason == "explained by null N1"
    assert "N1, N2" in found.sentence


@pytest.mark.parametrize("width", [4.0, 8.0])
def test_a_smooth_change_is_a_crossover(width):
    found = depth.step_of_sparsity(model(**all_variants(0.2 * smooth(width))))
    assert found.verdict == Verdict.not_supported and found.reason == "crossover"
    assert found.low > 0


def test_no_change_contradicts():
    found = depth.step_of_sparsity(model())
    assert found.verdict == Verdict.not_supported and found.reason == "contradicted" and "±0.02" in found.sentence


def test_a_step_elsewhere_contradicts():
    found = depth.step_of_sparsity(model(**all_variants(0.2 * (STATES > 22.5))))
    assert found.reason == "contradicted" and "excludes 0.42" in found.sentence


def test_noise_that_hides_a_planted_step_fails_the_gate_and_else_is_unresolved():
    noisy = model(**all_variants(0.2 * STEP))
    noisy.profiles = profiles(noise=0.2, **all_variants(0.1 * STEP))
    found = depth.step_of_sparsity(noisy)
    assert found.reason == "gate" and "a step of 0.1 at 0.39" in found.sentence
    noisy.failed_controls = []
    assert depth.step_of_sparsity(noisy).verdict == Verdict.inconclusive
    assert model().failed_controls == [] and "positive controls: passed" in model().footing
    assert "too few blocks" in model(blocks=6).footing


def test_the_gate():
    planted = all_variants(0.2 * STEP)
    for case in (model(blocks=12, **planted), model(rows=500, **planted)):
        assert depth.step_of_sparsity(case).reason == "gate"
    refused = model(**planted)
    refused.profiles["Ω_pc"] = Refusal(Flag.too_small, "too few rows to whiten")
    found = depth.step_of_sparsity(refused)
    assert found.reason == "gate" and "too few rows to whiten" in found.sentence


FALLS = {"ln PR": -STEP, "ln energy rank": -STEP, "ln energy rank, n/2": -STEP, "Ω_−16": 0.2 * STEP}


@pytest.mark.slow
def test_dimension_both_ways():
    assert depth.step_of_dimension(model(**FALLS)).verdict == Verdict.supported
    rising = {name: -values for name, values in FALLS.items()}
    assert depth.step_of_dimension(model(**rising)).reason == "contradicted"
    few = FALLS | {"ln energy rank, n/2": 0 * STEP}
    assert depth.step_of_dimension(model(**few)).reason == "explained by null N10"
    assert depth.step_of_dimension(model(nulls=FALLS, **FALLS)).reason == "explained by null N1"
    slow = {name: values if name == "Ω_−16" else -smooth(6.0) for name, values in FALLS.items()}
    assert depth.step_of_dimension(model(**slow)).reason == "crossover"
    # A fall elsewhere than Ω's is neither for nor against.
    apart = FALLS | {"Ω_−16": 0.2 * (STATES > 22.5)}
    assert depth.step_of_dimension(model(**apart)).verdict == Verdict.inconclusive


@pytest.mark.slow
def test_spectra_both_ways():
    liquid = {"ks distance": 0.1 + 0.2 * STEP, "ks ratio": 0.5 + 2 * STEP, "outliers": 5 * STEP}
    liquid |= {"ks distance, n/2": 0.1 + 0.1 * STEP, "outliers, n/2": 4 * STEP}
    noise_like = Evidence([model(**liquid)])
    assert next(spectra.lo3(noise_like)).verdict == Verdict.supported
    assert next(spectra.lo3(Evidence([model(**liquid | {"ks ratio": 3 + STEP})]))).reason == "contradicted"
    solid = {"ln gap": STEP, "tail share": 0.5 - 0.3 * STEP}
    assert next(spectra.lo4(Evidence([model(**solid)]))).verdict == Verdict.supported
    assert next(spectra.lo4(Evidence([model(**solid | {"ln gap": -STEP})]))).reason == "contradicted"
    assert next(spectra.lo4(Evidence([model(nulls=solid, **solid)]))).reason == "explained by null N1"
    assert next(spectra.lo3(Evidence([model(nulls=liquid, **liquid)]))).reason == "explained by null N1"
    few = next(spectra.lo3(Evidence([model(**liquid | {"outliers, n/2": -4 * STEP})])))
    assert few.reason == "explained by null N10"
    falling = {"ks distance": 0.3 - 0.2 * STEP, "ks distance, n/2": 0.3 - 0.1 * STEP}
    assert next(spectra.lo3(Evidence([model(**liquid | falling)]))).reason == "contradicted"
    undrawn = model()
    undrawn.profiles["ks ratio"] = Refusal(Flag.too_small, "none")
    assert "--nulls" in next(spectra.lo3(Evidence([undrawn]))).sentence


def layers(slope: float, noise: float = 0.05, seed: int = 0) -> Series:
    return series("F", slope * np.arange(30.0), noise, seed)


def of_attention(whole: float, without: float, random: float = 0.0, shuffled: float = 0.0) -> Model:
    found = model()
    found.heads = {ENERGY: layers(whole), ENERGY_WITHOUT: layers(without, seed=1)}
    slopes = {"m~random": random, "m~shuffled": shuffled}
    found.null_heads = {
        run: {ENERGY: layers(slope, seed=2), ENERGY_WITHOUT: layers(slope, seed=3)} for run, slope in slopes.items()
    }
    return found


def test_free_energy_both_ways():
    rising = free_energy.falls_with_depth(of_attention(0.1, -0.1))
    assert rising.reason == "contradicted" and rising.low > 0
    assert free_energy.falls_with_depth(of_attention(-0.1, 0.1)).verdict == Verdict.inconclusive
    falling = free_energy.falls_with_depth(of_attention(-0.1, -0.1))
    # What would be needed for more is not measured.
    assert falling.verdict == Verdict.not_testable and "Φ" in falling.sentence and falling.high < 0
    as_much = free_energy.falls_with_depth(of_attention(-0.1, -0.1, random=-0.1))
    assert as_much.reason == "explained by null N1"
    shallow = of_attention(-0.1, -0.1)
    shallow.blocks = 4
    assert free_energy.falls_with_depth(shallow).reason == "gate"
    assert free_energy.falls_with_depth(model()).reason == "gate"


def test_correlations_are_scipys():
    rng = np.random.default_rng(7)
    profiles = np.round(rng.standard_normal((20, 12)), 1)
    expected = [stats.spearmanr(np.arange(12), profile).statistic for profile in profiles]
    np.testing.assert_allclose(free_energy.correlations(profiles), expected, atol=1e-12)


def test_no_transition_without_sizes_and_no_identity_as_evidence():
    evidence = Evidence([model(**all_variants(0.2 * STEP))])
    for found in (sizes.lo5(evidence), sizes.lo6(evidence)):
        assert found.verdict == Verdict.not_testable
        assert "m (32 blocks, d = 512)" in found.sentence and "1 of 4 sizes with 1 of 3 seeds" in found.sentence
    assert "12 models of 24 blocks" in sizes.lo5(evidence).sentence
    assert "there is none" in sizes.lo6(Evidence([model(blocks=6)])).sentence
    assert all(found.verdict == Verdict.not_testable for found in sizes.lo13(evidence))
    identity = principles.lo10(evidence)
    assert identity.reason == "true by definition" and float(identity.sentence.split("here ")[1].split(")")[0]) <= 1e-10
    bounds, probes = principles.lo12(evidence)
    assert bounds.reason == "true by definition" and float(bounds.sentence.split("ones ")[1].split(")")[0]) <= 1e-9
    assert probes.verdict == Verdict.not_testable


def test_three_families_agree_or_not():
    def family(at: float) -> Model:
        return model(**all_variants(0.2 * (at < STATES)))

    common = next(sizes.lo13(Evidence([family(13.5)] * 3)))
    assert common.verdict == Verdict.supported and common.n == 3
    apart = next(sizes.lo13(Evidence([family(6.5), family(13.5), family(24.5)])))
    assert apart.verdict == Verdict.not_supported and apart.reason == "contradicted"


def test_the_study_has_all_claims_in_order():
    assert [claim.id for claim in STUDY.claims] == [f"LO{i}" for i in range(1, 14)]


def test_a_null_run_that_is_not_finished_is_no_null():
    """A killed scan leaves a null run with its first depths only, which cannot be compared."""
    whole = model().nulls["m~random"]
    short = {name: replace(p, series=replace(p.series, values=p.series.values[:-1])) for name, p in whole.items()}
    found = _as_deep(short | {"refused": Refusal(Flag.too_small)}, BLOCKS)
    assert all(isinstance(refusal, Refusal) for refusal in found.values())
    assert _as_deep(whole, BLOCKS) == whole
