"""Sums of activations at one place: n, Σh, Σ h hᵀ and Σ|h| in float64, grown batch by batch where the tensors are.

Float64 is needed: a few massive coordinates put eigenvalues of the second moment 10⁸ apart and more, and a Gram matrix in
float32 is only good to 6·10⁻⁸ of the largest. Rows wait until there are as many as coordinates, so that a product never
costs more in moving the d × d sum than in multiplying, and places that see few rows never make one.
"""

import threading

import numpy as np
import torch
from jaxtyping import Float, Int

from gedanken.kinds import Moments
from gedanken.theory.lapack import add_gram, gram, mirror

WAIT = 256
"""Fewest rows of one update: below, the traffic of the sum dominates."""

TILE = 64
"""Rows copied at a time, which stay in the cache."""


_thread = threading.local()


class StreamSums:
    """Mergeable sums of rows of one width; Σ|h| only if `absolute`."""

    def __init__(self, width: int, absolute: bool = False):
        self.width, self.n = width, 0
        self.total, self.absolute = np.zeros(width), np.zeros(width) if absolute else None
        self._second: np.ndarray | torch.Tensor | None = None
        self._waiting: list[torch.Tensor] = []
        self._rows = 0

    def add(self, rows: torch.Tensor, chosen: torch.Tensor) -> None:
        """The chosen of some rows, row × coordinate, of any floating type on any device; they wait until there are enough."""
        enough = max(WAIT, self.width)
        if not self._rows and len(chosen) >= enough:
            self._fold(rows, chosen)
            return
        if len(chosen):
            self._waiting.append(rows[chosen])
            self._rows += len(chosen)
        if self._rows >= enough:
            self._fold_waiting()

    def _fold_waiting(self) -> None:
        rows = torch.cat(self._waiting)
        self._waiting, self._rows = [], 0
        self._fold(rows, torch.arange(len(rows), device=rows.device))

    def _fold(self, rows: torch.Tensor, chosen: torch.Tensor) -> None:
        if rows.device.type == "cpu":
            self._fold_here(_in_float64(rows.numpy(), chosen.numpy()))
        else:
            self._fold_there(rows[chosen].double())

    def _fold_here(self, block: np.ndarray) -> None:
        self.n += len(block)
        self.total += block.sum(axis=0)
        if self._second is None:
            self._second = gram(block)
        else:
            add_gram(self._second, block)
        if self.absolute is not None:
            self.absolute += np.abs(block, out=block).sum(axis=0)

    def _fold_there(self, block: torch.Tensor) -> None:
        if self._second is None:
            self._second = block.new_zeros(self.width, self.width)
        self.n += len(block)
        self.total += block.sum(dim=0).cpu().numpy()
        self._second.addmm_(block.T, block)
        if self.absolute is not None:
            self.absolute += block.abs().sum(dim=0).cpu().numpy()

    def moments(self, sample: Float[np.ndarray, "s d"]) -> Moments:
        """What was summed, with rows that serve as its sample."""
        if self._rows and self._second is not None:
            self._fold_waiting()
        if self._second is None:
            return self._of_few(sample)
        if isinstance(self._second, torch.Tensor):
            second = self._second.cpu().numpy()
        else:
            second = self._second.copy()
            mirror(second)
        return Moments(self.n, self.total, second, sample)

    def _of_few(self, sample: np.ndarray) -> Moments:
        """Of rows that were too few to be summed so far; they go on waiting, and take less room than their sum would."""
        rows = np.zeros((0, self.width))
        if self._waiting:
            self._waiting = [torch.cat(self._waiting)]
            rows = self._waiting[0].cpu().numpy().astype(np.float64)
        return Moments(len(rows), rows.sum(axis=0), rows.T @ rows, sample)

    @property
    def mean_absolute(self) -> Float[np.ndarray, " d"]:
        """Mean |h| of every coordinate."""
        waiting = [rows.double().abs().sum(dim=0).cpu().numpy() for rows in self._waiting]
        return (self.absolute + sum(waiting)) / max(self.n + self._rows, 1)


def _in_float64(rows: Float[np.ndarray, "n d"], chosen: Int[np.ndarray, " k"]) -> Float[np.ndarray, "k d"]:
    """A copy of the chosen rows that holds until this thread makes the next, in memory that it keeps."""
    width = rows.shape[1]
    room = getattr(_thread, "room", None)
    if room is None or len(room) < len(chosen) * width:
        room = _thread.room = np.empty(len(chosen) * width)
    found = room[: len(chosen) * width].reshape(-1, width)
    for start in range(0, len(chosen), TILE):
        found[start : start + TILE] = rows[chosen[start : start + TILE]]
    return found
