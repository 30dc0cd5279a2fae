"""Models and packings of a lab, classes in raw and null units, estimates with their flags, and the trend with width."""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from gedanken.analysis.capacity import beside, class_gap, elasticities, estimate, models_of, packing_cells
from gedanken.analysis.published_models import SCHEMA, published_models
from gedanken.analysis.width_trend import width_trend, width_trends
from gedanken.experiment import Plan, run
from gedanken.experiment.packing import packing_plan
from gedanken.experiment.plan import standard_instruments
from gedanken.experiment.scan import scan
from gedanken.measurements.store import Lab
from gedanken.sources.checkpoints import Checkpoint, CheckpointSource
from gedanken.sources.packing.recipe import better
from gedanken.sources.packing.source import PackingSource
from gedanken.sources.tensor_files.arrays import Arrays
from gedanken.status import Failure, Flag
from gedanken.theory.packing import FORMS


def brute_force(table, z=2.0):
    """μ + zσ over all pairs, one at a time."""
    unit = table.astype(float) / np.linalg.norm(table.astype(float), axis=1, keepdims=True)
    cosines = [math.fsum(unit[i] * unit[j]) for i in range(len(unit)) for j in range(i)]
    mean = math.fsum(cosines) / len(cosines)
    return mean + z * math.sqrt(math.fsum((c - mean) ** 2 for c in cosines) / len(cosines))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Two small models with a common direction, one of them untied; and three packings."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    rng = np.random.default_rng(0)
    for name, shape, tied in [("wide", (60, 24), True), ("narrow", (80, 12), False)]:
        tables = {"model.embed_tokens.weight": (rng.standard_normal(shape) + 0.3).astype(np.float32)}
        if not tied:
            tables["lm_head.weight"] = rng.standard_normal(shape).astype(np.float32)
        source = CheckpointSource(name, Checkpoint.of(Arrays(tables), {"model_type": "llama"}), name)
        run(source, Plan(standard_instruments(("cosine_edge",)), draws=0), lab, threads=1)
        assert models_of(lab, (name,))["epsilon"][0] == pytest.approx(
            brute_force(tables["model.embed_tokens.weight"]), abs=1e-10
        )
    for k, d in [(9, 8), (8, 8), (40, 8)]:
        run(PackingSource(k, d, better(d, evaluations=400), steps=(0, 400)), packing_plan(draws=0), lab, threads=1)
    return lab


def test_models_of_a_lab(lab):
    found = models_of(lab)
    assert found.schema == SCHEMA
    assert found.select("model", "d", "V", "tied", "family").rows() == [
        ("narrow", 12, 80, False, "llama"),
        ("wide", 24, 60, True, "llama"),
    ]
    assert (found["low"] < found["epsilon"]).all() and (found["epsilon"] < found["high"]).all()
    assert models_of(lab, ("wide",))["model"].to_list() == ["wide"]
    assert models_of(Lab(lab.path + "-none")).is_empty()


def test_the_edge_of_a_scanned_model_is_that_of_all_pairs(tmp_path):
    table = np.random.default_rng(3).standard_normal((50, 16)) @ np.diag(np.linspace(1, 3, 16)) + 0.5
    scan({"embed_tokens.weight": table}, str(tmp_path), instruments=["cosine_edge"], draws=0)
    rows = Lab(str(tmp_path)).measurements.filter(pl.col("variable") == "cosine_edge").collect()
    assert min(abs(rows["value"] - brute_force(table))) < 1e-10


def test_packings_of_a_lab_are_cells(lab):
    found = packing_cells(lab)
    assert found.columns == ["d", "k", "epsilon", "run", "loss", "p", "evaluations"]
    assert found.select("d", "k", "loss", "p", "evaluations").rows() == [
        (8, k, "scale_free", 40, 400) for k in (8, 9, 40)
    ]
    # float32, and a rate that ends at zero after 400 evaluations
    assert found["epsilon"].to_list()[:2] == pytest.approx([0.0, 1 / 8], abs=1e-3)
    told = beside(found)
    assert told["least"].to_list() == [0.0, 1 / 8, None]
    assert (told["welch"] <= told["epsilon"] + 1e-6).all() and (told["epsilon"] < told["random"]).all()
    assert told["full"][2] == pytest.approx(FORMS["full"].overlap(40, 8))


def test_published_rows_and_their_classes():
    models = published_models()
    found = class_gap(models)
    assert (len(found.near), found.gap, len(found.far)) == (8, (), 4)
    assert (found.near_end, found.far_start) == (0.08635, 0.25204)
    # the printed ratios ε/ε₀: 2.68 for Gemma 3 12B, 4.03 for Qwen 3 0.6B
    assert (found.null_near_end, found.null_far_start) == (pytest.approx(2.68, abs=5e-3), pytest.approx(4.03, abs=5e-3))
    assert found.overlap_in_null_units is False


