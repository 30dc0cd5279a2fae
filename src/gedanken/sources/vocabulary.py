"""Vocabulary: the text of each token of a stored model, from tokenizer.json, vocab.txt or the keys of a GGUF file.

Only the list of tokens is read, with the standard library; text is not cut into tokens here. Tokens that begin a word
are stored with a mark, those that go on with none, or the other way round; here the former begin with a space.
"""

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gedanken.sources.checkpoints import Checkpoint
from gedanken.sources.tensor_files.gguf_header import GGUFMetadata
from gedanken.status import Failure

LIMIT = 256 << 20
"""Bytes of a tokenizer file that are read; those of 260,000 tokens take about 40 million."""
_STARTS = ("Ġ", "▁")
"""What begins a word: byte-level alphabets, and sentencepiece."""
_GOES_ON = "##"
"""What goes on a word: WordPiece."""
_SPECIAL = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|<\|.*\|>")
_UNUSED = re.compile(r"^[<\[]\W*(unused|reserved|extra_id)|^madeupword\d+$", re.IGNORECASE)
"""Places kept free in a vocabulary: [unused12], <|reserved_special_token_3|>, <extra_id_0>, madeupword0001."""
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
"""A single byte among sentencepiece's tokens."""
_NUMBER = re.compile(r"#?(\d+)")


def _byte_alphabet() -> dict[str, int]:
    """Character → byte of the byte-level alphabet: printable Latin-1 stands for itself, the rest for 256, 257 …"""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a model in the order of their ids, as stored."""

    tokens: tuple[str, ...]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """What each token writes; a word's beginning begins with a space."""
        style = self._style
        if style == "Ġ":
            alphabet = _byte_alphabet()
            return tuple(
                bytes(alphabet[letter] for letter in token).decode("utf-8", "replace")
                if all(letter in alphabet for letter in token)
                else token
                for token in self.tokens
            )
        if style == _GOES_ON:
            return tuple(
                token.removeprefix(_GOES_ON) if token.startswith(_GOES_ON) or _SPECIAL.fullmatch(token) else f" {token}"
                for token in self.tokens
            )
        return tuple(_BYTE.sub(_letter, token).replace("▁", " ") for token in self.tokens)

    @cached_property
    def _style(self) -> str:
        """The mark that most tokens carry."""
        counts = {mark: sum(token.startswith(mark) for token in self.tokens) for mark in (*_STARTS, _GOES_ON)}
        return max(counts, key=counts.__getitem__)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {text: number for number, text in reversed([*enumerate(self.tokens), *enumerate(self.texts)])}

    def find(self, word: str) -> int:
        """The id of a word: as the beginning of a word if there is such a token, else as written; or of `#123`.

        Raises Failure, with the nearest tokens, if it is not one token.
        """
        for written in (f" {word}", word):
            if written in self._ids:
                return self._ids[written]
        if word.startswith("#") and (number := _NUMBER.fullmatch(word)):
            return in_range(int(number[1]), len(self.tokens))
        near = difflib.get_close_matches(f" {word}", self._ids, n=3)
        raise Failure(
            f"{word!r} is not one token of this vocabulary of {len(self.tokens):,}.",
            " or ".join(text.strip() for text in near) or "#ID, its number",
        )

    def containing(self, words: Iterable[str]) -> list[int]:
        """The ids of every token that contains one of the words, in any case [@guha2026representational]."""
        wanted = {word.strip().casefold() for word in words} - {""}
        return [i for i, text in enumerate(self.texts) if any(word in text.casefold() for word in wanted)]

    def trainable(self, rows: int) -> list[bool]:
        """Of each row of a table with `rows` rows, whether text can give it: not padding rows past the vocabulary, not
        tokens that are empty, reserved or unused, and not pieces of a letter, which decode to no text alone."""
        return [bool(text) and not _UNUSED.search(text) and "\ufffd" not in text for text in self.texts[:rows]] + [
            False
        ] * (rows - len(self.texts))

    def text(self, number: int) -> str:
        """What a row of the table writes; rows past the vocabulary are padding."""
        return self.texts[number] if number < len(self.texts) else "(no token)"


def _letter(byte: re.Match) -> str:
    """What a byte writes alone: a letter of ASCII, or no text."""
    return bytes([int(byte[1], 16)]).decode("utf-8", "replace")


def find_token(word: str, rows: int, vocabulary: Vocabulary | None) -> int:
    """The id of a word, or of a number where there is no vocabulary. Raises Failure if there is none."""
    if vocabulary is not None:
        return in_range(vocabulary.find(word), rows)
    number = _NUMBER.fullmatch(word)
    if number is None:
        raise Failure(f"There is no tokenizer beside this model, so {word!r} cannot be looked up.", "a token's id")
    return in_range(int(number[1]), rows)


def in_range(number: int, rows: int) -> int:
    """The id itself. Raises Failure if there is no such row."""
    if not 0 <= number < rows:
        raise Failure(f"There is no token {number}: the vocabulary ends at {rows - 1}.")
    return number


def vocabulary_of(checkpoint: Checkpoint) -> Vocabulary | None:
    """The tokens of a checkpoint: a GGUF file's own, or those beside its files. None if there are none.

    Raises Failure if what is there cannot be read.
    """
    if isinstance(checkpoint.files.metadata, GGUFMetadata):
        tokens = checkpoint.files.metadata.get("tokenizer.ggml.tokens")
        return Vocabulary(tuple(tokens)) if tokens else None
    place = Path(checkpoint.files.label)
    for folder in (place, place.parent):
        if (folder / "tokenizer.json").is_file():
            return _of_json(folder / "tokenizer.json")
        if (folder / "vocab.txt").is_file():
            return Vocabulary(tuple(_content(folder / "vocab.txt").splitlines()))
    return None


def _of_json(path: Path) -> Vocabulary:
    try:
        told = json.loads(_content(path))
        stored = told["model"]["vocab"]
        pairs = list(stored.items()) if isinstance(stored, dict) else [(pair[0], i) for i, pair in enumerate(stored)]
        pairs += [(added["content"], added["id"]) for added in told.get("added_tokens") or ()]
        if not all(isinstance(token, str) and type(number) is int and 0 <= number < LIMIT for token, number in pairs):
            raise TypeError("tokens are texts with numbers")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise Failure(f"{path} is no tokenizer file that can be read: {error}.") from error
    tokens = [""] * (1 + max((number for _, number in pairs), default=-1))
    for token, number in pairs:
        tokens[number] = token
    return Vocabulary(tuple(tokens))


def _content(path: Path) -> str:
    try:
        if path.stat().st_size > LIMIT:
            raise Failure(f"{path} is larger than a tokenizer can be ({LIMIT >> 20} MB).")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path} could not be read: {error}.") from error
