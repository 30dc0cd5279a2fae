"""Capture: a mathematical object at a site, ready to be read."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gedanken.kinds import (
    ApproximatedLoss,
    Ensemble,
    Factors,
    HeatedLoss,
    Kind,
    Moments,
    Pair,
    Stream,
    Surprisal,
    Trajectory,
)
from gedanken.site import Site

Raw = np.ndarray | Factors | Pair | Moments | Stream | Trajectory | Ensemble | Surprisal | HeatedLoss | ApproximatedLoss
"""What a capture reads: an object of one of the kinds."""


@dataclass(frozen=True)
class Capture:
    """What stands at one site of a snapshot: the address and shape at once, the object itself when `read` is called.

    `read()` gives the raw object, of kind `kind`. It raises Refusal, naming the tensor, where that cannot be decoded.
    `kinds` are those it can be reduced to (captures/reduce.py); `rank_bound` is the inner width of a product of factors;
    `flops` what measuring it takes, if that is not what the spectrum of a matrix takes.
    """

    site: Site
    kind: Kind
    kinds: frozenset[Kind]
    rows: int
    cols: int
    dtype: str
    raw_name: str
    notes: tuple[str, ...]
    read: Callable[[], Raw]
    rank_bound: int | None = None
    flops: float | None = None

    @property
    def work(self) -> float:
        """Floating-point operations: by default of its spectrum, the Gram matrix and the values-only eigenvalues."""
        if self.flops is not None:
            return self.flops
        short, long = sorted((self.rows, self.cols))
        return float(short) * short * (long + 4 / 3 * short)
