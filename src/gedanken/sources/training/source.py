"""TrainingSource: a training run as a source of snapshots. Asking for the next snapshot trains up to it."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gedanken.sources.base import Snapshot, Source
from gedanken.sources.training import checkpoints
from gedanken.sources.training.history import History
from gedanken.sources.training.live import live_checkpoint
from gedanken.sources.training.open_data import open_data
from gedanken.sources.training.recipe import Recipe
from gedanken.sources.training.trainer import Trainer, Update, device_of, training_threads
from gedanken.status import Failure

EVERY = 25
"""Steps between snapshots [@liu2026lifecycle]."""
EARLY_UNTIL = 200
"""Step up to which snapshots may be closer together, where the front passes faster than 25 steps."""
KEEP_LAST = 2
"""Checkpoints from which training can go on: the last, and one more in case that is damaged."""
ABOUT, TOKENIZER = "run.json", "tokenizer.json"
VALIDATE = 10
"""Quick validations in a run."""


class TrainingSource(Source):
    """A run of a recipe, to be gone through once. `trainer` is it at its present step: model, gradients, updates.

    out: folder of its checkpoints, tokenizer and history (default: nothing is written). every: steps between
    snapshots; early: steps between them up to EARLY_UNTIL (0: as later). checkpoint_every: steps between checkpoints
    (default: a tenth of the run); the last `keep_last` can be gone on from, and those of step 0, of powers of two and
    of the last step keep their weights for good. initial: weights to start from, by parameter name. null_of: the
    run that this one is a control of.

    Raises Failure if the folder holds a run already and `resume` is not set, or holds one of another recipe, or if the
    data or the device cannot be had.
    """

    live = True
    once = True

    def __init__(
        self,
        recipe: Recipe,
        *,
        run: str | None = None,
        out: Path | str | None = None,
        resume: bool = False,
        every: int = EVERY,
        early: int = 0,
        checkpoint_every: int | None = None,
        keep_last: int = KEEP_LAST,
        initial: Mapping[str, Tensor] | None = None,
        null_of: str | None = None,
    ):
        self.recipe, self.every, self.early, self.keep_last = recipe, every, early, max(1, keep_last)
        self.out = Path(out) if out is not None else None
        self.run = run or (self.out.name if self.out else default_run(recipe))
        self.checkpoint_every = checkpoint_every or max(1, recipe.steps // 10)
        self.null_of = null_of
        self.said: list[str] = []
        """Sentences about what was found damaged when the run was gone on with."""
        self.before_saving: Callable[[], Mapping[str, Tensor]] = dict
        """Called before a checkpoint is written; the tensors it returns are kept in it, and if it raises Failure there is
        none. A monitor's `state_dict`: so no checkpoint ever stands for rows that are not in the lab."""
        self.monitor_state: Mapping[str, Tensor] = {}
        """What it had returned, of the checkpoint that the run was gone on from."""
        device_of(recipe)
        known = self._claimed(resume)
        tokenizer = self.out / TOKENIZER if known and (self.out / TOKENIZER).exists() else None
        self.trainer = Trainer(recipe, open_data(recipe, tokenizer))
        if initial is not None:
            self.trainer.load(initial)
        self._origin = {"recipe": recipe.model_dump(), "text": self.trainer.data.text_hash, "initial": _hash(initial)}
        whole = bool(known) and self._go_on(known)
        if self.out and not whole:
            self._claim()
        self._history = History(self.out, self.trainer.step) if self.out else None

    def updates(self) -> Iterator[Update]:
        """Trains to the end, an update at a time, writing what is due; for a loop that measures by itself.

        A checkpoint is written when the next update is asked for, and so holds nothing that was not measured.
        Raises Failure if the loss stops being finite (what was reached is saved) or the disk is full.
        """
        trainer, last = self.trainer, self.recipe.steps
        while trainer.step < last:
            with training_threads(self.recipe.threads):
                update = self._advance()
            if self._history:
                self._history.add(update)
            yield update
            if self._history:
                self._write_due()

    def snapshots(self) -> Iterator[Snapshot]:
        """The state at the steps that are due, each to be read before the next is asked for."""
        if self.is_due(self.trainer.step):
            yield self.snapshot()
        for update in self.updates():
            if self.is_due(update.step):
                yield self.snapshot()

    def is_due(self, step: int) -> bool:
        """Whether there is a snapshot of a step: the first, the last, every `every`, and early ones."""
        early = self.early and step <= EARLY_UNTIL and step % self.early == 0
        return step == self.recipe.steps or step % self.every == 0 or bool(early)

    def snapshot(self) -> Snapshot:
        """The run as it is now. Its fingerprint is of the recipe, the data and the step, which decide the weights."""
        trainer, last = self.trainer, self.trainer.last
        loss, rate = (last.loss, last.learning_rate) if last else (None, None)
        return Snapshot(
            self.run,
            live_checkpoint(trainer),
            self._fingerprint(trainer.step),
            trainer.step,
            trainer.tokens,
            loss=loss,
            learning_rate=rate,
        )

    def describe(self) -> dict[str, Any]:
        data = self.trainer.data
        return {
            "source": "training",
            "revision": f"seed {self.recipe.seed}",
            "architecture": self.recipe.style,
            "configuration": json.dumps(self.recipe.model_dump(), sort_keys=True),
            "text_hash": data.text_hash,
            "tokenizer_hash": data.tokens.fingerprint() if data.tokens else None,
            "dtype": "F32",
            "device": self.recipe.device,
            "threads": self.recipe.threads,
            "null_of": self.null_of,
        }

    # the folder of the run

    def _claimed(self, resume: bool) -> dict[str, Any]:
        """What the folder says of the run in it; empty if there is none."""
        path = self.out / ABOUT if self.out else None
        if path is None or not path.exists():
            if self.out and checkpoints.steps(self.out):
                raise Failure(f"{self.out} holds checkpoints of another program.", "another --out")
            return {}
        known = read_about(self.out)
        if not resume:
            raise Failure(f"{self.out} holds a run already.", "the same command with --resume, or another --out")
        asked = self.recipe.model_dump()
        for name, value in known["recipe"].items():
            if asked.get(name) != value:
                raise Failure(
                    f"{self.out} holds a run with {name} = {value!r}, and {asked.get(name)!r} was asked for: "
                    "that would be another run.",
                    "another --out",
                )
        return known

    def _claim(self) -> None:
        """Say in the folder what run it holds, and save its start."""
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            if self.trainer.data.tokens is not None:
                self.trainer.data.tokens.tokenizer.save(str(self.out / TOKENIZER))
            temporary = self.out / f".{ABOUT}"
            temporary.write_text(json.dumps(self._origin, indent=2), "utf-8")
            os.replace(temporary, self.out / ABOUT)
        except OSError as broken:
            raise Failure(f"{self.out} could not be written: {broken.strerror or broken}.") from broken
        self._save()

    def _go_on(self, known: dict[str, Any]) -> bool:
        """Whether there is a whole checkpoint; then the trainer stands there."""
        if known["text"] != self._origin["text"]:
            raise Failure(
                f"The text {self.recipe.text} is not what it was when {self.out} began: going on would be another run.",
                "another --out",
            )
        if self._origin["initial"] is None:
            self._origin["initial"] = known["initial"]
        saved, self.said = checkpoints.newest(self.out, self.recipe)
        if saved is not None:
            self.trainer.load(saved.weights, saved.memory, saved.step)
            self.trainer.last, self.monitor_state = saved.last, saved.monitor
        return saved is not None

    def _advance(self) -> Update:
        """One update; if its loss is not finite, what was reached is saved first."""
        try:
            return self.trainer.advance()
        except Failure:
            if self._history:
                self._history.flush()
                self._save()
            raise

    def _save(self) -> None:
        try:
            monitor = self.before_saving()
        except Failure as unwritten:
            raise Failure(
                f"{unwritten.sentence} Training stopped at step {self.trainer.step}, of which no checkpoint is kept: from "
                "the one before it, what could not be written is measured again.",
                "make room, then the same command with --resume",
            ) from unwritten
        checkpoints.save(self.out, self.trainer, monitor)
        kept = {0, self.recipe.steps, *(1 << power for power in range(self.recipe.steps.bit_length()))}
        checkpoints.prune(self.out, self.keep_last, kept)

    def _write_due(self) -> None:
        """The history as far as it has come, and a checkpoint, after an update where they are due."""
        step, last = self.trainer.step, self.recipe.steps
        if step == last or step % max(1, last // VALIDATE) == 0:
            self._history.validated(step, self.trainer.validation_loss())
        if step == last or step % self.checkpoint_every == 0 or step & (step - 1) == 0:
            self._history.flush()
            self._save()

    def _fingerprint(self, step: int) -> str:
        told = json.dumps([self._origin, step, torch.__version__], sort_keys=True)
        return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def read_about(folder: Path) -> dict[str, Any]:
    """What run a folder holds: its recipe, the hashes of its text and of given weights.

    Raises Failure if it holds none.
    """
    try:
        return json.loads((folder / ABOUT).read_text("utf-8"))
    except (OSError, ValueError) as broken:
        raise Failure(f"{folder} holds no training run: {ABOUT} cannot be read.") from broken


def default_run(recipe: Recipe) -> str:
    """cpu8-gpt2-0, with an arm's and a control's name behind it."""
    return "-".join(filter(None, (recipe.preset or "run", recipe.style, str(recipe.seed), recipe.arm, recipe.control)))


def _hash(initial: Mapping[str, Tensor] | None) -> str | None:
    if initial is None:
        return None
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(initial):
        digest.update(name.encode() + initial[name].detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
