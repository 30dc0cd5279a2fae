"""The frame of studies: verdicts need intervals, unknown names are told, verdicts replace their predecessors."""

import pytest

from gedanken.measurements.store import Lab
from gedanken.status import Failure
from gedanken.studies import catalogue
from gedanken.studies.base import Claim, Judgement, Study, Verdict, not_testable


def toy(effect: float) -> Study:
    def above(evidence):
        return Judgement(Verdict.supported, "it is above", "", "height [m]", evidence, evidence - 1, evidence + 1, n=3)

    def parts(evidence):
        yield Judgement(Verdict.inconclusive, "could be", part="first")
        yield not_testable("two runs are needed", part="second")

    claims = (
        Claim("T1", "it is high", "2 m", "interval above 0", above),
        Claim("T2", "both", "", "two parts", parts),
    )
    return Study("toy", "A toy", "key", claims, lambda lab, runs, settings, progress: effect * settings["factor"],
                 settings={"factor": 1.0})  # fmt: skip


def test_a_verdict_needs_an_interval_or_says_why_it_needs_none():
    with pytest.raises(ValueError, match="interval"):
        Judgement(Verdict.supported, "bare", effect=1.0)
    assert Judgement(Verdict.not_supported, "counted", exact="one counterexample").effect is None
    with pytest.raises(ValueError, match="from 3.0 to 1.0"):
        Judgement(Verdict.supported, "reversed", effect=2.0, low=3.0, high=1.0)


def test_rows_are_kept_and_replaced(tmp_path):
    lab = Lab(tmp_path / "lab")
    lab.record("runs", [{"run": "a"}, {"run": "b"}])
    study = toy(5.0)
    study.record(lab, study.judge(lab))
    study.record(lab, study.judge(lab, factor=2.0))
    rows = lab.verdicts.sort("claim", "part").collect()
    assert rows["claim"].to_list() == ["T1", "T2", "T2"]
    assert rows["part"].to_list() == ["", "first", "second"]
    assert rows["effect"].to_list() == [10.0, None, None]
    assert rows["runs"].to_list() == [["a", "b"]] * 3


def test_unknown_names_are_told(tmp_path):
    lab = Lab(tmp_path / "lab")
    lab.record("runs", [{"run": "a"}])
    with pytest.raises(Failure, match="no claim T9; it has T1, T2"):
        toy(1.0).judge(lab, claims=["T9"])
    with pytest.raises(Failure, match="no setting speed; it has factor"):
        toy(1.0).judge(lab, speed=3)
    with pytest.raises(Failure, match="no run 'z'"):
        toy(1.0).judge(lab, runs=["z"])
    with pytest.raises(Failure, match="no study called"):
        catalogue.get("nonsense")