def test_a_model_inside_the_gap_and_one_across_its_edge():
    rows = [("in", 512, 0.15, 0.14, 0.16), ("across", 512, 0.11, 0.09, 0.13), ("alone", 64, 0.3, None, None)]
    models = pl.DataFrame(rows, schema=["model", "d", "epsilon", "low", "high"], orient="row")
    found = class_gap(models)
    assert (found.inside, found.gap, found.near, found.near_end) == (("in",), ("in", "across"), (), None)
    assert found.overlap_in_null_units is None


def test_classes_that_are_apart_only_in_raw_units():
    models = pl.DataFrame({"model": ["a", "b"], "d": [8192, 64], "epsilon": [0.09, 0.25], "low": None, "high": None})
    assert class_gap(models).overlap_in_null_units is True


@pytest.mark.parametrize("row", published_models().drop_nulls("capacity").to_dicts(), ids=lambda row: row["model"])
def test_estimates_of_the_published_rows(row):
    found = estimate(row["d"], row["epsilon"], row["low"], row["high"])
    # the printed capacity has three digits, and ε five: 8e-5 of it is up to 0.12 % · 19 in k
    assert 10**found.log10_k == pytest.approx(row["capacity"], rel=0.02)
    assert found.low < found.log10_k < found.high
    assert Flag.extrapolated in found.flags  # every published capacity is


def test_flags_of_estimates():
    assert Flag.below_guarantee in estimate(8192, 0.09).flags
    assert Flag.below_guarantee not in estimate(4096, 0.0645).flags
    assert estimate(1024, -1 / 1024, form="ratio").flags == (Flag.clamped,)
    assert estimate(1024, -1 / 1024).log10_k == pytest.approx(math.log10(1024))
    assert Flag.not_near_orthogonal in estimate(2048, 0.25).flags
    assert estimate(256, 0.06, form="ratio").flags == ()


@pytest.mark.parametrize("d", [256, 1024, 4096])
def test_the_null_has_a_capacity(d):
    assert 10 ** estimate(d, 2 / math.sqrt(d), form="ratio").log10_k / d == pytest.approx(22.03, abs=5e-3)
    printed = {256: 30.4, 1024: 25.3, 4096: 21.0}[d]
    assert 10 ** estimate(d, 2 / math.sqrt(d)).log10_k / d == pytest.approx(printed, abs=0.05)


@pytest.mark.parametrize(("d", "overlap"), [(4096, 1.0), (4096, 2.3), (1, 0.5), (64, float("nan"))])
def test_what_is_no_overlap_is_a_sentence(d, overlap):
    with pytest.raises(Failure, match="no overlap"):
        estimate(d, overlap)


@pytest.mark.parametrize("form", ["full", "ratio", "jl"])
def test_elasticities_are_the_derivatives(form):
    law, d, e, h = FORMS[form], 4096, 0.0645, 1e-5
    by_overlap = (law.log_count(d, e * (1 + h)) - law.log_count(d, e * (1 - h))) / (2 * h)
    by_width = (law.log_count(d * (1 + h), e) - law.log_count(d * (1 - h), e)) / (2 * h)
    assert elasticities(d, e, form) == pytest.approx((by_overlap, by_width), rel=1e-7)


def test_the_trend_of_the_published_rows_is_inconclusive():
    found = width_trends(published_models(), np.random.default_rng(0))
    assert found["variant"].to_list()[:2] == ["all", "without the published exclusions"]
    assert found["n"].to_list()[:2] == [8, 7]
    for name in ("pearson", "spearman", "slope"):
        assert (found[f"{name}_low"] < 0).all() and (found[f"{name}_high"] > 0).all()
    assert "without Gemma" in set(found["variant"]) and "without Llama" not in set(found["variant"])  # four are left


def test_a_trend_against_scipy():
    rng = np.random.default_rng(1)
    d = np.array([256, 512, 768, 1024, 2048, 4096, 4096, 8192])
    models = pl.DataFrame({"d": d, "epsilon": 2 / np.sqrt(d) * np.exp(0.1 * rng.standard_normal(len(d)))})
    found = width_trend(models, rng)
    r = stats.pearsonr(d, models["epsilon"].to_numpy())
    assert found.pearson == pytest.approx(r.statistic) and (found.pearson_low, found.pearson_high) == pytest.approx(
        tuple(r.confidence_interval(0.95))
    )
    rho = stats.spearmanr(d, models["epsilon"].to_numpy())
    assert found.spearman == pytest.approx(rho.statistic)
    assert found.spearman_p == pytest.approx(rho.pvalue, abs=5e-3)  # ranks by t against 9999 permutations
    assert found.slope_low < -0.5 < found.slope_high and found.slope_high < 0


def test_too_few_models_have_no_trend():
    models = published_models()
    with pytest.raises(Failure, match="at least 5"):
        width_trend(models.head(4), np.random.default_rng(0))
    with pytest.raises(Failure, match="nearly orthogonal"):
        width_trends(models.head(3), np.random.default_rng(0))
