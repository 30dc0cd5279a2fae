"""Texts on disk: a plain file (one document), a .jsonl file (one document a line), a folder (one document a file)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gedanken.sources.texts.base import Text
from gedanken.status import Failure


@dataclass(frozen=True)
class FileText(Text):
    """A file or folder of UTF-8 text. In a folder, files that are no text are left out; so are hidden ones.

    Lines of a .jsonl file are objects with a field `text`.
    """

    path: Path

    @property
    def name(self) -> str:
        return self.path.resolve().stem

    def documents(self) -> Iterator[str]:
        """Raises Failure if the path is not there, is no text, or a .jsonl line has no text."""
        if not self.path.exists():
            raise Failure(f"There is no text {self.path}.", "name a file or folder, or the words stdlib or logic")
        if self.path.is_dir():
            for path in sorted(self.path.rglob("*")):
                if path.is_file() and not any(part.startswith(".") for part in path.relative_to(self.path).parts):
                    yield from _read(path, strict=False)
        else:
            yield from _read(self.path, strict=True)


def _read(path: Path, *, strict: bool) -> Iterator[str]:
    try:
        content = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        if strict:
            raise Failure(f"{path} is no UTF-8 text: byte {error.start} cannot be decoded.") from error
        return
    except OSError as error:
        raise Failure(f"{path} could not be read: {error.strerror or error}.") from error
    if path.suffix == ".jsonl":
        yield from _lines(path, content)
    else:
        yield content


def _lines(path: Path, content: str) -> Iterator[str]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Failure(f"Line {number} of {path} is no JSON: {error}.") from error
        if not isinstance(found, dict) or not isinstance(found.get("text"), str):
            raise Failure(f"Line {number} of {path} has no field `text` that is a string.")
        yield found["text"]
