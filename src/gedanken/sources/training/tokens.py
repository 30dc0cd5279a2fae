"""Tokens: bytes as they are, or byte pairs learnt on the text. Both are saved as a tokenizer that transformers loads."""

import abc
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from gedanken.status import Failure

SEPARATOR = 0
"""Token between documents: <|endoftext|> of a byte-pair encoding, and the byte 0, which no text holds."""

_BATCH = 256
"""Documents encoded at a time."""


class Tokens(abc.ABC):
    """How documents become numbers below `vocabulary`."""

    vocabulary: int
    tokenizer: Tokenizer

    @abc.abstractmethod
    def encode(self, documents: Sequence[str]) -> Int[np.ndarray, " token"]:
        """All documents in one row, SEPARATOR after each."""

    def fingerprint(self) -> str:
        return hashlib.blake2b(self.tokenizer.to_str().encode(), digest_size=16).hexdigest()

    def files(self, context: int) -> dict[str, str]:
        """File name → content, as transformers reads them."""
        end = self.tokenizer.id_to_token(SEPARATOR)
        about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": context, "eos_token": end}
        return {
            "tokenizer.json": self.tokenizer.to_str(),
            "tokenizer_config.json": json.dumps(about | {"bos_token": end}, indent=2, ensure_ascii=False),
        }


class Bytes(Tokens):
    """A token is a byte of UTF-8."""

    vocabulary = 256

    def __init__(self):
        vocabulary = {character: byte for byte, character in enumerate(_byte_characters())}
        self.tokenizer = _dressed(Tokenizer(models.BPE(vocab=vocabulary, merges=[])))

    def encode(self, documents: Sequence[str]) -> Int[np.ndarray, " token"]:
        joined = "".join(document + chr(SEPARATOR) for document in documents)
        return np.frombuffer(joined.encode("utf-8", "replace"), np.uint8)


class BytePairs(Tokens):
    """A token is a sequence of bytes that is frequent in the text [@sennrich2016]."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.vocabulary = tokenizer.get_vocab_size()

    @classmethod
    def learnt(cls, documents: Sequence[str], vocabulary: int) -> "BytePairs":
        """Raises Failure if the vocabulary is smaller than the 256 bytes, or larger than the text can fill."""
        if vocabulary < 257:
            raise Failure(
                f"A byte-pair encoding has the 256 bytes, a separator and some pairs: {vocabulary} is too few.",
                "--set tokens=bytes --set vocabulary=256",
            )
        tokenizer = _dressed(Tokenizer(models.BPE()))
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(documents, trainer)
        found = tokenizer.get_vocab_size()
        if found < vocabulary:
            raise Failure(
                f"The text gives only {found} byte-pair tokens, fewer than the vocabulary of {vocabulary}.",
                f"--set vocabulary={found}, or a longer text",
            )
        return cls(tokenizer)

    @classmethod
    def load(cls, path: Path) -> "BytePairs":
        """Raises Failure if the file is no tokenizer."""
        try:
            return cls(Tokenizer.from_buffer(Path(path).read_bytes()))
        except (OSError, ValueError) as broken:
            raise Failure(f"{path} is no tokenizer: {broken}.") from broken

    def encode(self, documents: Sequence[str]) -> Int[np.ndarray, " token"]:
        small = np.uint16 if self.vocabulary <= 1 << 16 else np.uint32
        rows = []
        for start in range(0, len(documents), _BATCH):
            for found in self.tokenizer.encode_batch_fast(documents[start : start + _BATCH], add_special_tokens=False):
                rows.append(np.array([*found.ids, SEPARATOR], small))
        return np.concatenate(rows) if rows else np.zeros(0, small)


def _dressed(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _byte_characters() -> list[str]:
    """The printable character that stands for each byte in byte-level vocabularies [@radford2019language, § 2.2]:
    itself where Latin-1 prints it, the others from U+0100 on."""
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printed else chr(next(others)) for byte in range(256)]
