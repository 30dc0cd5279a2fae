"""Alarms: what the monitor of training runs said, one row for each kind at each step."""

import polars as pl


def watched_runs(lab, runs: list[str]) -> list[str]:
    """Those of the runs that were measured while they trained; gradients and updates raise no alarms."""
    trained = lab.runs.filter(pl.col("run").is_in(runs), pl.col("source").str.starts_with("training"))
    names = trained.select("run").unique().sort("run").collect()["run"].to_list()
    return [name for name in names if not name.endswith((" gradients", " updates"))]


def alarm_rows(lab, runs: list[str]) -> list[dict]:
    """run, step, alarm, sentence, and `more`: how many other places raised the same at that step."""
    mine = lab.alarms.filter(pl.col("run").is_in(runs)).sort("run", "step", "alarm", "site")
    kinds = mine.group_by("run", "step", "alarm", maintain_order=True).agg(
        pl.col("sentence").first(), (pl.len() - 1).alias("more")
    )
    return kinds.collect().to_dicts()


def silent_runs(lab, runs: list[str]) -> list[str]:
    """Watched runs without an alarm."""
    loud = set(lab.alarms.select("run").collect()["run"])
    return [run for run in watched_runs(lab, runs) if run not in loud]
