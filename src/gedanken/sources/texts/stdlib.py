"""The Python standard library's source: 13 MB of text that is on every machine with Python."""

import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gedanken.sources.texts.base import Text

_LEFT_OUT = frozenset(("test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"))
"""Folders that are not the library itself: its tests, and what was installed beside it."""


@dataclass(frozen=True)
class StandardLibrary(Text):
    """Every module of the running Python's standard library that is written in Python, in the order of their paths."""

    name: str = "stdlib"

    def documents(self) -> Iterator[str]:
        folder = Path(sysconfig.get_path("stdlib"))
        for path in sorted(folder.rglob("*.py")):
            if _LEFT_OUT.isdisjoint(path.relative_to(folder).parts):
                content = path.read_bytes()
                # A few files are in older encodings; they are left out.
                if _is_utf8(content):
                    yield content.decode("utf-8")


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
