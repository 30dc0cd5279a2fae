"""Choose: which layers to remove, from one number a layer. The first and the last layer are protected unless said so."""

from collections.abc import Collection
from itertools import combinations
from math import comb

import numpy as np
from jaxtyping import Float

from gedanken.status import Failure

MOST_SUBSETS = 500
"""All subsets are taken where there are no more than so many; else so many are drawn (our choice)."""


def interior(layers: int) -> range:
    """The layers that may be removed: all but the first and the last."""
    return range(1, layers - 1)


def checked(count: int, layers: int) -> int:
    """`count`. Raises Failure where so many interior layers do not exist."""
    if not 1 <= count <= max(0, layers - 2):
        raise Failure(
            f"A model of {layers} layers has {max(0, layers - 2)} that can be removed, not {count}: the first and the last "
            "are kept."
        )
    return count


def lowest(scores: Float[np.ndarray, " layers"], count: int) -> tuple[int, ...]:
    """The `count` interior layers of lowest score, ties to the earlier; those without a score (NaN) come last."""
    inner = np.asarray(interior(len(scores)))
    order = inner[np.argsort(scores[inner], kind="stable")]
    return tuple(sorted(int(layer) for layer in order[: checked(count, len(scores))]))


def last(layers: int, count: int) -> tuple[int, ...]:
    """Layers L−N … L−1, the unprotected baseline."""
    return tuple(range(layers - checked(count, layers), layers))


def last_protected(layers: int, count: int) -> tuple[int, ...]:
    """The layers before the final one."""
    return tuple(range(layers - 1 - checked(count, layers), layers - 1))


def first(layers: int, count: int) -> tuple[int, ...]:
    """The layers after layer 0."""
    return tuple(range(1, 1 + checked(count, layers)))


def contiguous(distance: Float[np.ndarray, "layers layers"], count: int) -> tuple[int, ...]:
    """The stretch of interior layers whose input and output are nearest in angle (skip.block_influence)."""
    layers = len(distance)
    starts = range(1, layers - checked(count, layers))
    start = min(starts, key=lambda i: distance[i, i + count])
    return tuple(range(start, start + count))


def subsets(layers: int, count: int, draws: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Sets of `count` interior layers: all of them if they are at most `draws`, else `draws` different ones."""
    inner = list(interior(layers))
    if comb(len(inner), checked(count, layers)) <= draws:
        return list(combinations(inner, count))
    found: set[tuple[int, ...]] = set()
    while len(found) < draws:
        found.add(tuple(sorted(int(x) for x in rng.choice(inner, count, replace=False))))
    return sorted(found)


def without(removed: Collection[int], layers: int) -> list[tuple[int, ...]]:
    """Each set with one more interior layer: the candidates of a greedy step."""
    return [tuple(sorted({*removed, layer})) for layer in interior(layers) if layer not in removed]
