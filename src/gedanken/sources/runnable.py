"""Runnable: a model that can be loaded and run, by where it is stored or as the live module itself.

transformers and torch are imported when a model is first asked for. Code that a model brings along is never run
(`trust_remote_code` stays off).
"""

import abc
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from gedanken.sources.tokenizers import BYTES, Bytes, HubTokenizer, Tokenizer
from gedanken.status import Failure

_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_target_positions", "context")
"""How configurations call the longest prompt that they have positions for."""


class Runnable(abc.ABC):
    """A model, to be loaded when it is run."""

    @property
    @abc.abstractmethod
    def config(self) -> Mapping[str, Any]:
        """Its configuration; empty where there is none."""

    @abc.abstractmethod
    def skeleton(self) -> Any:
        """The module without values, to see its structure."""

    @abc.abstractmethod
    def load(self, device: str, dtype: str) -> Any:
        """The module, ready to run. Raises Failure if it cannot be had."""

    @abc.abstractmethod
    def random_twin(self, device: str, dtype: str, seed: int) -> Any:
        """The same architecture with freshly drawn weights. Raises Failure if there is no configuration to draw from."""

    @abc.abstractmethod
    def tokenizer(self) -> Tokenizer:
        """Its own tokenizer, or bytes for a vocabulary of 256 or 257. Raises Failure if there is none."""

    @property
    def longest(self) -> int | None:
        """The longest prompt that its configuration allows, if that is stated."""
        stated = [self.config.get(name) for name in _POSITIONS]
        most = next((value for value in stated if isinstance(value, int) and value > 0), None)
        if most is not None and self.config.get("model_type") in _OFFSET_POSITIONS:
            return most - int(self.config.get("pad_token_id") or 0) - 1
        return most

    @property
    def vocabulary(self) -> int | None:
        size = self.config.get("vocab_size")
        return size if isinstance(size, int) else None

    def _bytes(self) -> Tokenizer | None:
        return Bytes(self.vocabulary == BYTES + 1) if self.vocabulary in (BYTES, BYTES + 1) else None


_SPREAD = frozenset(("auto", "balanced", "balanced_low_0", "sequential"))
"""How transformers calls the ways of spreading a model over all devices."""

