"""Experiment: the one place where sources, captures and instruments meet.

`measure(snapshot, plan)` gives rows; `run(source, plan, lab)` does so for every snapshot of a source, in tasks that an
executor works through and that a killed run need not repeat.
"""

from gedanken.experiment.loop import Outcome, run
from gedanken.experiment.measure import measure
from gedanken.experiment.plan import Plan, Task

__all__ = ["Outcome", "Plan", "Task", "measure", "run"]
