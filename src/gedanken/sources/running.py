"""Running: a model on a text, as the state of a snapshot. RunningSource: the two as a run, beside its nulls.

Weights and activations are separate runs, because a lab keeps one fingerprint for each step of a run. A null is a run of
its own, named after the run that it is the null of.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gedanken.kinds import SHOWN
from gedanken.sources import hub
from gedanken.sources.base import Snapshot, Source
from gedanken.sources.checkpoints import CheckpointSource
from gedanken.sources.ladder import LadderSource
from gedanken.sources.models import open_model
from gedanken.sources.prompts import Prompts, prompts_of
from gedanken.sources.runnable import Live, Runnable, Stored
from gedanken.sources.tensor_files.arrays import is_module
from gedanken.sources.texts.base import Text
from gedanken.sources.texts.open import open_text
from gedanken.sources.tokenizers import Tokenizer
from gedanken.status import Failure

RANDOM_TWINS = 3
"""Models with random weights that `nulls` runs: the fewest that tell architecture from chance."""


@dataclass(frozen=True)
class Options:
    """How a model is run. All but `device` and `batch` change what is measured.

    `prompts` of at most `context` tokens; `dtype` a name of torch's; `batch` prompts at a time (None: about BATCH_TOKENS
    tokens); `null` is empty, `shuffled` or `unigram` (of the tokens), or `random` (weights); `seed` is the null's.
    """

    prompts: int = 200
    context: int = 80
    device: str = "cpu"
    dtype: str = "float32"
    batch: int | None = None
    null: str = ""
    seed: int = 0

    @property
    def told(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name not in ("device", "batch")}


@dataclass(frozen=True)
class Running:
    """The state of a snapshot: what to load, and what to run it on. It holds names, never tensors, unless the model or
    the tokens were given as such."""

    model: Runnable
    text: Text | Prompts
    options: Options

    @cached_property
    def prompts(self) -> Prompts:
        """What the model reads. Raises Failure, with a sentence, for text that it cannot be run on."""
        found = self.text if isinstance(self.text, Prompts) else self._tokenised()
        _check(found, self.model)
        rng = np.random.default_rng(self.options.seed)
        match self.options.null:
            case "shuffled":
                return found.shuffled(rng)
            case "unigram":
                return found.unigram(rng)
        return found

    def _tokenised(self) -> Prompts:
        tokenizer = self.model.tokenizer()
        context = self.options.context
        most = min(tokenizer.limit, self.model.longest or tokenizer.limit)
        if context > most:
            raise Failure(
                f"A context of {context} tokens is longer than the {most} that the model has positions for.",
                f"--context {most}",
            )
        return _prompts_of(self.text, tokenizer, self.options.prompts, context)

    def load(self) -> Any:
        """The module that is run. Raises Failure if it cannot be loaded."""
        options = self.options
        if options.null == "random":
            return self.model.random_twin(options.device, options.dtype, options.seed)
        return self.model.load(options.device, options.dtype)

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self.model, "text": self.text, "options": self.options}


@lru_cache(maxsize=4)
def _prompts_of(text: Text, tokenizer: Tokenizer, count: int, context: int) -> Prompts:
    """Kept for the nulls and the next checkpoint of a ladder, which read the same."""
    return prompts_of(text, tokenizer, count, context)


def _check(prompts: Prompts, model: Runnable) -> None:
    if model.longest is not None and prompts.longest > model.longest:
        raise Failure(
            f"A prompt has {prompts.longest} tokens, more than the {model.longest} that the model has positions for."
        )
    highest, size = max(int(row.max()) for row in prompts.tokens), model.vocabulary
    if min(int(row.min()) for row in prompts.tokens) < 0 or (size is not None and highest >= size):
        raise Failure(
            f"The text has the token {highest}, and the model's vocabulary ends at {(size or 0) - 1}: "
            "the tokenizer is not the model's."
        )


@dataclass(frozen=True)
class RunningSource(Source):
    """Every snapshot of a model's source, run on a text. `of` makes one from whatever the user names.

    Its snapshots are measured one after the other, because what a pass keeps is as large as a model.
    """

    live: ClassVar[bool] = True
    run: str
    models: Source
    text: Text | Prompts
    options: Options
    text_name: str
    text_hash: str
    runnable: Callable[[Snapshot], Runnable]
    null_of: str | None = None

    @classmethod
    def of(
        cls, model: Any, text: Any, *, run: str | None = None, tokenizer: Tokenizer | None = None, **options: Any
    ) -> "RunningSource":
        """model: what `open_model` takes; text: what `open_text` takes, or token sequences. options: of Options.

        Raises Failure, with a sentence, if the model cannot be opened or the text cannot be fed to it.
        """
        chosen = Options(**options)
        found = open_model(model)
        text = _tokens_or_text(text, chosen.prompts)
        name, digest = ("tokens", _hash_of(text)) if isinstance(text, Prompts) else (text.name, text.fingerprint())
        live = Live(model, tokenizer) if is_module(model) else None
        runnable = (lambda snapshot: live) if live else _finder(found)
        made = cls(run or f"{found.run}+{name}", found, text, chosen, name, digest, runnable)
        first = next(iter(made.snapshots())).state
        if isinstance(first, Running):
            _ = first.prompts
        return made

    def nulls(self) -> list["RunningSource"]:
        """The same on shuffled tokens, on tokens drawn anew, and with random weights (RANDOM_TWINS times)."""
        made = [self._null("shuffled", "shuffled", 0), self._null("unigram", "unigram", 0)]
        twins = [("random" if seed == 0 else f"random{seed + 1}", seed) for seed in range(RANDOM_TWINS)]
        return [*made, *(self._null(name, "random", seed) for name, seed in twins)]

    def _null(self, name: str, null: str, seed: int) -> "RunningSource":
        options = replace(self.options, null=null, seed=seed)
        return replace(self, run=f"{self.run}~{name}", options=options, null_of=self.run)

    def snapshots(self) -> Iterator[Snapshot]:
        for snapshot in self.models.snapshots():
            try:
                model = self.runnable(snapshot)
            except Failure as failure:
                yield replace(snapshot, run=self.run, state=Unrunnable(failure), fingerprint="unopened")
                continue
            state = Running(model, self.text, self.options)
            yield replace(snapshot, run=self.run, state=state, fingerprint=self._fingerprint(snapshot.fingerprint))

    def shown(self) -> tuple[list[int], list[list[str]]]:
        """The first prompts, whole and at most SHOWN predicted tokens together: their documents, the text of each token."""
        first = next(iter(self.snapshots())).state
        if not isinstance(first, Running):
            return [], []
        prompts = first.prompts
        fit = int(np.sum(np.cumsum([len(row) - 1 for row in prompts.tokens]) <= SHOWN))
        rows = prompts.tokens[:fit]
        if isinstance(self.text, Text):
            told = [first.model.tokenizer().texts(row) for row in rows]
        else:
            told = [[f"{token} " for token in row] for row in rows]
        return prompts.document[:fit].tolist(), told

    def _fingerprint(self, model: str) -> str:
        told = json.dumps(self.options.told, sort_keys=True)
        return hashlib.blake2b(f"{model}\n{self.text_hash}\n{told}".encode(), digest_size=16).hexdigest()

    def describe(self) -> dict[str, Any]:
        first = next(iter(self.snapshots())).state
        about: dict[str, Any] = {"tokenizer_hash": None}
        if isinstance(first, Running) and isinstance(self.text, Text):
            about["tokenizer_hash"] = first.model.tokenizer().fingerprint()
        stored = self.models.describe()
        configuration = json.loads(stored.get("configuration") or "{}") | {
            "run_on": self.text_name,
            "run_with": self.options.told,
        }
        return stored | about | {
            "source": f"{stored.get('source')} on {self.text_name}",
            "configuration": json.dumps(configuration, sort_keys=True, default=str),
            "text_hash": self.text_hash,
            "dtype": self.options.dtype,
            "device": self.options.device,
            "null_of": self.null_of,
        }  # fmt: skip


@dataclass(frozen=True)
class Unrunnable:
    """Stands for a checkpoint that cannot be run: whoever wants to read it raises the Failure."""

    failure: Failure


def _tokens_or_text(text: Any, prompts: int) -> Text | Prompts:
    if isinstance(text, Prompts):
        return text
    if isinstance(text, np.ndarray) or (isinstance(text, Sequence) and text and not isinstance(text[0], str)):
        return Prompts.given(text)
    return open_text(text, documents=prompts)


def _hash_of(prompts: Prompts) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for row in prompts.tokens:
        digest.update(len(row).to_bytes(8, "little") + row.tobytes())
    return digest.hexdigest()


def _finder(source: Source) -> Callable[[Snapshot], Runnable]:
    """How to load what a snapshot of a source stands for. Raises Failure for sources that no model can be run from."""
    if isinstance(source, LadderSource):
        places: Mapping[int, Any] = {rung.step: rung.place for rung in source.rungs}
        return lambda snapshot: _stored(_opened(snapshot, places[snapshot.step]))
    if isinstance(source, CheckpointSource):
        address = hub.Address.parse(source.origin)
        place = Path(source.origin)
        if place.exists():
            return lambda snapshot: Stored.at(place)
        if address:
            return lambda snapshot: _stored(replace(address, revision=source.revision or address.revision))
    raise Failure(f"{source.run} holds arrays and no model that could be run.", "name a folder, a file or a hub id")


def _opened(snapshot: Snapshot, place: Any) -> Any:
    """The place of a rung. Raises the Failure of a rung that could not be opened."""
    _ = snapshot.state.pieces
    return place


def _stored(place: Any) -> Stored:
    return Stored(place.repo, place.file, place.revision) if isinstance(place, hub.Address) else Stored.at(place)
