"""History: a line for every update of a run, in history.jsonl beside its checkpoints."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gedanken.sources.training.trainer import Update
from gedanken.status import Failure

NAME = "history.jsonl"


class History:
    """Updates (and validation losses) as they come. They reach the disk with `flush`.

    step: the step that the run goes on from; lines beyond it, of updates that will be made again, are dropped.
    Raises Failure if the file cannot be written.
    """

    def __init__(self, folder: Path, step: int = 0):
        self._path, self._lines = folder / NAME, []
        self._said(lambda: self._cut(step))

    def add(self, update: Update) -> None:
        self._lines.append(json.dumps(asdict(update)))

    def validated(self, step: int, loss: float) -> None:
        self._lines.append(json.dumps({"step": step, "validation_loss": loss}))

    def flush(self) -> None:
        self._said(self._append)

    def _append(self) -> None:
        if self._lines:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n".join(self._lines) + "\n")
            self._lines = []

    def _cut(self, step: int) -> None:
        if self._path.exists():
            kept = [line for line in read(self._path.parent) if line["step"] <= step]
            temporary = self._path.with_name(f".{NAME}")
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
            os.replace(temporary, self._path)

    def _said(self, write) -> None:
        try:
            write()
        except OSError as broken:
            said = f"{self._path} could not be written: {broken.strerror or broken}."
            raise Failure(said, "make room, then the same command with --resume") from broken


def read(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's history; a last one that a kill cut short is left out."""
    path = folder / NAME
    lines = path.read_text("utf-8").split("\n") if path.exists() else [""]
    return [json.loads(line) for line in lines[:-1]]
