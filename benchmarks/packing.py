"""Cost of one evaluation of the packing loss against the matrix products it needs; and the two cells to be beaten.

    python benchmarks/packing.py [--cells] [--d D] [--k K ...]

The bare kernel is the three products of a block above the diagonal (G = UUᵀ, WU, WᵀU), on one thread. Beside it the
naive twin: all pairs at once, the gradient by torch. Then the exponent of cost in k. `--cells` packs (d, k) = (32, 2000)
and (64, 2000) by the better recipe with 3000 evaluations, to be held against the published overlaps.
"""

import argparse
import time

import numpy as np
from threadpoolctl import threadpool_limits

from gedanken.sources.packing.overlaps import BLOCK, Overlaps
from gedanken.sources.packing.recipe import better
from gedanken.sources.packing.source import PackingSource
from gedanken.theory.coherence import largest_overlap

PUBLISHED = {32: 0.38594, 64: 0.23632}
"""ε* at k = 2000 [@guha2026representational]."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", action="store_true", help="pack the two cells too, a few minutes")
    parser.add_argument("--d", type=int, default=32)
    parser.add_argument("--k", type=int, nargs="+", default=[1000, 2000, 4000])
    options = parser.parse_args()
    print("     k    d   products ms   sweep ms   ratio   naive torch ms    (processor time, one thread)")
    costs = []
    with threadpool_limits(1):
        for k in options.k:
            costs.append(line(k, options.d))
    if len(options.k) > 1:
        exponent = np.log(costs[-1] / costs[0]) / np.log(options.k[-1] / options.k[0])
        print(f"exponent in k, {options.k[0]} to {options.k[-1]}: {exponent:.2f}")
    if options.cells:
        for d, published in PUBLISHED.items():
            cell(d, published)


def line(k: int, d: int) -> float:
    unit = np.random.default_rng(0).standard_normal((k, d), dtype=np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    engine = Overlaps(k, d, 40, threads=1)
    scale = engine.sweep(unit, 1.0).peak
    bare, ours = (fastest(work) for work in (lambda: products(unit), lambda: engine.sweep(unit, scale)))
    naive = fastest(naive_twin(unit), 2)
    print(f"{k:6d} {d:4d} {1e3 * bare:13.2f} {1e3 * ours:10.2f} {ours / bare:7.2f} {1e3 * naive:16.1f}")
    return ours


def products(unit: np.ndarray) -> None:
    total = np.zeros_like(unit)
    for i in range(0, len(unit), BLOCK):
        for j in range(i, len(unit), BLOCK):
            rows, cols = unit[i : i + BLOCK], unit[j : j + BLOCK]
            product = rows @ cols.T
            total[i : i + BLOCK] += product @ cols
            if i != j:
                total[j : j + BLOCK] += product.T @ rows


def naive_twin(unit: np.ndarray):
    """One evaluation with autograd, |cos|⁴⁰ in float64 lest it underflow."""
    import torch

    torch.set_num_threads(1)
    raw = torch.tensor(unit, dtype=torch.float64, requires_grad=True)
    diagonal = torch.eye(len(unit), dtype=torch.float64)

    def work() -> None:
        raw.grad = None
        rows = raw / raw.norm(dim=1, keepdim=True)
        (((rows @ rows.T) * (1 - diagonal)) ** 40).sum().log().backward()

    return work


def cell(d: int, published: float) -> None:
    wall, processor = time.perf_counter(), time.process_time()
    *_, last = PackingSource(2000, d, better(d, evaluations=3000), steps=(3000,)).snapshots()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    reached = largest_overlap(last.state.vectors)
    print(
        f"(d, k) = ({d}, 2000): {reached:.4f}, {100 * (1 - reached / published):.1f} % below the published "
        f"{published}; {wall:.0f} s, {processor:.0f} s of processor time"
    )


def fastest(work, repeats: int = 5) -> float:
    work()
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


if __name__ == "__main__":
    main()
