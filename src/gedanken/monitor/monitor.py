"""Monitor: what `scan` would say of every checkpoint, said while the model trains.

    monitor = gd.Monitor(lab, "my-run", every=25)
    for step, batch in enumerate(batches):
        …loss.backward()…optimizer.step()…
        monitor(model, step, tokens, loss=loss, learning_rate=rate)
    monitor.close()

The rows, settings, fingerprints and nulls are those of a scan of the live model. Gradients and updates are runs of their own,
beside the weights'.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from gedanken.captures.base import Capture
from gedanken.experiment import nulls
from gedanken.experiment import rows as make
from gedanken.experiment.alarms import Watch, replay, told
from gedanken.experiment.loop import draw_nulls, record_plan, write_task
from gedanken.experiment.measure import Rows, measure
from gedanken.experiment.plan import Plan, Task, split, standard_instruments
from gedanken.measurements.store import Lab, part_key
from gedanken.monitor.blas import SingleBlas
from gedanken.monitor.live import LiveModel, distributed, is_sharded, on_host, unkept_captures
from gedanken.monitor.writer import Writer
from gedanken.sources.base import Snapshot
from gedanken.sources.checkpoints import Checkpoint, CheckpointSource
from gedanken.sources.tensor_files.arrays import is_tensor
from gedanken.status import Failure, Refusal

LOG = logging.getLogger("gedanken.monitor")

SPECTRA = ("stable_rank", "rank_exponent", "effective_rank", "spectral_norm", "singular_values")
"""Instruments of a monitored run: those of the lifecycle's protocol, and the spectra themselves, from which any other
follows afterwards."""
NORMS = ("entry_statistics",)
"""Instruments that need no decomposition."""
KEPT_BYTES = 2 << 30
"""Weights of the previous snapshot that are kept for ΔW: 500 million parameters in single precision."""
BYTES_IN_FLIGHT = 256 << 20
"""Copies of weights that wait to be measured; more of them wait for training, or training for them."""

Sink = Callable[[int, Mapping[str, float]], None]
"""Takes a step and values named `variable/site`: a tracker (integrations/trackers.py), or anything that wants rows."""


@dataclass(frozen=True)
class Clocks:
    """Steps between two measurements: of norms, of weight spectra, of spectra of gradients and updates (0: never)."""

    norms: int
    spectra: int
    gradients: int
    updates: int

    def due(self, step: int, clock: int) -> bool:
        return clock > 0 and step % clock == 0


class Monitor:
    """Measures a model inside its training loop, into a lab.

    every: steps between two snapshots of the weights. spectra_every: if larger, the others are of norms alone.
    gradients_every, updates_every: steps between spectra of `.grad` and of ΔW since the previous ones (0: never); they
    are runs named `RUN gradients` and `RUN updates`. steps: the length of the training, for the alarm `dead_layer`.
    sites: glob patterns (all matrices by default). sinks: trackers that take the rows too. about: columns of the `runs`
    table (`null_of`, `text_hash` …). kept_bytes: the most that is copied for ΔW; matrices beyond it are refused rows.
    threads: that measure (all cores by default).

    A model trained on the host waits while it is measured; one trained elsewhere goes on, and is measured behind.
    In a distributed run every process calls the monitor and the first one writes. Raises Failure for an unknown
    instrument, and at the first call for a lab that cannot be written. One that can be written no more (a full disk) is
    a warning: rows wait in memory for room, and if there is none it is a Failure at `state_dict` and at `close`.
    """

    def __init__(
        self,
        lab: Lab | str | os.PathLike,
        run: str,
        every: int = 25,
        *,
        spectra_every: int | None = None,
        gradients_every: int = 100,
        updates_every: int = 100,
        instruments: Iterable[str] = SPECTRA,
        sites: Iterable[str] = (),
        steps: int | None = None,
        sinks: Iterable[Sink] = (),
        about: Mapping[str, Any] | None = None,
        kept_bytes: float = KEPT_BYTES,
        threads: int | None = None,
    ):
        if every < 1:
            raise ValueError(f"a monitor measures every step or less often, not every {every}")
        self.lab = lab if isinstance(lab, Lab) else Lab(lab)
        self.run, self.sinks, self.kept_bytes = run, tuple(sinks), kept_bytes
        self.watch = Watch(steps)
        self._clocks = Clocks(every, spectra_every or every, gradients_every, updates_every)
        self._spectra = Plan(standard_instruments(instruments), tuple(sites))
        self._norms = Plan(standard_instruments(NORMS), tuple(sites))
        self._about = dict(about or {})
        self._threads = threads or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="gedanken-monitor")
        self._blas, self._writer = SingleBlas(), Writer()
        self._live: LiveModel | None = None
        self._kept: nulls.Kept | None = None
        self._done: frozenset[str] = frozenset()
        self._ready: set[tuple[str, str]] = set()
        self._flying: deque[_Flight] = deque()
        self._last: int | None = None
        self._step: int | None = None
        self._kept_at: int | None = None
        self._loaded: Mapping[str, Any] | None = None
        self._closed = False

    def __call__(
        self,
        model: Any,
        step: int,
        tokens: int | None = None,
        *,
        loss: Any = None,
        learning_rate: float | None = None,
        now: bool = False,
    ) -> list[dict[str, Any]]:
        """Measure the model after `step` updates, if a clock says so or `now` does; the alarms raised since the last call.

        Call it when the gradients of the last update still stand. loss: a number or a tensor of one; it is read only
        when a clock is due.
        """
        clocks, first = self._clocks, self._step is None
        self._step = step
        if not now and not any(clocks.due(step, clock) for clock in (clocks.norms, clocks.gradients, clocks.updates)):
            return []
        if self._live is None or self._live.module is not model:
            self._live = LiveModel(model)
            self._live.kept, self._loaded = self._loaded, None
        about = {"step": step, "tokens": tokens, "learning_rate": learning_rate}
        about["loss"] = None if loss is None else float(loss.detach() if is_tensor(loss) else loss)
        alarms = self._land()
        # Held throughout on the host, for its thread pool is built anew whenever the limit is lifted.
        with self._blas() if on_host(model) else nullcontext():
            self._launch_due(about, now, first)
            return alarms + self._land() if on_host(model) else alarms

    def state_dict(self) -> Mapping[str, Any]:
        """What a checkpoint of the training must hold, so that no row is lost or changed when training goes on from it.

        Waits until all that was measured is written: a checkpoint then never stands for rows that are in memory alone.
        Tensors: the weights that the next ΔW is to be since, unless they are those of the present step. To go on, see
        `load_state_dict`.
        Raises Failure if something could not be written: then save no checkpoint.
        """
        self._land()
        self._writer.flush()
        if self._kept_at is not None and self._kept_at == self._step:
            return {}
        return (self._loaded if self._live is None else self._live.kept) or {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; then call the monitor with the model as it was saved, before its next update."""
        self._loaded = dict(state) or None

    def close(self) -> None:
        """Wait until everything is measured and written, and merge the run's many small files.

        Raises Failure if something could not be written; it may be called again when there is room.
        """
        if self._closed:
            return
        self._land()
        try:
            self._writer.close()
        except Failure as failure:
            raise Failure(
                f"{failure.sentence} What could not be written waits in memory.",
                "make room, then close the monitor again",
            ) from failure
        self._closed = True
        self._pool.shutdown()
        if distributed()[0] == 0:
            self._merge()

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self.close()
        except Failure as failure:
            # What stopped the loop is what its user has to hear; if it is a failure of ours, it is mostly this one.
            if error is None:
                raise
            if not isinstance(error, Failure):
                LOG.warning(failure.sentence)

    # what is measured

    def _launch_due(self, about: dict[str, Any], now: bool, first: bool) -> None:
        clocks, step = self._clocks, about["step"]
        if (now and step != self._last) or clocks.due(step, clocks.norms):
            self._last = step
            plan = self._spectra if now or clocks.due(step, clocks.spectra) else self._norms
            weights = self._live.weights()
            self._launch(Snapshot(self.run, weights, weights.fingerprint(), **about), plan)
        if clocks.due(step, clocks.gradients):
            self._launch_gradients(about, first)
        if clocks.due(step, clocks.updates):
            self._launch_updates(about)

    def _launch_gradients(self, about: dict[str, Any], first: bool) -> None:
        gradients = self._live.gradients()
        if gradients.pieces:
            run = f"{self.run} gradients"
            self._launch(Snapshot(run, gradients, gradients.fingerprint(), **about), self._spectra)
        elif not first:
            LOG.warning("No gradient stands at step %d: call the monitor before zero_grad().", about["step"])

    def _launch_updates(self, about: dict[str, Any]) -> None:
        if self._live.kept is not None:
            change = self._live.change()
            absent = unkept_captures(self._live.unkept())
            run = f"{self.run} updates"
            self._launch(Snapshot(run, change, change.after.fingerprint(), **about), self._spectra, absent)
        self._live.keep(self.kept_bytes)
        self._kept_at = about["step"]

    def _launch(self, snapshot: Snapshot, plan: Plan, absent: Iterable[Capture] = ()) -> None:
        """Read every matrix here and now, and hand it to the pool; gather only, where another process writes."""
        captures = [*plan.captures(snapshot), *absent]
        rank, _ = distributed()
        sharded = is_sharded(self._live.module)
        if rank != 0:
            for capture in captures if sharded else ():
                _read(capture)
            return
        tasks = list(split(snapshot, plan, captures))
        self._prepare(snapshot, plan, tasks)
        # Where matrices are gathered, skipping them here would leave the other processes waiting.
        if not sharded and all(task.key in self._done for task in tasks):
            self._recall(snapshot.run, range(snapshot.step, snapshot.step + 1))
            return
        by_site = {str(capture.site): capture for capture in captures}
        for task in tasks:
            self._fly(task, [by_site[site] for site in task.sites])

    def _prepare(self, snapshot: Snapshot, plan: Plan, tasks: list[Task]) -> None:
        """Once for each run and plan: what it is, the null draws of its shapes, and what the lab holds of it."""
        if (snapshot.run, plan.key) in self._ready:
            return
        if not self._ready:
            self._recall(self.run, range(snapshot.step))
        self._ready.add((snapshot.run, plan.key))
        checkpoint = snapshot.state if isinstance(snapshot.state, Checkpoint) else snapshot.state.after
        source = _Training(snapshot.run, checkpoint, f"training of {self._live.label}", about=self._about)
        self._writer.write(lambda: record_plan(source, plan, self.lab, self._threads))
        skipped = make.skipped_rows(snapshot)
        key = part_key(snapshot.run, snapshot.step, snapshot.fingerprint, "skipped")
        self._writer.write(lambda: self.lab.write("sites", skipped, key))
        self._done = self.lab.done()
        with self._blas():
            draw_nulls(tasks, self.lab, self._pool)
        self._kept = nulls.Kept(self.lab)

    def _recall(self, run: str, steps: range) -> None:
        """Show the alarms what the lab holds of the run at these steps; record those that a killed process could not."""
        found = replay(self.lab, run, watch=self.watch, during=steps) if run == self.run and steps else []
        if found:
            self._writer.write(lambda: self.lab.record("alarms", found))

    def _fly(self, task: Task, captures: list[Capture]) -> None:
        flight = _Flight(task, [])
        self._flying.append(flight)
        bytes_waiting, oldest = 0, 0
        for capture in captures:
            flight.futures.append(self._pool.submit(self._measured, task, _read(capture)))
            bytes_waiting += 8 * capture.rows * capture.cols
            while bytes_waiting > BYTES_IN_FLIGHT and oldest < len(flight.futures):
                flight.futures[oldest].result()
                bytes_waiting -= 8 * captures[oldest].rows * captures[oldest].cols
                oldest += 1

    def _measured(self, task: Task, capture: Capture) -> Rows:
        with self._blas():
            return measure(task.snapshot, task.plan, [capture], self._kept)

    # what becomes of it

    def _land(self) -> list[dict[str, Any]]:
        """Take in what has been measured: raise alarms, queue it for writing, tell the trackers.

        Writing begins when all is measured, so that it never takes a core from the longest of steps.
        """
        landed = [(flight.task, flight.rows()) for flight in self._flying]
        self._flying.clear()
        own = [(task.snapshot, rows) for task, rows in landed if task.snapshot.run == self.run]
        alarms = [alarm for snapshot, rows in own for alarm in self.watch.alarms(snapshot, rows)]
        for task, rows in landed:
            self._writer.write(lambda task=task, rows=rows: self._write(task, rows))
            for sink in self.sinks:
                step, values = task.snapshot.step, _flat(rows, task.snapshot.run, self.run)
                self._writer.tell(lambda sink=sink, step=step, values=values: sink(step, values))
        if alarms:
            for line in told(alarms):
                LOG.warning(line)
            self._writer.write(lambda: self.lab.record("alarms", alarms))
        return alarms

    def _merge(self) -> None:
        try:
            self.lab.compact()
        except Failure as failure:
            LOG.warning("%s Only the merging of its small files is left undone.", failure.sentence)

    def _write(self, task: Task, rows: Rows) -> None:
        self.lab.record("steps", [make.step_row(task.snapshot)])
        write_task(task, rows, self.lab)


