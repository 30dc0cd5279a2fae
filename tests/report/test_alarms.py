"""Alarms on the page: one row for each kind at each step; runs without any are named; gradients are no runs of their own."""

from gedanken.measurements.store import Lab
from gedanken.report.alarms import alarm_rows, silent_runs

RUNS = ["a", "b", "b gradients", "scanned"]


def test_rows_are_grouped_and_silent_runs_named(tmp_path):
    lab = Lab(tmp_path)
    sources = ("training", "training of GPT", "training of GPT", "somewhere")
    lab.record("runs", [{"run": run, "source": source} for run, source in zip(RUNS, sources, strict=True)])
    raised = [("spike", 50, "x"), ("spike", 50, "y"), ("spike", 75, "x"), ("dead_layer", 50, "z")]
    lab.record(
        "alarms",
        [{"run": "a", "step": s, "site": site, "alarm": alarm, "sentence": f"{site}."} for alarm, s, site in raised],
    )
    found = [(row["step"], row["alarm"], row["sentence"], row["more"]) for row in alarm_rows(lab, RUNS)]
    assert found == [(50, "dead_layer", "z.", 0), (50, "spike", "x.", 1), (75, "spike", "x.", 0)]
    assert silent_runs(lab, RUNS) == ["b"]
