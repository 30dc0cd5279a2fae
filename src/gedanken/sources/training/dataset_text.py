"""DatasetText: a data set of Hugging Face's `datasets` as a text, written datasets:NAME[:CONFIG[:SPLIT[:COLUMN]]]."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from gedanken.sources.texts.base import Text
from gedanken.status import Failure


@dataclass(frozen=True)
class DatasetText(Text):
    """The rows of one column from the first on, streamed until they have `limit` bytes."""

    PREFIX: ClassVar[str] = "datasets:"

    name: str
    config: str | None = None
    split: str = "train"
    column: str = "text"
    limit: int = 1 << 40

    @classmethod
    def parse(cls, address: str, limit: int) -> "DatasetText":
        name, config, split, column, *_ = (*address.removeprefix(cls.PREFIX).split(":"), "", "", "")
        return cls(name, config or None, split or "train", column or "text", limit)

    def documents(self) -> Iterator[str]:
        """Raises Failure if `datasets` is not installed, the data set cannot be had, or it has no such column."""
        try:
            import datasets
        except ImportError as absent:
            raise Failure("Reading a data set takes the package datasets.", "pip install datasets") from absent
        try:
            rows = datasets.load_dataset(self.name, self.config, split=self.split, streaming=True)
        except (OSError, ValueError, RuntimeError) as broken:
            raise Failure(f"The data set {self.name} could not be loaded: {broken}.") from broken
        size = 0
        for row in rows:
            if self.column not in row:
                raise Failure(f"The data set {self.name} has no column {self.column}; it has {', '.join(row)}.")
            yield row[self.column]
            size += len(row[self.column].encode("utf-8", "replace"))
            if size >= self.limit:
                return