@dataclass
class _Flight:
    """A task whose sites are being measured."""

    task: Task
    futures: list[Future]

    def rows(self) -> Rows:
        found = [future.result() for future in self.futures]
        return {table: [row for rows in found for row in rows[table]] for table in found[0]}


@dataclass(frozen=True)
class _Training(CheckpointSource):
    """A model in training as a source, to be described."""

    about: Mapping[str, Any] = None

    def describe(self) -> dict[str, Any]:
        return super().describe() | dict(self.about)


def _read(capture: Capture) -> Capture:
    """The capture with its object read already, or its refusal."""
    try:
        found = capture.read()
    except Refusal as refusal:
        found = refusal
    return replace(capture, read=_Held(found))


@dataclass(frozen=True)
class _Held:
    """Gives what was read, or raises the refusal again."""

    found: Any

    def __call__(self):
        if isinstance(self.found, Refusal):
            raise self.found
        return self.found


def _flat(rows: Rows, run: str, main: str) -> dict[str, float]:
    """Values named `variable/site`, those of gradients and updates `gradients/variable/site`; the first setting of each."""
    prefix = "" if run == main else run.removeprefix(f"{main} ") + "/"
    values: dict[str, float] = {}
    for row in rows["measurements"]:
        if row.get("value") is not None:
            values.setdefault(f"{prefix}{row['variable']}/{row['site']}", row["value"])
    return values
