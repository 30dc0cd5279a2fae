"""Plan: what to measure. Task: the stretch of it that is measured and written at once."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

from gedanken.captures import of, weights
from gedanken.captures.base import Capture
from gedanken.instruments import catalogue
from gedanken.instruments.base import Instrument
from gedanken.kinds import Kind
from gedanken.measurements.store import digest, part_key
from gedanken.sources.base import Snapshot
from gedanken.status import Failure

TASK_SITES = 64
TASK_WORK = 4e9
"""A task ends at so many sites or floating-point operations (about a third of a second): what a kill can lose."""

DRAWS = 39
"""Null draws by shape: the rank p then resolves 0.025, and a scan stays within 15 % of one without nulls."""


@dataclass(frozen=True)
class Plan:
    """What to measure: instruments, at which sites, against which nulls.

    `sites` are glob patterns (empty: all); `products` are of weights.PRODUCTS; `draws` null draws by shape (0: none);
    `shuffles` null draws that need the data, per site (0: none).
    """

    instruments: tuple[Instrument, ...]
    sites: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    draws: int = DRAWS
    shuffles: int = 0

    def __post_init__(self):
        if unknown := set(self.products) - set(weights.PRODUCTS):
            raise Failure(
                f"No product is called {', '.join(sorted(unknown))}; there are {', '.join(weights.PRODUCTS)}."
            )

    def captures(self, snapshot: Snapshot) -> list[Capture]:
        """The snapshot's captures that the plan asks for. Raises Failure if the snapshot cannot be opened."""
        found = of.captures_of(snapshot, self.products, self.sites, self.kinds)
        return [c for c in found if not self.sites or any(fnmatch(str(c.site), glob) for glob in self.sites)]

    def prepare(self, snapshot: Snapshot, progress: Callable[[float, float], None] | None = None) -> str:
        """Do what the snapshot's captures share (captures/of.py). Raises Failure if that cannot be done."""
        return of.prepare(snapshot, self.sites, self.kinds, progress)

    def shared_work(self, snapshot: Snapshot) -> float:
        """Floating-point operations of `prepare`."""
        return of.shared_work(snapshot, self.sites, self.kinds)

    @property
    def kinds(self) -> frozenset[Kind]:
        """What its instruments read."""
        return frozenset(instrument.reads for instrument in self.instruments)

    def reading(self, capture: Capture) -> list[Instrument]:
        """The instruments that can read a capture, and have something to say of it."""
        able = (instrument for instrument in self.instruments if instrument.reads in capture.kinds)
        return [instrument for instrument in able if not (instrument.of_tables and capture.kind == Kind.stream)]

    @property
    def key(self) -> str:
        """Hash of everything here that changes what a task's rows say."""
        settings = sorted(instrument.setting for instrument in self.instruments)
        return digest(*settings, self.draws, self.shuffles)


def standard_instruments(names: Iterable[str] = ()) -> tuple[Instrument, ...]:
    """The instruments named, in every setting that a scan uses; by default all but those that wait to be asked for.

    `name:field=value` takes only the settings with that value. Raises Failure for an unknown name, field or value.
    """
    if not names:
        classes = [found for found in map(catalogue.get, catalogue.names()) if not found.on_request]
        return tuple(instrument for found in classes for instrument in found.standard())
    return tuple(instrument for name in names for instrument in _chosen(*name.partition(":")[::2]))


def _chosen(name: str, choice: str) -> list[Instrument]:
    every = catalogue.get(name).standard()
    field, _, value = choice.partition("=")
    found = [i for i in every if not choice or str(json.loads(i.fields).get(field)) == value]
    if not found:
        told = sorted({f"{name}:{field}={value}" for i in every for field, value in json.loads(i.fields).items()})
        raise Failure(f"{name} has no setting {choice}; it has {', '.join(told) or 'one'}.")
    return found


@dataclass(frozen=True)
class Task:
    """Some sites of one snapshot. It holds names, never tensors."""

    snapshot: Snapshot
    plan: Plan
    sites: tuple[str, ...]
    work: float

    @property
    def key(self) -> str:
        """Name of its parts in the lab: another model, step, content, setting or site gives another."""
        snapshot = self.snapshot
        return part_key(snapshot.run, snapshot.step, snapshot.fingerprint, self.plan.key, *self.sites)

    def captures(self) -> list[Capture]:
        wanted = set(self.sites)
        return [capture for capture in self.plan.captures(self.snapshot) if str(capture.site) in wanted]


def split(snapshot: Snapshot, plan: Plan, captures: Iterable[Capture]) -> Iterator[Task]:
    """Captures in order, as tasks of at most TASK_SITES sites and about TASK_WORK operations."""
    sites, work = [], 0.0
    for capture in captures:
        if sites and (len(sites) == TASK_SITES or work + capture.work > TASK_WORK):
            yield Task(snapshot, plan, tuple(sites), work)
            sites, work = [], 0.0
        sites.append(str(capture.site))
        work += capture.work
    if sites:
        yield Task(snapshot, plan, tuple(sites), work)
