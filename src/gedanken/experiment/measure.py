"""measure: one snapshot's captures, read by the plan's instruments, as rows. It writes nothing."""

from collections.abc import Callable, Iterable

import numpy as np

from gedanken.captures.base import Capture
from gedanken.captures.reduce import reduced
from gedanken.experiment import rows as make
from gedanken.experiment.nulls import Kept, Shuffled, bands
from gedanken.experiment.plan import Plan
from gedanken.instruments.base import Instrument, Reading
from gedanken.kinds import Kind
from gedanken.measurements.store import digest
from gedanken.sources.base import Snapshot
from gedanken.status import Flag, Refusal

Rows = dict[str, list[dict]]
"""Rows by table: `sites`, `measurements`, `nulls`, `curves`."""


def measure(
    snapshot: Snapshot, plan: Plan, captures: Iterable[Capture] | None = None, kept: Kept | None = None
) -> Rows:
    """Everything the plan's instruments say of a snapshot.

    captures: those to read (all of the plan's by default). kept: null draws by shape (drawn afresh by default).
    """
    kept = kept or Kept()
    rows: Rows = {"sites": [], "measurements": [], "nulls": [], "curves": []}
    for capture in plan.captures(snapshot) if captures is None else captures:
        rows["sites"].append(make.site_row(snapshot, capture))
        _measure_site(snapshot, plan, capture, kept, rows)
    return rows


def _measure_site(snapshot: Snapshot, plan: Plan, capture: Capture, kept: Kept, rows: Rows) -> None:
    reader = _Reader(capture)
    instruments = plan.reading(capture)
    shuffled = Shuffled(capture, reader.raw, instruments, plan.shuffles, _generator(snapshot, capture, "shuffles"))
    for instrument in instruments:
        address = {"run": snapshot.run, "step": snapshot.step, "site": str(capture.site)}
        address |= {"setting": instrument.setting, "fingerprint": snapshot.fingerprint}
        reading, array = reader.reading(instrument, _generator(snapshot, capture, instrument.setting))
        make.add_reading(rows, address, instrument, reading)
        if array is not None:
            for variable, columns in bands(instrument, array, reading, kept, plan.draws, shuffled):
                rows["nulls"].append(address | {"variable": variable} | columns)


def _generator(snapshot: Snapshot, capture: Capture, purpose: str) -> np.random.Generator:
    """A random stream of its own for every (run, step, site, setting)."""
    return np.random.default_rng(int(digest(snapshot.run, snapshot.step, capture.site, purpose, size=8), 16))


class _Reader:
    """One capture's raw object, read once and reduced once per kind and preparation; refusals are kept likewise."""

    def __init__(self, capture: Capture):
        self._capture = capture
        self._found: dict[tuple[Kind | None, str], object] = {}

    def raw(self):
        return self._once((None, ""), self._capture.read)

    def reading(self, instrument: Instrument, rng: np.random.Generator) -> tuple[Reading, object]:
        """The instrument's reading, and what it read (None if that could not be had)."""
        array = None
        try:
            array = self._reduced(instrument.reads, instrument.preparation)
            return instrument.measure(array, rng), array
        except Refusal as refusal:
            return {variable.name: refusal for variable in instrument.variables}, array

    def _reduced(self, kind: Kind, preparation: str):
        notes = self._capture.notes
        return self._once((kind, preparation), lambda: reduced(self.raw(), kind, preparation, notes))

    def _once(self, key: tuple[Kind | None, str], make: Callable[[], object]):
        if key not in self._found:
            try:
                self._found[key] = make()
            except MemoryError:
                self._found[key] = Refusal(Flag.out_of_memory, f"{self._capture.raw_name} does not fit into memory")
            except Refusal as refusal:
                self._found[key] = refusal
        if isinstance(self._found[key], Refusal):
            raise self._found[key]
        return self._found[key]
