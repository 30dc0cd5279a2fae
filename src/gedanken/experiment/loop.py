"""run: every snapshot of a source, task by task, into a lab."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain

from threadpoolctl import threadpool_limits

from gedanken.captures.of import forget
from gedanken.experiment import nulls
from gedanken.experiment import rows as make
from gedanken.experiment.measure import Rows, measure
from gedanken.experiment.plan import Plan, Task, split
from gedanken.measurements.schema import OF_A_SNAPSHOT
from gedanken.measurements.store import Lab, part_key
from gedanken.sources.base import Source
from gedanken.status import Failure, Progress, Status


@dataclass
class Outcome:
    """What a run did: tasks measured and found done, rows that stand and that were refused, snapshots that failed."""

    tasks: int = 0
    already_done: int = 0
    values: int = 0
    refused: int = 0
    skipped: int = 0
    """Tensors that are no matrix: biases, norms, copies."""
    failures: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """What went otherwise than asked, and is told."""

    def add(self, other: "Outcome") -> None:
        """Count another source's outcome in."""
        for name in ("tasks", "already_done", "values", "refused", "skipped"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures.extend(found for found in other.failures if found not in self.failures)
        self.said.extend(found for found in other.said if found not in self.said)

    def fail(self, failure: Failure) -> None:
        """Note a failure, once however many tasks it struck."""
        if failure.sentence not in self.failures:
            self.failures.append(failure.sentence)


def run(
    source: Source,
    plan: Plan,
    lab: Lab,
    *,
    executor: Executor | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Measure every snapshot of a source into a lab. What the lab already holds is not measured again.

    executor: any concurrent.futures executor; by default a pool of `threads` threads (all cores), one matrix and one
    BLAS thread each. Raises Failure if the source or the lab cannot be used at all, and if anything of one that is
    there only once could not be measured or written; of another, that is an entry of `Outcome.failures`.
    """
    threads = threads or len(os.sched_getaffinity(0))
    own = executor is None
    outcome = Outcome()
    with ThreadPoolExecutor(threads) if own else nullcontext(executor) as pool:
        with threadpool_limits(1, user_api="blas") if own else nullcontext():
            by_snapshot = _tasks(source, plan, lab, threads, outcome)
            for tasks in by_snapshot if source.live else [list(chain.from_iterable(by_snapshot))]:
                done = lab.done()
                waiting = [task for task in tasks if task.key not in done]
                outcome.already_done += len(tasks) - len(waiting)
                draw_nulls(waiting, lab, pool)
                _work_through(waiting, lab, pool, outcome, progress, own=own)
                if source.once and outcome.failures:
                    raise Failure(outcome.failures[0])
    return outcome


def _tasks(source: Source, plan: Plan, lab: Lab, threads: int, outcome: Outcome) -> Iterator[list[Task]]:
    """The tasks of each snapshot of a source; its run, steps, settings and variables are recorded on the way."""
    record_plan(source, plan, lab, threads)
    for snapshot in source.snapshots():
        try:
            captures = plan.captures(snapshot)
        except Failure as failure:
            outcome.fail(failure)
            continue
        lab.record("steps", [make.step_row(snapshot)])
        skipped = make.skipped_rows(snapshot)
        outcome.skipped += len(skipped)
        lab.write("sites", skipped, part_key(snapshot.run, snapshot.step, snapshot.fingerprint, "skipped"))
        yield list(split(snapshot, plan, captures))


def record_plan(source: Source, plan: Plan, lab: Lab, threads: int) -> None:
    """The run, the settings and the variables of what is to be measured."""
    lab.record("settings", [make.setting_row(instrument) for instrument in plan.instruments])
    lab.record("variables", [row for instrument in plan.instruments for row in make.variable_rows(instrument)])
    lab.record("runs", [make.run_row(source, threads)])
    lab.record("prompts", make.prompt_rows(source))


def draw_nulls(tasks: Sequence[Task], lab: Lab, pool: Executor) -> None:
    """Make sure the lab holds the null draws of every shape that the tasks will meet."""
    first_of = {task.snapshot.fingerprint: task for task in tasks}
    wanted = [
        request
        for task in first_of.values()
        for capture in task.plan.captures(task.snapshot)
        for request in nulls.requests(capture, task.plan.reading(capture), task.plan.draws)
    ]
    submitted = [
        (request, [pool.submit(nulls.draw, *chunk) for chunk in nulls.chunks(request)])
        for request in nulls.missing(wanted, lab)
    ]
    for request, pieces in submitted:
        nulls.keep(request, [piece.result() for piece in pieces], lab)


def _work_through(
    tasks: list[Task], lab: Lab, pool: Executor, outcome: Outcome, progress: Progress | None, *, own: bool
) -> None:
    shared = {task.snapshot.fingerprint: task.plan.shared_work(task.snapshot) for task in tasks}
    total, finished = sum(task.work for task in tasks) + sum(shared.values()), 0.0
    if own and not _prepared(tasks, total, outcome, progress):
        return
    finished = sum(shared.values()) if own else 0.0
    kept = nulls.Kept(lab)
    largest_first = sorted(tasks, key=lambda task: -task.work)
    futures: dict[Future, Task] = {pool.submit(perform, task, lab, kept, not own): task for task in largest_first}
    try:
        for future in as_completed(futures):
            try:
                values, refused = future.result()
            except Failure as failure:
                outcome.fail(failure)
                continue
            outcome.tasks += 1
            outcome.values += values
            outcome.refused += refused
            finished += futures[future].work
            if progress:
                progress(finished, total)
    finally:
        for future in futures:
            future.cancel()
        for task in tasks:
            forget(task.snapshot)


def _prepared(tasks: Sequence[Task], total: float, outcome: Outcome, progress: Progress | None) -> bool:
    """Do what tasks of one snapshot share, here and once; False, and a failure, if that cannot be done."""
    told = progress and (lambda done, _: progress(done, total))
    for task in {task.snapshot.fingerprint: task for task in tasks}.values():
        try:
            said = task.plan.prepare(task.snapshot, told)
        except Failure as failure:
            outcome.fail(failure)
            return False
        if said:
            outcome.said.append(said)
    return True


def perform(task: Task, lab: Lab, kept: nulls.Kept, limit_blas: bool) -> tuple[int, int]:
    """Measure a task and write it: (rows that stand, rows refused)."""
    with threadpool_limits(1, user_api="blas") if limit_blas else nullcontext():
        rows = measure(task.snapshot, task.plan, task.captures(), kept)
    return write_task(task, rows, lab)


def write_task(task: Task, rows: Rows, lab: Lab) -> tuple[int, int]:
    """The parts of a task, `measurements` last: (rows that stand, rows refused)."""
    for table in reversed(OF_A_SNAPSHOT):
        lab.write(table, rows[table], task.key)
    refused = sum(row["status"] == Status.refused for row in rows["measurements"])
    return len(rows["measurements"]) - refused, refused
