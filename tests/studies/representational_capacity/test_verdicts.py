"""The study's verdicts: planted evidence both ways for every claim, and the published cells and rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gedanken.analysis.intervals import Estimate
from gedanken.analysis.packing_intervals import random_cells, simulated_cells
from gedanken.analysis.published_models import SCHEMA, published_models
from gedanken.measurements.store import Lab
from gedanken.status import Failure
from gedanken.studies import catalogue
from gedanken.studies.representational_capacity.evidence import (
    EMBEDDING_COLUMNS,
    LAB,
    PUBLISHED,
    RESIDUAL_COLUMNS,
    Cells,
    Evidence,
)
from gedanken.studies.representational_capacity.tables import PairCosine, Relations
from gedanken.theory.packing import FORMS

DATA = Path(__file__).parents[3].parent / "shared" / "data"
published = pytest.mark.skipif(not DATA.is_dir(), reason="the published cells are not beside the repository")
STUDY = catalogue.get("representational_capacity")
EMPTY = pl.DataFrame(schema=SCHEMA)


def judged(claim, evidence):
    """Part → judgement."""
    (chosen,) = [each for each in STUDY.claims if each.id == claim]
    found = chosen.judge(evidence)
    return {j.part: j for j in (found if not hasattr(found, "verdict") else [found])}


def words(claim, evidence):
    return {part: str(j.verdict) for part, j in judged(claim, evidence).items()}


def models(*rows):
    """Of (ε, d, tied), one family each."""
    made = [
        {"model": f"m{i}", "family": f"f{i % 3}", "d": d, "V": 32_000, "tied": tied, "epsilon": e, "low": e - 1e-3,
         "high": e + 1e-3, "excluded": i % 5 == 0}
        for i, (e, d, tied) in enumerate(rows)
    ]  # fmt: skip
    return pl.DataFrame(made, schema=SCHEMA)


def of_lab(frame=EMPTY, **fields):
    return Evidence({LAB: frame}, draws=40, **fields)


def embeddings(*rows):
    """Of (variable, value, stderr) with a site and run of its own where given."""
    made = []
    for variable, value, stderr, *where in rows:
        run, site = where or ("m0", "embed.W_E")
        made.append({"run": run, "site": site, "variable": variable, "centred": False, "z": 2.0, "value": value,
                     "low": value - 1.96 * stderr, "high": value + 1.96 * stderr, "stderr": stderr, "null": 0.0})  # fmt: skip
    return pl.DataFrame(made, schema=EMBEDDING_COLUMNS)


def grid(form, dims=(32, 64, 256, 1024), counts=(2000, 4000, 8000, 16_000, 32_000), wobble=0.0):
    rng = np.random.default_rng(5)
    rows = [
        (d, k, FORMS[form].overlap(k, d) * (1 + wobble * rng.standard_normal())) for d in dims for k in counts if k > d
    ]
    return pl.DataFrame(rows, schema=["d", "k", "epsilon"], orient="row")


def cells(form, **options):
    return Cells("planted", grid(form, **options), None, 100)


# near-orthogonality, classes, tying, width


@pytest.mark.parametrize(("edge", "said"), [(0.05, "supported"), (0.15, "not_supported"), (0.1, "inconclusive")])
def test_near_orthogonal(edge, said):
    evidence = of_lab(models((0.04, 512, True), (edge, 1024, True)))
    assert words("RC1", evidence)["near-orthogonal"] == said


@pytest.mark.parametrize(("mean", "said"), [(0.01, "supported"), (-0.01, "not_supported"), (0.003, "inconclusive")])
def test_right_shift(mean, said):
    assert words("RC1", of_lab(embeddings=embeddings(("cosine_mean", mean, 0.001))))["right shift"] == said


@pytest.mark.parametrize(
    ("raw", "masked", "said"),
    [(0.2, 0.1, "supported"), (0.2, -0.2, "not_supported"), (-0.2, 0.1, "not_supported"), (0.2, 0.0, "inconclusive"),
     (0.2, None, "inconclusive")],
)  # fmt: skip
def test_right_tail(raw, masked, said):
    found = None if masked is None else Estimate(masked, masked - 0.05, masked + 0.05, 2000)
    evidence = of_lab(
        embeddings=embeddings(("cosine_asymmetry", raw, 0.02)), relations=(Relations("m0", 512, found, None, None),)
    )
    assert words("RC1", evidence)["longer right tail"] == said


def test_two_classes_need_ten_models_on_each_side():
    near, far = [(0.05, 4096, False)] * 10, [(0.4, 4096, True)] * 10
    assert words("RC2", of_lab(models(*near, *far))) == {LAB: "supported", f"{LAB}, in null units": "supported"}
    assert set(words("RC2", of_lab(models(*near[:9], *far))).values()) == {"inconclusive"}
    found = judged("RC2", of_lab(models(*near, *far, (0.15, 512, True))))[LAB]
    assert found.verdict == "not_supported" and "m20" in found.sentence and "raw ε" in found.sentence
    on_the_edge = judged("RC2", of_lab(models(*near, *far, (0.1002, 512, True))))[LAB]
    assert on_the_edge.verdict == "inconclusive"


def test_two_classes_that_mix_in_null_units():
    mixed = models(*[(0.09, 8192, False)] * 10, *[(0.21, 256, True)] * 10)  # 4.1 ε₀ against 1.7 ε₀
    assert words("RC2", of_lab(mixed)) == {LAB: "supported", f"{LAB}, in null units": "not_supported"}


def test_tying():
    def table(tied_far, untied_far, n=20):
        rows = [(0.3 if i < tied_far else 0.05, d, True) for d in (512, 4096) for i in range(n)]
        return models(*rows, *[(0.3 if i < untied_far else 0.05, d, False) for d in (512, 4096) for i in range(n)])

    assert words("RC3", of_lab(table(18, 2)))[LAB] == "supported"
    assert words("RC3", of_lab(table(2, 18)))[LAB] == "not_supported"
    assert words("RC3", of_lab(table(10, 10)))[LAB] == "inconclusive"
    confounded = models(*[(0.3, 512, True)] * 20, *[(0.05, 4096, False)] * 20)
    assert words("RC3", of_lab(confounded))[LAB] == "inconclusive"  # width explains it as well


@pytest.mark.parametrize(("sign", "said"), [(-1, "supported"), (1, "not_supported"), (0, "inconclusive")])
def test_width(sign, said):
    rng = np.random.default_rng(1)
    widths = 2 ** rng.uniform(9, 13, 30)
    edges = 0.06 * (widths / 2000) ** (0.3 * sign) * np.exp(0.03 * rng.standard_normal(30))
    found = judged("RC11", of_lab(models(*[(e, int(d), False) for e, d in zip(edges, widths, strict=True)])))[LAB]
    assert found.verdict == said and "Slope" in found.sentence


# packings


def test_random_vectors_against_the_exact_law():
    grid_ = grid("ratio", dims=(256, 512, 1024, 2048))
    law = random_cells(grid_, 100)

    def said(random, trials=100):
        evidence = of_lab(cells=(Cells("planted", grid_, random, trials),))
        return words("RC4", evidence)["planted"]

    assert said(law) == "supported"
    assert said(law, trials=1) == "not_supported"  # the constant is a property of the number of draws
    noisy = law.with_columns(pl.col("epsilon") * (1 + 0.02 * np.random.default_rng(0).standard_normal(len(law))))
    assert said(noisy) == "inconclusive"


def test_forms_on_planted_packings():
    near = cells("ratio", dims=(1024, 1536, 1600, 1800, 1900), counts=(2000, 2200, 2400, 3000, 4000), wobble=0.01)
    assert words("RC5", of_lab(cells=(near,)))["planted"] == "supported"
    assert words("RC5", of_lab(cells=(cells("jl_optimised", wobble=0.01),)))["planted"] == "not_supported"
    better = words("RC6", of_lab(cells=(cells("ratio", wobble=0.02),)))
    assert better == {"better (planted)": "supported", "two orders (planted)": "not_supported",
                      "headline, all cells (planted)": "not_testable"}  # fmt: skip
    exact = words("RC6", of_lab(cells=(cells("ratio", wobble=1e-4),)))
    assert exact["two orders (planted)"] == "supported"
    assert words("RC6", of_lab(cells=(cells("jl_optimised", wobble=0.02),)))["better (planted)"] == "not_supported"


def test_four_parameters():
    assert words("RC7", of_lab(cells=(cells("ratio", wobble=0.002),)))["planted"] == "supported"
    other = grid("ratio").with_columns(epsilon=0.9 * pl.col("epsilon") * (pl.col("d") / 64) ** -0.2)
    found = judged("RC7", of_lab(cells=(Cells("planted", other, None, 100),)))["planted"]
    assert found.verdict == "not_supported"
    plain = simulated_cells(grid("full"), "full", 0.002, np.random.default_rng(0))
    assert "b is not 1" in judged("RC7", of_lab(cells=(Cells("planted", plain, None, 100),)))["planted"].sentence


@pytest.mark.parametrize("claim", ["RC4", "RC5", "RC6", "RC7"])
def test_without_packings_the_command_that_makes_them(claim):
    (found,) = judged(claim, of_lab()).values()
    assert found.verdict == "not_testable" and ("gedanken pack" in found.sentence or "random_cells" in found.sentence)


@pytest.mark.parametrize("claim", ["RC5", "RC6", "RC7"])
def test_one_dimension_is_too_few(claim):
    (found,) = judged(claim, of_lab(cells=(cells("ratio", dims=(32,)),))).values()
    assert found.verdict == "not_testable" and found.reason == "too few"


# capacity


def test_arithmetic_and_inference_of_capacity():
    trained = words("RC8", of_lab(models((0.08, 2048, False)).with_columns(V=pl.lit(50_000))))
    assert trained == {f"arithmetic ({LAB})": "supported", f"inference ({LAB})": "supported"}  # the twin has 22 d
    twin = words("RC8", of_lab(models((0.08, 2048, False)).with_columns(V=pl.lit(20_000))))
    assert twin[f"inference ({LAB})"] == "not_supported"
    small = words("RC8", of_lab(models((0.05, 512, False)).with_columns(V=pl.lit(50_000))))
    assert set(small.values()) == {"not_supported"}
    vacuous = judged("RC8", of_lab(models((0.3, 512, False))))[LAB]
    assert vacuous.verdict == "not_testable" and "vacuous" in vacuous.sentence


def test_order_of_models():
    frame = models((0.05, 1024, False), (0.06, 2048, False), (0.08, 4096, False))

    def wide(*values):
        rows = embeddings(*[("cosine_edge", v, 1e-3, f"m{i}", "embed.W_E") for i, v in enumerate(values)])
        return rows.with_columns(z=pl.lit(3.0))

    part = f"comparison ({LAB})"
    assert words("RC9", of_lab(frame, embeddings=wide(0.07, 0.09, 0.12)))[part] == "supported"
    assert words("RC9", of_lab(frame, embeddings=wide(0.07, 0.2, 0.075)))[part] == "not_supported"
    assert words("RC9", of_lab(frame))[part] == "inconclusive"
    assert words("RC9", of_lab(frame[:2]))[part] == "not_testable"
    assert words("RC9", of_lab(frame))["upper bound"] == "not_supported"


def test_levers_are_algebra():
    found = judged("RC10", of_lab(models((0.05, 4096, False), (0.06, 8192, False))))[LAB]
    assert found.verdict == "not_testable" and found.reason == "true by definition" and 1.5 < found.effect < 2.06


def test_budget():
    def said(edge, low, high):
        frame = models((edge, 4096, False)).with_columns(low=pl.lit(low), high=pl.lit(high))
        return words("RC12", of_lab(frame))[LAB]

    assert said(0.07, 0.069, 0.071) == "supported"
    assert said(0.035, 0.0345, 0.0355) == "not_supported"
    assert said(0.045, 0.035, 0.06) == "inconclusive"


# relations


def untied(value, spread=0.002):
    return (Relations("m0", 1024, None, Estimate(value, value - spread, value + spread, 9000), 0.001),)


@pytest.mark.parametrize(
    ("value", "said"), [(0.01, "supported"), (0.3, "not_supported"), (-0.3, "not_supported"), (0.0625, "inconclusive")]
)
def test_same_token(value, said):
    assert words("RC13", of_lab(relations=untied(value)))["same token"] == said


@pytest.mark.parametrize(("wider", "said"), [(0.02, "supported"), (-0.02, "not_supported"), (0.003, "inconclusive")])
def test_unembedding_wider(wider, said):
    rows = embeddings(("cosine_spread", 0.02, 0.001), ("cosine_spread", 0.02 + wider, 0.001, "m0", "unembed.W_U"))
    assert words("RC13", of_lab(embeddings=rows))["unembedding wider"] == said


def test_tied_models_refuse_the_unembedding():
    assert set(words("RC13", of_lab()).values()) == {"not_testable"}


@pytest.mark.parametrize(("share", "said"), [(0.001, "supported"), (0.2, "not_supported"), (0.0228, "inconclusive")])
def test_pairs(share, said):
    pairs = tuple(
        PairCosine(w, 0.1, Estimate(s, s * 0.9, s * 1.1, 100_000)) for w, s in [("a–b", 1e-4), ("c–d", share)]
    )
    assert words("RC14", of_lab(relations=(Relations("m0", 512, None, None, None, pairs),)))["pairs"] == said


@pytest.mark.parametrize(
    ("rank", "alone", "said"),
    [(2, 9, "supported"), (41, 99, "not_supported"), (5, 5, "not_supported"), (None, None, "not_testable")],
)
def test_analogy(rank, alone, said):
    relation = Relations("m0", 512, None, None, None, (), rank, alone)
    assert words("RC14", of_lab(relations=(relation,)))["analogy"] == said


@pytest.mark.parametrize(
    ("edges", "said"),
    [((0.05, 0.06), "supported"), ((0.05, 0.3), "not_supported"), ((0.05, 0.01), "not_supported"),
     ((0.05, 0.0995), "inconclusive")],
)  # fmt: skip
def test_residual(edges, said):
    rows = [
        {"run": "m0-text", "model": "m0", "layer": layer, "centred": centred, "value": e, "low": e - 1e-3, "high": e + 1e-3,
         "base": 0.05, "base_low": 0.049, "base_high": 0.051, "null": 0.04}
        for centred in (False, True) for layer, e in enumerate(edges)
    ]  # fmt: skip
    assert words("RC15", of_lab(residual=pl.DataFrame(rows, schema=RESIDUAL_COLUMNS)))[""] == said
    assert words("RC15", of_lab())[""] == "not_testable"


# the published measurements


@published
def test_published_cells():
    settings = {"cells": str(DATA / "packing_optimised.csv"), "random_cells": str(DATA / "packing_random.csv")}
    found = {(row["claim"], row["part"]): row for row in STUDY.judge(Lab("no-such-lab"), **settings)}
    better = found["RC6", "better (given cells)"]
    assert better["verdict"] == "supported" and better["effect"] == pytest.approx(52.02 / 4.388, rel=1e-3)
    orders = found["RC6", "two orders (given cells)"]
    assert orders["verdict"] == "not_supported" and 5 < orders["low"] < 11.9 < orders["high"] < 25
    headline = found["RC6", "headline, all cells (given cells)"]
    assert headline["verdict"] == "not_testable" and headline["effect"] == pytest.approx(1026.6 / 7.743, rel=1e-3)
    assert "95.1 %" in headline["sentence"]
    assert found["RC4", "given cells"]["verdict"] == "supported"
    assert found["RC5", "given cells"]["effect"] == pytest.approx(52.02 / 1.387, rel=2e-3)
    assert "b is not 1" in found["RC7", "given cells"]["sentence"]


def test_published_rows():
    evidence = Evidence({LAB: EMPTY, PUBLISHED: published_models()}, draws=40)
    width = judged("RC11", evidence)[PUBLISHED]
    assert width.verdict == "inconclusive" and width.low < 0 < width.high
    assert "without the published exclusions" in width.sentence and "r −" in width.sentence and "ρ −" in width.sentence
    assert words("RC2", evidence)[PUBLISHED] == "inconclusive"
    assert words("RC8", evidence)[f"inference ({PUBLISHED})"] == "not_supported"
    budget = judged("RC12", evidence)[PUBLISHED]
    assert (
        budget.verdict == "not_supported"
        and "Phi 2 22 %" in budget.sentence
        and "TinyLlama 1.1B 13 %" in budget.sentence
    )


def test_every_claim_says_something_of_an_empty_lab(tmp_path):
    rows = STUDY.judge(Lab(tmp_path))
    assert [c.id for c in STUDY.claims] == [f"RC{i}" for i in range(1, 16)]
    assert {row["claim"] for row in rows} == {f"RC{i}" for i in range(1, 16)}
    assert all(row["sentence"] for row in rows)


@pytest.mark.parametrize("wrong", [{"cells": "no-such-file.csv"}, {"trials": 0}, {"draws": 3}, {"colour": "red"}])
def test_wrong_settings_end_with_a_sentence(tmp_path, wrong):
    with pytest.raises(Failure):
        STUDY.judge(Lab(tmp_path), **wrong)


def test_two_losses_are_two_sets():
    both = of_lab(cells=(cells("ratio", wobble=0.01), replace(cells("ratio", wobble=0.01), name="other")))
    assert set(words("RC5", both)) == {"planted", "other"}
