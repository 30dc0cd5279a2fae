"""What every header must satisfy before its numbers are used."""

import math
from collections.abc import Iterable
from typing import Any

from gedanken.status import Failure

_MOST_DIMENSIONS = 32
"""NumPy 1's limit on dimensions; no stored tensor comes near it."""
_MOST_ENTRIES = 2**60
"""Beyond any file; leaves room for 8 bytes an entry in a signed 64-bit length."""
_LONGEST_NAME = 120
"""Characters of a name shown in a sentence."""


def shown(name: str) -> str:
    """A name from a file as it may stand in a sentence: no control characters, not too long."""
    plain = "".join(character if character.isprintable() else "�" for character in name[:_LONGEST_NAME])
    return plain + "…" if len(name) > _LONGEST_NAME else plain


def is_size(value: Any) -> bool:
    """Whether `value`, read from a header, is a whole number that can count something (True is not)."""
    return type(value) is int and value >= 0


def checked_shape(shape: Any, label: str, name: str) -> tuple[int, ...]:
    """`shape` as a tuple of sizes. Raises Failure if it is anything else, or counts more than any file can hold."""
    if not isinstance(shape, list | tuple) or not all(map(is_size, shape)):
        raise Failure(f"{label}: the shape of {shown(name)} is not a list of sizes.")
    if len(shape) > _MOST_DIMENSIONS or math.prod(size for size in shape if size) > _MOST_ENTRIES:
        raise Failure(f"{label}: the shape of {shown(name)} is larger than any tensor.")
    return tuple(shape)


def check_disjoint(ranges: Iterable[tuple[int, int, str]], label: str) -> None:
    """Raises Failure if two of the byte ranges (start, end, tensor name) overlap."""
    end, before = 0, ""
    for start, stop, name in sorted(ranges):
        if start < end and stop > start:
            raise Failure(f"{label}: the bytes of {shown(name)} overlap those of {shown(before)}.")
        end, before = max(end, stop), name if stop > end else before
