"""Null models of streams: what makes the surrogates that activations are held against."""

from collections.abc import Iterator
from dataclasses import replace
from typing import final

import numpy as np
from jaxtyping import Float, Int
from numpy.lib.stride_tricks import sliding_window_view

from gedanken.instruments.base import NullModel
from gedanken.kinds import Stream

SURROGATES = ("block_shift", "permutation", "sign_flip")
"""Ways to break what ties coordinates together; block_shift, the first, keeps what ties tokens together."""

SHORTEST = 8
"""Rows of a prompt below which shifts are too few (latent-object-permanence, §2.3)."""

CACHED = 2**18
"""Entries that are turned at a time: a megabyte of single precision."""


def surrogate(
    rows: Float[np.ndarray, "n d"], prompt: Int[np.ndarray, " n"], kind: str, rng: np.random.Generator
) -> Float[np.ndarray, "n d"]:
    """Rows in which coordinates are independent of each other, but each still has its own values.

    permutation: each coordinate in a random order of its own [@horn1965rationale]. sign_flip: each entry with a random
    sign [@hong2020randomized], for centred rows. block_shift: within each prompt (`prompt` ascending), each coordinate
    turned by an offset of its own, so that its course along the text survives.
    """
    match kind:
        case "permutation":
            return np.ascontiguousarray(rng.permuted(np.ascontiguousarray(rows.T), axis=1).T)
        case "sign_flip":
            bits = np.unpackbits(np.frombuffer(rng.bytes(rows.size // 8 + 1), np.uint8), count=rows.size)
            return rows * (bits.astype(np.int8) * 2 - 1).reshape(rows.shape)
        case "block_shift":
            return _shifted(rows, prompt, rng)
    raise ValueError(f"a surrogate is one of {', '.join(SURROGATES)}, not {kind!r}")


def _shifted(rows: np.ndarray, prompt: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    count, d = rows.shape
    starts = np.flatnonzero(np.diff(prompt, prepend=prompt[0] - 1))
    lengths = np.diff([*starts, count])
    offsets = (rng.random((len(starts), d), np.float32) * lengths[:, None]).astype(np.intp)
    # float32 may round up to 1.
    np.minimum(offsets, lengths[:, None] - 1, out=offsets)
    # Coordinate by coordinate a turn is one stretch of a prompt written twice, copied whole; prompts of one length that
    # follow each other go together, as many as stay in the cache.
    columns, turned = np.ascontiguousarray(rows.T), np.empty((d, count), rows.dtype)
    together = max(1, CACHED // (2 * d * int(lengths.max())))
    begins = (np.diff(lengths, prepend=-1) != 0) | (np.arange(len(lengths)) % together == 0)
    changes = np.flatnonzero(begins)
    for first, last in zip(changes, [*changes[1:], len(lengths)], strict=True):
        own, length = slice(starts[first], starts[first] + (last - first) * lengths[first]), lengths[first]
        twice = np.tile(columns[:, own].reshape(d, last - first, length), 2)
        stretches = sliding_window_view(twice, length, axis=2)
        chosen = stretches[np.arange(d)[:, None], np.arange(last - first), offsets[first:last].T]
        turned[:, own] = chosen.reshape(d, -1)
    return turned.T


@final
class StreamPermutation(NullModel):
    """Each coordinate of the kept rows in a random order of its own: marginals stay, what coordinates share goes.

    Streams in, streams out; the fitted half and the first positions stay as they are.
    """

    name = "coordinate_permutation"

    def shape_key(self, array: Stream) -> None:
        return None

    def draws(self, array: Stream, count: int, rng: np.random.Generator) -> Iterator[Stream]:
        for _ in range(count):
            points = array.points.copy()
            points[array.kept] = surrogate(points[array.kept], array.prompt[array.kept], "permutation", rng)
            yield replace(array, points=points)

    def norm(self, array: Stream) -> float:
        return float(np.linalg.norm(array.points[array.kept]))


STREAM_PERMUTATION = StreamPermutation()
"""One for all, so that instruments share draws."""
