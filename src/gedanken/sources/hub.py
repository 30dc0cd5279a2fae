"""The Hugging Face hub: a model's files by id, fetched by huggingface_hub into its cache. Nothing else goes online.

An address is `org/name@revision` or `org/name/file.gguf@revision`, where the revision may be left out; one with a
wildcard is a ladder.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from gedanken.status import Failure

_ADDRESS = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<file>[\w./-]+\.gguf))?(?:@(?P<revision>[^@\s]+))?")

_COMMIT = re.compile(r"[0-9a-f]{40}")
"""The name of a snapshot's folder in the cache."""
_SMALL = ("config.json", "adapter_config.json", "trainer_state.json")
_WEIGHTS = (("*.safetensors", "*.safetensors.index.json"), ("*.bin", "*.bin.index.json"))
"""Kinds of weights in order of preference: all of the first kind that a repository holds are fetched."""
_UNWANTED = ("*/*", "consolidated*", "training_args.bin", "optimizer.bin", "scheduler.bin")
"""Sub-folders hold other formats, `consolidated` the same weights again under other names."""


@dataclass(frozen=True, slots=True)
class Address:
    """A model on the hub: repository, revision (branch, tag or commit), and the file for a GGUF."""

    repo: str
    revision: str | None = None
    file: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Address | None":
        """The address that `text` writes, or None if it cannot be one."""
        match = _ADDRESS.fullmatch(text)
        return match and cls(**match.groupdict())

    def __str__(self) -> str:
        file = f"/{self.file}" if self.file else ""
        return f"{self.repo}{file}" + (f"@{self.revision}" if self.revision else "")

    @property
    def is_ladder(self) -> bool:
        return self.revision is not None and any(sign in self.revision for sign in "*?[")


def fetch(address: Address) -> tuple[Path, str | None]:
    """The local folder (or GGUF file) of a model, fetched if it is not in the cache yet, and its commit.

    Raises Failure with one sentence if it cannot be had.
    """
    if address.file:
        path = Path(_asked(address, lambda: _file(address)))
        return path, next((folder.name for folder in path.parents if _COMMIT.fullmatch(folder.name)), None)
    for patterns in _WEIGHTS:
        folder = Path(_asked(address, lambda patterns=patterns: _snapshot(address, (*_SMALL, *patterns))))
        if any(folder.glob(patterns[0])):
            return folder, folder.name if _COMMIT.fullmatch(folder.name) else None
    raise Failure(
        f"{address.repo} on the hub holds no .safetensors or .bin weights at its top level.",
        f"name one of its GGUF files, if it has some: {address.repo}/FILE.gguf",
    )


def ladder(address: Address) -> list[Address]:
    """The branches and tags of a repository that match the address's pattern, unordered. Raises Failure if none do."""
    refs = _asked(address, lambda: huggingface_hub.HfApi().list_repo_refs(address.repo))
    names = {ref.name for ref in (*refs.branches, *refs.tags)}
    matching = [name for name in sorted(names) if fnmatchcase(name, address.revision or "*")]
    if not matching:
        some = ", ".join(sorted(names)[:5])
        raise Failure(f"{address.repo} has no revision that matches {address.revision}; it has {some}.")
    return [replace(address, revision=name) for name in matching]


def _snapshot(address: Address, patterns: tuple[str, ...]) -> str:
    return huggingface_hub.snapshot_download(
        address.repo, revision=address.revision, allow_patterns=list(patterns), ignore_patterns=list(_UNWANTED)
    )


def _file(address: Address) -> str:
    return huggingface_hub.hf_hub_download(address.repo, address.file, revision=address.revision)


def _asked(address: Address, request: Callable[[], Any]) -> Any:
    """The answer to a request, with the hub's errors put into one sentence each."""
    try:
        return request()
    except GatedRepoError as error:
        raise Failure(f"{address.repo} is gated: its owner must grant access.", "huggingface-cli login") from error
    except RevisionNotFoundError as error:
        raise Failure(f"{address.repo} has no revision {address.revision}.", f"{address.repo}@main") from error
    except RepositoryNotFoundError as error:
        sentence = f"There is no path {address.repo}, and no model of that name on the hub (or it is private)."
        raise Failure(sentence) from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
        sentence = f"{address} is not in the local cache and the hub cannot be reached."
        mend = "unset HF_HUB_OFFLINE" if huggingface_hub.is_offline_mode() else "check the connection"
        raise Failure(sentence, f"{mend}, or name a local folder") from error
    except EntryNotFoundError as error:
        raise Failure(f"{address.repo} holds no file {address.file}.") from error
    except HFValidationError as error:
        raise Failure(f"{address} is not a valid hub id.") from error
    except (HfHubHTTPError, OSError) as error:
        raise Failure(f"{address} could not be fetched from the hub: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
