"""Text: named documents that a model is run on, read when asked for."""

import abc
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


class Text(abc.ABC):
    """Documents in a fixed order. A text holds names, never the documents, unless they were given as they are."""

    name: str
    """What the run is called after: `stdlib`, a file's stem."""

    @abc.abstractmethod
    def documents(self) -> Iterator[str]:
        """The documents, in order. Raises Failure if one cannot be read."""

    def fingerprint(self) -> str:
        """Hash of all documents."""
        digest = hashlib.blake2b(digest_size=16)
        for document in self.documents():
            content = document.encode("utf-8", "surrogatepass")
            digest.update(len(content).to_bytes(8, "little") + content)
        return digest.hexdigest()


@dataclass(frozen=True)
class Given(Text):
    """Documents that are there already."""

    name: str
    given: Sequence[str]

    def documents(self) -> Iterator[str]:
        yield from self.given
