"""Planted evidence: each rule gives its verdict where the evidence is planted one way, and the other way."""

import numpy as np
import polars as pl
import pytest

from gedanken.measurements.store import Lab
from gedanken.studies import catalogue
from gedanken.studies.base import Verdict
from gedanken.studies.thermodynamics import approximations, criticality, equilibrium, fields
from gedanken.studies.thermodynamics.evidence import ALL_HEADS, Evidence, Model
from gedanken.studies.thermodynamics.size_laws import laws

COLUMNS = {
    "run": pl.String, "step": pl.Int64, "site": pl.String, "layer": pl.Int64, "head": pl.Int64, "variable": pl.String,
    "value": pl.Float64, "stderr": pl.Float64, "null": pl.Float64, "null_low": pl.Float64, "null_high": pl.Float64,
    "p": pl.Float64, "low": pl.Float64, "high": pl.Float64,
}  # fmt: skip


def model(rows: list[dict], name: str = "m", twins=(), at_bound: bool = False, width: int = 64) -> Model:
    frame = pl.DataFrame([{"run": name, "step": None} | row for row in rows], schema=COLUMNS)
    return Model(name, "text", {"hidden_size": width}, frame, at_bound, tuple(twins))


def heated(value: float, stderr: float = 0.01, name: str = "m", twins=()) -> Model:
    row = {"site": ALL_HEADS, "variable": "log_best_temperature", "value": value, "stderr": stderr}
    return model([row], name, twins)


def seeds(centre: float, count: int = 6, twins=()) -> Evidence:
    offsets = np.linspace(-0.01, 0.01, count)
    return Evidence(tuple(heated(centre + offset, name=f"m{i}", twins=twins) for i, offset in enumerate(offsets)))


def test_the_best_temperature_both_ways():
    assert equilibrium.optimum(seeds(0.03)).verdict is Verdict.supported
    assert equilibrium.optimum(seeds(0.30)).verdict is Verdict.not_supported
    assert equilibrium.optimum(seeds(0.30)).reason == "refuted"
    assert equilibrium.optimum(seeds(0.10)).verdict is Verdict.inconclusive
    few = equilibrium.optimum(seeds(0.03, 4))
    assert few.verdict is Verdict.inconclusive and few.reason == "undecided" and "needs 5" in few.sentence


def test_one_model_is_undecided_with_the_interval_of_its_documents():
    found = equilibrium.optimum(Evidence((heated(0.3, 0.05),)))
    assert found.verdict is Verdict.inconclusive and found.n == 1
    assert (found.low, found.high) == pytest.approx((0.3 - 0.098, 0.3 + 0.098))


def test_an_optimum_that_random_weights_share_is_undecided():
    twins = [heated(value, name=f"r{value}") for value in (0.0, 0.01, 0.02)]
    assert equilibrium.optimum(seeds(0.02, twins=twins)).verdict is Verdict.inconclusive


def test_no_optimum_is_told():
    assert equilibrium.optimum(Evidence(())).verdict is Verdict.not_testable
    beyond = equilibrium.optimum(Evidence((model([], at_bound=True),)))
    assert beyond.verdict is Verdict.not_testable and "beyond" in beyond.sentence


def approximated(gain: float, tsallis: float = 0.5, count: int = 6, twins=()) -> Evidence:
    values = {"gain": gain, "excess_free_energy": 0.9, "dropped_mass": 0.9 - gain, "pattern_distance": 0.1,
              "tsallis_excess": tsallis}  # fmt: skip
    made = []
    for number, offset in enumerate(np.linspace(-0.01, 0.01, count)):
        rows = [{"site": ALL_HEADS, "variable": f"approximation_rank_{name}", "value": value + offset, "low": value - 0.05,
                 "high": value + 0.05} for name, value in values.items()]  # fmt: skip
        made.append(model(rows, f"m{number}", twins))
    return Evidence(tuple(made))


def test_harm_both_ways():
    found = approximations.harm(approximated(0.1))
    assert found.verdict is Verdict.supported and "ρ = 0.900 with the excess free energy" in found.sentence
    assert approximations.harm(approximated(-0.1)).reason == "refuted"
    assert approximations.harm(approximated(0.0)).reason == "undecided"
    # Tsallis' free energy ranks better than Shannon's; too few models.
    assert approximations.harm(approximated(0.1, 0.95)).reason == "undecided"
    one = approximations.harm(approximated(0.1, count=1))
    assert (
        one.reason == "undecided" and (one.low, one.high) == pytest.approx((0.05, 0.15)) and "needs 7" in one.sentence
    )
    twins = approximated(-0.3, count=1).models
    assert "random weights Δρ = −0.31" in approximations.harm(approximated(0.1, twins=twins)).sentence
    assert approximations.harm(Evidence(())).verdict is Verdict.not_testable


