"""Ladder: several checkpoints of one training run as one run with a step axis. Each is opened when its turn comes."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gedanken.sources.base import Snapshot, Source
from gedanken.sources.checkpoints import Checkpoint, Unopened, read_json
from gedanken.status import Failure

_STEP = re.compile(r"(?:step|checkpoint|ckpt|iter(?:ation)?|global_step|update)s?[-_=.]?(\d+)", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Rung:
    """One checkpoint of a ladder: the step it was saved at, what to call it, and what `open` is given to open it."""

    step: int
    label: str
    place: Any


@dataclass(frozen=True)
class LadderSource(Source):
    """Rungs in the order of their steps. `open` gives a rung's checkpoint or raises Failure.

    A rung that cannot be opened yields a snapshot whose `state.pieces` raises that Failure: the others are not lost.
    """

    run: str
    rungs: tuple[Rung, ...]
    open: Callable[[Any], Checkpoint]
    origin: str
    revision: str | None = None

    def snapshots(self) -> Iterator[Snapshot]:
        for rung in self.rungs:
            try:
                checkpoint = self.open(rung.place)
                yield Snapshot(self.run, checkpoint, checkpoint.fingerprint(), rung.step)
            except Failure as failure:
                told = Failure(f"{rung.label} (step {rung.step}): {failure.sentence}", failure.try_next)
                yield Snapshot(self.run, Unopened(told), "unopened", rung.step)

    def describe(self) -> dict[str, Any]:
        """Columns of the `runs` table, from the last checkpoint that can be opened. Raises Failure if none can."""
        failure = Failure(f"{self.origin} has no checkpoints.")
        for rung in reversed(self.rungs):
            try:
                return {"source": self.origin, "revision": self.revision} | self.open(rung.place).describe()
            except Failure as error:
                failure = error
        raise failure


def rungs(places: Iterable[tuple[str, Any]], trained: Callable[[Any], int | None], origin: str) -> tuple[Rung, ...]:
    """Rungs from (label, place), sorted by step: the number in the label, else what `trained(place)` says.

    Raises Failure if a label has no step, or two have the same one (and names them).
    """
    named = list(places)
    labels = _told_apart([label for label, _ in named])
    found = []
    for (label, place), apart in zip(named, labels, strict=True):
        step = step_of(apart)
        step = trained(place) if step is None else step
        if step is None:
            raise Failure(f"No training step can be read from {label}: its name has no number.")
        found.append(Rung(step, label, place))
    by_step = defaultdict(list)
    for rung in found:
        by_step[rung.step].append(rung.label)
    for step, same in by_step.items():
        if len(same) > 1:
            raise Failure(f"{same[0]} and {same[1]} of {origin} are both of step {step}: name one of them.")
    return tuple(sorted(found, key=lambda rung: rung.step))


def step_of(name: str) -> int | None:
    """The training step in a checkpoint's name: `checkpoint-500`, `step_1000`, `global_step=7`; else its last number."""
    named = _STEP.findall(name)
    numbers = named or _NUMBER.findall(name)
    return int(numbers[-1]) if numbers else None


def trainer_step(folder: Path) -> int | None:
    """The step that transformers' Trainer wrote beside a checkpoint, if any. Raises Failure if it is malformed."""
    path = folder / "trainer_state.json"
    step = read_json(path).get("global_step") if path.is_file() else None
    return step if type(step) is int and step >= 0 else None


def _told_apart(labels: list[str]) -> list[str]:
    """The labels without the folders that all of them share: a number there is no step."""
    split = [label.replace("\\", "/").split("/") for label in labels]
    common = 0
    while len(split) > 1 and all(len(words) > common + 1 and words[common] == split[0][common] for words in split):
        common += 1
    return ["/".join(words[common:]) if len(split) > 1 else words[-1] for words in split]