_OFFSET_POSITIONS = frozenset(("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "longformer", "mpnet", "esm"))
"""Families whose positions begin behind the padding's, so that the first ones of the table are never used."""


@dataclass(frozen=True)
class Stored(Runnable):
    """A model in a folder, in a GGUF file of a folder, or on the hub (`name` is its repository)."""

    name: str
    file: str | None = None
    revision: str | None = None

    @classmethod
    def at(cls, path: Path) -> "Stored":
        """A folder, or a file: a GGUF is loaded from itself, other weights from the folder around them."""
        path = Path(path)
        if path.suffix == ".gguf":
            return cls(str(path.parent), path.name)
        return cls(str(path if path.is_dir() else path.parent))

    @property
    def keywords(self) -> dict[str, Any]:
        found = {"gguf_file": self.file} if self.file else {}
        return found | ({"revision": self.revision} if self.revision else {})

    @property
    def label(self) -> str:
        return f"{self.name}/{self.file}" if self.file else self.name

    @cached_property
    def config(self) -> Mapping[str, Any]:
        return _configuration(self).to_dict()

    @cached_property
    def _class(self) -> Any:
        """The auto class of what the configuration says that the weights are; GGUF files hold causal models."""
        from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

        classes = {
            ("ForCausalLM", "LMHeadModel"): AutoModelForCausalLM,
            ("ForMaskedLM",): AutoModelForMaskedLM,
            ("ForConditionalGeneration", "ForSeq2SeqLM"): AutoModelForSeq2SeqLM,
        }
        names = self.config.get("architectures") or (["ForCausalLM"] if self.file else [])
        for endings, found in classes.items():
            if any(str(name).endswith(endings) for name in names):
                return found
        return AutoModel

    def skeleton(self) -> Any:
        import torch

        with _told(self.label, "its architecture"), torch.device("meta"):
            return self._class.from_config(_configuration(self))

    def load(self, device: str, dtype: str) -> Any:
        import torch

        # Words and devices that transformers gives to accelerate, which puts what does not fit on a device in memory, and
        # what does not fit there on disk.
        where = {"device_map": device} if device != "cpu" else {}
        with _told(self.label, "the model"), without_bars():
            kind = vars(torch)[dtype]
            return self._class.from_pretrained(
                self.name, config=_configuration(self), dtype=kind, **where, **self.keywords
            ).eval()

    def random_twin(self, device: str, dtype: str, seed: int) -> Any:
        import torch

        # The seed holds inside the block only; the state of the process is put back.
        with _told(self.label, "its random twin"), torch.random.fork_rng(devices=[]):
            torch.random.manual_seed(seed)
            twin = self._class.from_config(_configuration(self), dtype=vars(torch)[dtype])
            return twin.to("cpu" if device in _SPREAD else device).eval()

    def tokenizer(self) -> Tokenizer:
        if (plain := self._bytes()) is not None and not self.file and not _has_tokenizer(self.name):
            return plain
        return _tokenizer(self)


@lru_cache(maxsize=8)
def _configuration(model: Stored) -> Any:
    """Kept, because reading the one in a GGUF file takes seconds."""
    from transformers import AutoConfig

    with _told(model.label, "its configuration"):
        return AutoConfig.from_pretrained(model.name, **model.keywords)


@lru_cache(maxsize=8)
def _tokenizer(model: Stored) -> Tokenizer:
    from transformers import AutoTokenizer

    try:
        with _told(model.label, "its tokenizer"):
            return HubTokenizer(AutoTokenizer.from_pretrained(model.name, **model.keywords))
    except Failure as failure:
        raise Failure(
            f"{model.label} has no tokenizer that can be loaded, so text cannot be fed to it.",
            "put tokenizer.json beside the model, or give tokens instead of text",
        ) from failure


@dataclass(frozen=True)
class Live(Runnable):
    """A module that is in memory. It is run where it is and as it is; its mode is put back afterwards."""

    module: Any
    given: Tokenizer | None = None
    known: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def config(self) -> Mapping[str, Any]:
        return dict(self.known) or _config_of(self.module)

    def skeleton(self) -> Any:
        return self.module

    def load(self, device: str, dtype: str) -> Any:
        return self.module

    def random_twin(self, device: str, dtype: str, seed: int) -> Any:
        import torch

        if not _is_pretrained(self.module):
            name = type(self.module).__name__
            raise Failure(f"{name} has no configuration that a twin with random weights could be made from.")
        with torch.random.fork_rng(devices=[]):
            torch.random.manual_seed(seed)
            twin = type(self.module)(self.module.config)
        return twin.to(device=device_of(self.module), dtype=next(self.module.parameters()).dtype).eval()

    def tokenizer(self) -> Tokenizer:
        found = self.given or self._bytes()
        if found is None:
            raise Failure(
                "A live module brings no tokenizer, so text cannot be fed to it.", "give it one: tokenizer=…, or tokens"
            )
        return found


def device_of(module: Any) -> Any:
    """Where tokens go: the device of the first parameters. Those on `meta` are loaded when they are needed, by hooks that
    also bring tokens from the host to where they run."""
    import torch

    devices = (parameter.device for parameter in module.parameters())
    return next((device for device in devices if device.type != "meta"), torch.device("cpu"))


def _is_pretrained(module: Any) -> bool:
    from transformers import PreTrainedModel

    return isinstance(module, PreTrainedModel)


def _config_of(module: Any) -> dict[str, Any]:
    return module.config.to_dict() if _is_pretrained(module) else {}


def _has_tokenizer(folder: str) -> bool:
    return any((Path(folder) / name).exists() for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"))


@contextmanager
def _told(label: str, what: str) -> Iterator[None]:
    """What transformers raises for files it cannot use, and torch for devices that are not there, as one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, AssertionError) as error:
        line = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
        raise Failure(f"{label}: {what} could not be loaded: {line}.") from error


@contextmanager
def without_bars() -> Iterator[None]:
    """No progress bars of transformers while a model is loaded; ours says how far a scan is. The one of GGUF files can
    only be kept off by taking its stream away."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        if shown:
            logging.enable_progress_bar()