def heads(value: float, p: float, swapped: float | None, name: str, count: int = 20) -> list[dict]:
    rows = []
    for head in range(count):
        here = {"site": f"layers.0.attn.attention_pattern.heads.{head}", "layer": 0, "head": head}
        band = {"null": 0.2, "null_low": 0.18, "null_high": 0.22, "p": p}
        rows.append(here | {"variable": "field_alignment", "value": value, "stderr": 0.01} | band)
        if swapped is not None:
            rows.append(here | {"variable": "field_alignment_swapped", "value": swapped, "stderr": 0.01})
    return rows


def dipoles(value: float, p: float, swapped: float | None, count: int = 5, twins=()):
    models = tuple(model(heads(value, p, swapped, f"m{i}"), f"m{i}", twins) for i in range(count))
    return fields.dipoles(Evidence(models))


def test_dipoles_both_ways():
    assert dipoles(0.5, 1e-6, 0.1).verdict is Verdict.supported
    assert dipoles(0.2, 0.9, 0.1).verdict is Verdict.not_supported
    assert dipoles(0.5, 1e-6, 0.1, count=1).verdict is Verdict.inconclusive


def test_dipoles_need_every_control():
    # Swapped keys align as well; p that Holm's correction over 20 heads does not stand; swap unknown; random weights too.
    assert dipoles(0.5, 1e-6, 0.5).verdict is Verdict.inconclusive
    assert dipoles(0.5, 0.01, 0.1).verdict is Verdict.inconclusive
    unknown = dipoles(0.5, 1e-6, None)
    assert unknown.verdict is Verdict.inconclusive and "not swapped" in unknown.sentence and unknown.effect is None
    random = [model(heads(0.5, 1e-6, 0.1, "r"), "r")]
    assert dipoles(0.5, 1e-6, 0.1, twins=random).verdict is Verdict.inconclusive
    assert fields.dipoles(Evidence(())).verdict is Verdict.not_testable


def sized(law, twin=lambda size: 0.01, count: int = 8) -> Evidence:
    made = []
    for width in 64 * 2 ** np.arange(count):
        size = 12.0 * width**2

        def row(value):
            return {"site": "layers.0.attn.attention_pattern.heads.0", "layer": 0, "head": 0, "null": 0.1,
                    "variable": "heat_capacity_row_fraction", "value": 0.1 + value}  # fmt: skip

        twins = [model([row(twin(size))], f"r{width}", width=int(width))]
        made.append(model([row(law(size))], f"m{width}", twins, width=int(width)))
    return Evidence(tuple(made))


def test_scaling_both_ways():
    power, *_ = criticality.scaling(sized(lambda size: 1e-4 * size**0.4))
    assert power.verdict is Verdict.supported
    flat, *_ = criticality.scaling(sized(lambda size: 0.05 + 1e-4 * np.log(size)))
    assert flat.verdict is Verdict.not_supported and flat.reason == "refuted"
    logarithm, *_ = criticality.scaling(sized(lambda size: 0.1 * np.log(size) - 0.5))
    assert logarithm.verdict is Verdict.inconclusive
    shared, *_ = criticality.scaling(sized(lambda size: 1e-4 * size**0.4, lambda size: 1e-4 * size**0.4))
    assert shared.verdict is Verdict.inconclusive
    few, _ = criticality.scaling(sized(lambda size: size, count=6))
    assert few.verdict is Verdict.not_testable and few.reason == "too few"


def test_laws_are_told_apart():
    size = np.geomspace(1e5, 1e8, 10)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(10)
    for name, value in {
        "power": 0.01 * size**0.25, "logarithmic": 0.2 * np.log(size) - 2, "constant": np.full(10, 0.3),
        "saturating": 0.9 - 30 * size**-0.4,
    }.items():  # fmt: skip
        assert laws(size, value + noise)[0].name == name
    power = laws(size, 0.01 * size**0.25 + noise)[0]
    assert abs(power.exponent - 0.25) < 0.011  # the grid's step


def test_without_data_the_rest_of_the_claims_stand(tmp_path):
    lab = Lab(tmp_path / "lab")
    lab.record("runs", [{"run": "a"}])
    study = catalogue.get("thermodynamics")
    rows = {(row["claim"], row["part"]): row for row in study.judge(lab)}
    assert {claim for claim, _ in rows} == {f"TH{i}" for i in range(1, 12)}
    unique = rows["TH3", "the only equilibrium (v1)"]
    assert unique["verdict"] == "not_supported" and unique["reason"] == "refuted"
    # 2 arccos √p of the top level, p = 0.64391426: sparsemax puts all on it.
    assert unique["effect"] == pytest.approx(2 * np.arccos(np.sqrt(0.64391426)), abs=1e-7)
    bounded = rows["TH7", "at a fixed number of keys"]
    assert bounded["reason"] == "refuted" and bounded["effect"] == pytest.approx(0.761802, abs=1e-6)
    empty = {key[0] for key, row in rows.items() if row["reason"] == "empty"}
    assert empty == {"TH1", "TH3", "TH6", "TH9", "TH10"}
    assert all(row["verdict"] == "not_testable" for row in rows.values() if row["reason"] != "refuted")
    study.record(lab, list(rows.values()))
