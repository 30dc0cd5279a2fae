"""A checkpoint in several files: an index (`*.index.json`) says which tensor lies in which."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gedanken.sources.tensor_files.base import TensorFile
from gedanken.sources.tensor_files.checks import shown
from gedanken.sources.tensor_files.file_bytes import HEADER_LIMIT, FileBytes
from gedanken.status import Failure


class ShardedFile(TensorFile):
    """The union of the files that an index names. Where two shards hold one tensor, the index decides.

    `opener` opens one shard. Raises Failure if the index is no index, points outside its folder or at a missing file,
    or names a tensor that its shard lacks; and whatever opening a shard raises.
    """

    def __init__(self, path: str | os.PathLike, opener: Callable[[Path], TensorFile]):
        file = FileBytes.of(path)
        self.label = file.path
        self.metadata, shard_of = _index(file)
        folder = Path(path).parent
        self.shards = {shard: opener(_inside(folder, shard, file.path)) for shard in sorted(set(shard_of.values()))}
        for name, shard in shard_of.items():
            if name not in self.shards[shard].tensors:
                raise Failure(f"{file.path}: {shown(name)} is not in {shown(shard)}, where the index says it is.")
        self.shard_of = shard_of
        self.tensors = {name: self.shards[shard].tensors[name] for name, shard in shard_of.items()}

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        self.info(name)
        return self.shards[self.shard_of[name]].read(name, start, stop)

    def fingerprint(self) -> str:
        digest = hashlib.blake2b(json.dumps(self.shard_of, sort_keys=True).encode(), digest_size=16)
        for shard, file in self.shards.items():
            digest.update(f"{shard} {file.fingerprint()}\n".encode())
        return digest.hexdigest()

    def close(self) -> None:
        for file in self.shards.values():
            file.close()


def _index(file: FileBytes) -> tuple[Mapping[str, Any], dict[str, str]]:
    """The index's metadata and its map from tensor names to shard names."""
    if file.size > HEADER_LIMIT:
        raise Failure(f"{file.path} is too large to be an index.")
    try:
        index = json.loads(file.read(0, file.size).decode("utf-8"))
    except (OSError, EOFError) as error:
        raise Failure(f"{file.path} could not be read: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise Failure(f"{file.path} is not valid JSON.") from error
    shard_of = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shard_of, dict) or not shard_of or not all(isinstance(s, str) for s in shard_of.values()):
        raise Failure(f"{file.path} has no weight_map from tensor names to file names.")
    metadata = index.get("metadata", {})
    return metadata if isinstance(metadata, dict) else {}, shard_of


def _inside(folder: Path, shard: str, label: str) -> Path:
    """The shard's path. Raises Failure unless it is a plain name of a file in the index's folder.

    A link is followed only where it stays in the folder, or where the index itself is a link into the same place (hub
    caches keep every file as a link to a store).
    """
    if not shard or shard in (".", "..") or any(mark in shard for mark in "/\\\0:"):
        raise Failure(f"{label} points outside its folder: {shown(shard)}.")
    path = folder / shard
    try:
        real, allowed = path.resolve(strict=True), {folder.resolve(), Path(label).resolve().parent}
    except (OSError, ValueError, RuntimeError) as error:
        raise Failure(f"{label} names the file {shown(shard)}, which is missing.") from error
    if real.parent not in allowed:
        raise Failure(f"{label} points outside its folder: {shown(shard)} is a link to {real}.")
    return path
