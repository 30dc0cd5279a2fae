"""Tokenizers: a model's own, and plain bytes for models that were trained on bytes."""

import abc
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

BYTES = 256
"""Token ids of a byte-level vocabulary; one more is the token that begins a text."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of one passage, which of them the tokenizer put in, and where each ends in the text's UTF-8 bytes.

    `ends` is None where the tokenizer does not tell.
    """

    tokens: np.ndarray
    special: np.ndarray
    ends: np.ndarray | None

    @property
    def predicted_bytes(self) -> int | None:
        """Bytes of the text that the tokens after the first stand for."""
        return None if self.ends is None else int(self.ends.max() - self.ends[0])


class Tokenizer(abc.ABC):
    """Text in, token ids out."""

    limit: int
    """The longest prompt it is made for."""

    @abc.abstractmethod
    def encode(self, text: str, most: int) -> Encoded:
        """At most `most` tokens of a text's beginning, with the special tokens that the model expects around it."""

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Hash of what decides how text is cut."""

    def texts(self, tokens: np.ndarray) -> list[str]:
        """The text of each token alone, part of a letter as �; its number and a space if that is not known."""
        return [f"{token} " for token in tokens]


@dataclass(frozen=True)
class Bytes(Tokenizer):
    """UTF-8 bytes as tokens; with `begins`, token 256 stands before them."""

    begins: bool = False
    limit: int = 1 << 62

    def encode(self, text: str, most: int) -> Encoded:
        content = np.frombuffer(text.encode("utf-8"), np.uint8)[: most - self.begins].astype(np.int64)
        tokens = np.concatenate([np.full(int(self.begins), BYTES), content])
        special = np.arange(len(tokens)) < self.begins
        return Encoded(tokens, special, np.cumsum(~special))

    def fingerprint(self) -> str:
        return f"bytes{BYTES + self.begins}"

    def texts(self, tokens: np.ndarray) -> list[str]:
        return [bytes([token]).decode("utf-8", "replace") if token < BYTES else "" for token in tokens]


@dataclass(frozen=True)
class HubTokenizer(Tokenizer):
    """A transformers tokenizer."""

    inner: Any

    @property
    def limit(self) -> int:
        return self.inner.model_max_length

    def encode(self, text: str, most: int) -> Encoded:
        found = self.inner(
            text,
            truncation=True,
            max_length=most,
            return_special_tokens_mask=True,
            return_offsets_mapping=self.inner.is_fast,
            return_attention_mask=False,
        )
        special = np.array(found["special_tokens_mask"], bool)
        ends = _byte_ends(text, found["offset_mapping"], special) if self.inner.is_fast else None
        return Encoded(np.array(found["input_ids"], np.int64), special, ends)

    def fingerprint(self) -> str:
        if self.inner.is_fast:
            told = self.inner.backend_tokenizer.to_str()
        else:
            told = repr(sorted(self.inner.get_vocab().items()))
        return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()

    def texts(self, tokens: np.ndarray) -> list[str]:
        return [self.inner.decode([int(token)]) for token in tokens]


def _byte_ends(text: str, offsets: list[tuple[int, int]], special: np.ndarray) -> np.ndarray:
    """Where each token ends, in bytes; a special token ends where the one before it does."""
    ends = np.array([end for _, end in offsets], int)
    at = np.cumsum([0, *(len(letter.encode("utf-8", "surrogatepass")) for letter in text[: ends.max(initial=0)])])
    ends = at[ends]
    return np.maximum.accumulate(np.where(special, 0, ends))
