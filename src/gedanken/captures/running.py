"""Captures of a running model: what its forward passes show, made when the first of them is read."""

import threading
from collections.abc import Collection
from fnmatch import fnmatch
from typing import Any

from gedanken.captures.activations import StreamObserver
from gedanken.captures.attention.approximated_loss import ApproximatedLossObserver
from gedanken.captures.attention.heated_loss import HeatedLossObserver
from gedanken.captures.attention.observer import AttentionObserver
from gedanken.captures.attention.places import places_of
from gedanken.captures.base import Capture
from gedanken.captures.blocks import blocks_of
from gedanken.captures.forward import Observer, Pass
from gedanken.captures.loss import LossObserver
from gedanken.kinds import Kind
from gedanken.site import Site
from gedanken.sources.base import Snapshot
from gedanken.sources.running import Running
from gedanken.status import Progress

OF_STREAM = frozenset({Kind.stream, Kind.points, Kind.moments, Kind.spectrum, Kind.trajectory})
OF_ATTENTION = frozenset({Kind.attention, Kind.ensemble})
CHANGED = {observer.kind: observer for observer in (HeatedLossObserver, ApproximatedLossObserver)}
"""What runs the model once more for every change of its attention."""

_lock = threading.Lock()
_latest: dict[tuple, Pass] = {}
"""The pass in hand: one, because what it keeps is as large as a model."""


def captures(snapshot: Snapshot, sites: tuple[str, ...], kinds: Collection[Kind]) -> list[Capture]:
    """Captures at the sites that match the patterns (all if there are none) and that are of kinds wanted.

    Tasks of one snapshot share its pass. Raises Failure if the model's architecture or the text cannot be had.
    """
    return [
        capture for capture in _pass(snapshot, sites, frozenset(kinds)).captures if capture.kinds & frozenset(kinds)
    ]


def prepare(snapshot: Snapshot, sites: tuple[str, ...], kinds: Collection[Kind], progress: Progress | None) -> str:
    """Run the model now; progress is told in floating-point operations. Gives what must be told of it, or nothing.

    Raises Failure if it cannot be loaded or run.
    """
    found = _pass(snapshot, sites, frozenset(kinds))
    found.make(progress)
    return found.said


def work(snapshot: Snapshot, sites: tuple[str, ...], kinds: Collection[Kind]) -> float:
    """Floating-point operations of the passes."""
    return _pass(snapshot, sites, frozenset(kinds)).work


def forget() -> None:
    """Let go of what the latest pass kept."""
    with _lock:
        _latest.clear()


def _pass(snapshot: Snapshot, sites: tuple[str, ...], kinds: frozenset[Kind]) -> Pass:
    key = (snapshot.run, snapshot.step, snapshot.fingerprint, sites, kinds)
    with _lock:
        if key not in _latest:
            skeleton = snapshot.state.model.skeleton()
            made = Pass(snapshot.state, skeleton, _observers(snapshot.state, skeleton, sites, kinds))
            _latest.clear()
            _latest[key] = made
        return _latest[key]


def _observers(running: Running, skeleton: Any, sites: tuple[str, ...], kinds: frozenset[Kind]) -> list[Observer]:
    def wanted(site: Site) -> bool:
        return not sites or any(fnmatch(str(site), pattern) for pattern in sites)

    found: list[Observer] = []
    prompts, dtype = running.prompts, running.options.dtype
    if kinds & OF_STREAM:
        found.append(StreamObserver(blocks_of(skeleton, running.model.config), prompts, wanted, dtype))
    if kinds & OF_ATTENTION:
        found.append(AttentionObserver(places_of(skeleton, running.model.config), wanted, dtype))
    if Kind.surprisal in kinds:
        found.append(LossObserver(prompts, dtype))
    # Last: they run the model again, when the others have taken in what they saw.
    for kind, observer in CHANGED.items():
        if kind in kinds:
            places = places_of(skeleton, running.model.config)
            found.append(observer(places, prompts, wanted if sites else None, dtype))
    return found
