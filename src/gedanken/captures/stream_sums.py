"""Sums of activations at one place: n, Σh, Σ|h| and Σ h hᵀ in float64, grown batch by batch where the tensors are.

Float64 is needed: a few massive coordinates put eigenvalues of the second moment 10⁸ apart and more, and a Gram matrix in
float32 is only good to 6·10⁻⁸ of the largest. Rows wait until there are as many as coordinates, so that a product never
costs more in moving the d × d sum than in multiplying, and places that see few rows never make one.
"""

import numpy as np
import torch
from jaxtyping import Float

from gedanken.kinds import Moments
from gedanken.theory.lapack import add_gram, mirror

WAIT = 256
"""Fewest rows of one update: below, the traffic of the sum dominates."""


class StreamSums:
    """Mergeable sums of rows of one width."""

    def __init__(self, width: int):
        self.width, self.n = width, 0
        self.total, self.absolute = np.zeros(width), np.zeros(width)
        self._second: np.ndarray | torch.Tensor | None = None
        self._waiting: list[torch.Tensor] = []
        self._rows = 0

    def add(self, rows: torch.Tensor) -> None:
        """Rows, row × coordinate, of any floating type on any device; they are kept until there are enough."""
        if len(rows):
            self._waiting.append(rows)
            self._rows += len(rows)
        if self._rows >= max(WAIT, self.width):
            self._fold()

    def _fold(self) -> None:
        block = torch.cat(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
        self._waiting, self._rows = [], 0
        if block.device.type == "cpu":
            self._fold_here(block.numpy().astype(np.float64))
        else:
            self._fold_there(block.double())

    def _fold_here(self, block: np.ndarray) -> None:
        if self._second is None:
            self._second = np.zeros((self.width, self.width))
        self.n += len(block)
        self.total += block.sum(axis=0)
        add_gram(self._second, block)
        self.absolute += np.abs(block, out=block).sum(axis=0)

    def _fold_there(self, block: torch.Tensor) -> None:
        if self._second is None:
            self._second = block.new_zeros(self.width, self.width)
        self.n += len(block)
        self.total += block.sum(dim=0).cpu().numpy()
        self.absolute += block.abs().sum(dim=0).cpu().numpy()
        self._second.addmm_(block.T, block)

    def moments(self, sample: Float[np.ndarray, "s d"]) -> Moments:
        """What was summed, with rows that serve as its sample."""
        if self._rows and self._second is not None:
            self._fold()
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
