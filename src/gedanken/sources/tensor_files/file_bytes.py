"""FileBytes: the bytes of one file, read in stretches that are known to lie inside it, and their fingerprint.

Files are read, not mapped: a file that shrinks under a mapping ends the process with a bus error, while a short read
is an error that can be told. The bytes go straight into the caller's array, so nothing is held twice.
"""

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from gedanken.status import Failure

HEADER_LIMIT = 100_000_000
"""Longest header that is read, in bytes: the limit of the safetensors format, used for GGUF too."""

_LFS = b"version https://git-lfs"
_EVEN_STRETCHES = 64
_EXTRA_STRETCHES = 1024
_STRETCH = 4096
"""Sampling for the fingerprint: 64 pages evenly over the file, and one page in up to 1024 tensors, so that a change to
some tensors only (a merged adapter) is seen. About 4 MB are read at most, whatever the file's size."""

_AT_ONCE = 1 << 24
"""Bytes asked of a stream at a time: unpacking streams hold that many twice."""


@dataclass(frozen=True, slots=True)
class FileBytes:
    """A file of known size. Nothing stays open between reads."""

    path: str
    size: int

    @classmethod
    def of(cls, path: str | os.PathLike) -> "FileBytes":
        """The bytes of the file at `path`. Raises Failure if it is missing, no plain file, unreadable or empty."""
        path = os.fspath(path)
        try:
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):
                raise Failure(f"{path} is not a file.")
            with open(path, "rb") as stream:
                head = stream.read(len(_LFS))
        except OSError as error:
            raise Failure(f"{path} could not be opened: {error.strerror}.") from error
        if not head:
            raise Failure(f"{path} is empty.")
        if head == _LFS:
            raise Failure(f"{path} is a Git LFS pointer: the weights were not downloaded.", "git lfs pull")
        return cls(path, status.st_size)

    def open(self) -> BinaryIO:
        """The file, unbuffered. Raises OSError if it is gone, EOFError if its size has changed."""
        stream = open(self.path, "rb", buffering=0)
        if os.fstat(stream.fileno()).st_size != self.size:
            stream.close()
            raise EOFError("its size has changed since it was opened")
        return stream

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset`. Raises OSError, or EOFError if there are fewer."""
        out = np.empty(count, np.uint8)
        with self.open() as stream:
            stream.seek(offset)
            fill(stream, out)
        return out.tobytes()

    def fingerprint(self, header: int = 0, offsets: Iterable[int] = (), note: str = "") -> str:
        """Hash of the size, `note`, the first `header` bytes, evenly sampled pages, and pages at some of `offsets`.

        Depends on the content alone, not on the file's name or date. Raises Failure if it cannot be read.
        """
        offsets = sorted(offset for offset in offsets if 0 <= offset < self.size)
        even = (self.size * i // _EVEN_STRETCHES for i in range(_EVEN_STRETCHES))
        last = max(0, self.size - _STRETCH)
        sampled = sorted({*even, *offsets[:: max(1, -(-len(offsets) // _EXTRA_STRETCHES))], last})
        digest = hashlib.blake2b(f"{self.size}\n{note}".encode("utf-8", "surrogateescape"), digest_size=16)
        try:
            with self.open() as stream:
                digest.update(stream.read(header))
                for offset in sampled:
                    stream.seek(offset)
                    digest.update(stream.read(_STRETCH))
        except (OSError, EOFError) as error:
            raise Failure(f"{self.path} could not be read: {error}.") from error
        return digest.hexdigest()


def fill(stream: BinaryIO, out: np.ndarray) -> None:
    """Fill `out` (uint8, contiguous) from `stream`. Raises EOFError if the stream ends first."""
    view, done = memoryview(out), 0
    while done < len(view):
        count = stream.readinto(view[done : done + _AT_ONCE])
        if not count:
            raise EOFError(f"it ends {len(view) - done} bytes early")
        done += count
