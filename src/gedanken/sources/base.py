"""Source and Snapshot: what can be measured, one state at a time.

A source knows nothing of instruments; it yields snapshots. Sources and snapshots of files hold names, never tensors,
so that they can be sent to a worker on another machine.
"""

import abc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Snapshot:
    """One state of a run: `state` is what a capture opens (a `Checkpoint`, particle positions, packed vectors).

    `step` counts optimizer updates (None where there is no training axis), `tokens` the tokens seen, `time` the
    simulation time. `fingerprint` changes whenever the content does.
    """

    run: str
    state: Any
    fingerprint: str
    step: int | None = None
    tokens: int | None = None
    time: float | None = None
    loss: float | None = None
    learning_rate: float | None = None


class Source(abc.ABC):
    """A run that can be measured."""

    run: str
    """Its name in the lab."""

    live: ClassVar[bool] = False
    """A snapshot must be measured before the next one is asked for."""

    once: ClassVar[bool] = False
    """A snapshot is of a process that goes on: what was not measured of it cannot be measured later."""

    @abc.abstractmethod
    def snapshots(self) -> Iterator[Snapshot]:
        """The states, in order of step or time."""

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Columns of the `runs` table: source, revision, architecture, configuration, dtype …"""
