"""Σ|cos|^p over all pairs of unit vectors, its gradient and the largest overlap: one pass by blocks, no k × k array.

With x = G/s, G = UUᵀ and any scale s > 0, total = Σ_{i≠j} |x_ij|^p over ordered pairs, and

    ∂(ln total / p)/∂u_i = (2 / (s · total)) Σ_{j≠i} |x_ij|^{p−1} sign(x_ij) u_j.

A block above the diagonal serves both of its sides. Powers are products: x^{p−1} = x · (x²)^{(p−2)/2}, with x² held
above a floor whose power is 10⁻²⁵, so that no product becomes a denormal number, which would be slow; that is far
below the rounding of the largest terms. The array library is numpy (blocks shared among threads) or torch.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from gedanken.status import Failure

BLOCK = 256
"""Rows of a block on the CPU: its three float32 buffers stay in a core's cache (768 kB)."""
DEVICE_BLOCK = 8192
"""Rows of a block on an accelerator: 256 MB a buffer, large enough to keep it busy."""
NEGLIGIBLE = 1e-25
"""Powers below this share of the largest are not resolved: 10⁹ pairs of it are below float32's rounding of one."""
VANISHING = 1e-30
"""Overlaps that are none: their reciprocal would leave float32."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Of one pass: ln(total)/p with the scale put back, its gradient by unit vectors (k × d), and the largest |cos|."""

    loss: float
    gradient: Any
    peak: float


class Overlaps:
    """Sweeps over k unit vectors in d dimensions, with buffers that are used again.

    device: "cpu" (numpy), or a torch device. threads: blocks worked on at a time on the CPU, one BLAS thread each by the
    caller's limit (default: all cores). Raises ValueError for p < 2, and Failure as `library`.
    """

    def __init__(self, k: int, d: int, p: int, device: str = "cpu", threads: int | None = None):
        if p < 2:
            raise ValueError(f"the exponent must be at least 2, not {p}")
        self.xp, self.asarray = library(device)
        self.p, self.half = p, (p - 2) // 2
        self.floor = self.asarray(np.float32(NEGLIGIBLE ** (1 / self.half) if self.half else 0.0))
        rows = min(BLOCK if self.xp is np else DEVICE_BLOCK, k)
        self.parts = [slice(start, min(start + rows, k)) for start in range(0, k, rows)]
        pairs = [(i, j) for i in range(len(self.parts)) for j in range(i, len(self.parts))]
        count = min((threads or len(os.sched_getaffinity(0))) if self.xp is np else 1, len(pairs))
        self.shares = [pairs[start::count] for start in range(count)]
        self.gradients = [self.asarray(np.zeros((k, d), np.float32)) for _ in self.shares]
        self.pool = ThreadPoolExecutor(count) if count > 1 else None
        self.buffers = [[self.asarray(np.empty(rows * rows, np.float32)) for _ in range(3)] for _ in self.shares]

    def sweep(self, unit: Any, scale: float) -> Sweep:
        """One pass at the scale given, and again at the largest overlap found where that is far from it."""
        while True:
            total, peak = self._pass(unit, scale)
            if peak <= VANISHING:
                self.gradients[0][:] = 0
                return Sweep(-np.inf, self.gradients[0], peak)
            if 0.5 <= peak / scale <= 2.0:
                break
            scale = peak
        gradient = self.gradients[0]
        for other in self.gradients[1:]:
            gradient += other
        gradient *= 2 / (scale * total)
        return Sweep(float(np.log(total) / self.p + np.log(scale)), gradient, peak)

    def _pass(self, unit: Any, scale: float) -> tuple[float, float]:
        """total and the largest overlap; the gradients hold Σ_j W_ij u_j by thread."""
        each = self.pool.map if self.pool else map
        totals, peaks = zip(*each(partial(self._work, unit, scale), range(len(self.shares))), strict=True)
        return sum(totals), max(peaks) * scale

    def _work(self, unit: Any, scale: float, worker: int) -> tuple[float, float]:
        """One thread's blocks: its share of the total, and the largest |x| in it."""
        xp, gradient, total, peak = self.xp, self.gradients[worker], 0.0, 0.0
        gradient[:] = 0
        for i, j in self.shares[worker]:
            rows, cols = unit[self.parts[i]], unit[self.parts[j]]
            x, square, weight = (b[: len(rows) * len(cols)].reshape(len(rows), len(cols)) for b in self.buffers[worker])
            xp.matmul(rows * (1 / scale), cols.T, out=x)
            if i == j:
                x.reshape(-1)[:: len(rows) + 1] = 0
            xp.multiply(x, x, out=square)
            peak = max(peak, float(square.max()))
            if peak > 4.0:  # the pass will be done again at a larger scale, and the powers might overflow
                continue
            self._weigh(x, square, weight)
            times = 1 if i == j else 2
            total += times * float(xp.vdot(weight.reshape(-1), x.reshape(-1)))
            gradient[self.parts[i]] += weight @ cols
            if i != j:
                gradient[self.parts[j]] += weight.T @ rows
        return total, peak**0.5

    def _weigh(self, x: Any, square: Any, weight: Any) -> None:
        """weight = |x|^{p−1} sign(x), from square = x², which is used up."""
        xp = self.xp
        xp.maximum(square, self.floor, out=square)
        weight[:] = x
        if self.p % 2:
            weight *= xp.sqrt(square)
        power = self.half
        while power:
            if power & 1:
                weight *= square
            power >>= 1
            if power:
                xp.multiply(square, square, out=square)


def library(device: str) -> tuple[ModuleType, Any]:
    """The array library of a device, and what takes a numpy array there: numpy for "cpu", else torch ("cuda",
    "cuda:1", "mps"; "torch:cpu" is torch on the CPU). Raises Failure if there is no such device, or no torch.
    """
    if device == "cpu":
        return np, np.asarray
    try:
        import torch

        place = torch.empty(0, device=device.removeprefix("torch:")).device
    except ImportError as absent:
        raise Failure(f"The device {device} needs torch, which is not installed.", "pip install torch") from absent
    except (RuntimeError, AssertionError) as error:
        raise Failure(f"There is no device {device} here: {str(error).splitlines()[0]}.") from error
    return torch, lambda array: torch.as_tensor(array, device=place)
