"""open_text: whatever the user calls a text → a Text."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gedanken.sources.texts.base import Given, Text
from gedanken.sources.texts.files import FileText
from gedanken.sources.texts.logic import LogicText
from gedanken.sources.texts.stdlib import StandardLibrary
from gedanken.status import Failure


def open_text(text: Any, *, documents: int = 2000) -> Text:
    """The text that a word, a path, a list of documents or a Text names.

    `stdlib` is Python's standard library, `logic` generated statements of known truth, of which there are `documents`.
    Raises Failure for anything else.
    """
    if isinstance(text, Text):
        return text
    if text == "stdlib":
        return StandardLibrary()
    if text == "logic":
        return LogicText(count=documents)
    if isinstance(text, str | os.PathLike):
        return FileText(Path(text).expanduser())
    if isinstance(text, Sequence) and all(isinstance(document, str) for document in text):
        return Given("given", tuple(text))
    raise Failure(f"A text is a path, stdlib, logic or a list of documents, not a {type(text).__name__}.")
