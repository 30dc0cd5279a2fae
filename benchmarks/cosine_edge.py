"""Cost of ε with its error against the one Gram product it needs, on the same decoded blocks.

    python benchmarks/cosine_edge.py [--full] [--rows V] [--width D]

Prints: the ratio of `accumulate` plus the reading to the bare blockwise float64 Gram product (the best way known: a
symmetric rank-k update in place), fastest of three, on a bfloat16 table; and the exponent of cost in V. `--full` takes
128,256 rows, once.
"""

import argparse
import time

import ml_dtypes
import numpy as np
from scipy.linalg.blas import dsyrk

from gedanken.captures.point_moments import accumulate
from gedanken.instruments.moments.cosine_edge import CosineEdge

BLOCK = 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="128,256 rows, each side once")
    parser.add_argument("--rows", type=int, default=32_768)
    parser.add_argument("--width", type=int, default=4096)
    options = parser.parse_args()
    rows, repeats = (128_256, 1) if options.full else (options.rows, 3)
    table = random_table(rows, options.width)
    gram, ours = best(lambda: bare_gram(table), repeats), best(lambda: edge(table), repeats)
    print(f"{rows} x {options.width} bf16: bare Gram {gram:.2f} s, edge with error {ours:.2f} s: {ours / gram:.3f} times")
    print(f"cosine_edge {edge(table[:8192])}")
    if not options.full:
        sizes = np.array([rows // 4, rows // 2, rows])
        times = np.array([best(lambda size=size: edge(table[:size]), repeats) for size in sizes])
        per_row = np.diff(times) / np.diff(sizes)
        exponent = 1 + np.log(per_row[1] / per_row[0]) / np.log(2)
        print("rows", ", ".join(f"{size}: {seconds:.2f} s" for size, seconds in zip(sizes, times)))
        print(f"cost of a further row {1e6 * per_row[0]:.0f}, then {1e6 * per_row[1]:.0f} us: exponent in V {exponent:.2f}")


def random_table(rows: int, width: int) -> np.ndarray:
    """A bfloat16 table, made in pieces so that no float32 copy of it stands."""
    rng = np.random.default_rng(0)
    table = np.empty((rows, width), ml_dtypes.bfloat16)
    for start in range(0, rows, BLOCK):
        piece = table[start : start + BLOCK]
        piece[:] = rng.standard_normal(piece.shape, np.float32)
    return table


def blocks(table: np.ndarray):
    return (table[start : start + BLOCK] for start in range(0, len(table), BLOCK))


def bare_gram(table: np.ndarray) -> np.ndarray:
    second = np.zeros((table.shape[1],) * 2, order="F")
    for block in blocks(table):
        second = dsyrk(1.0, block.astype(np.float64).T, beta=1.0, c=second, overwrite_c=1)
    return second


def edge(table: np.ndarray) -> str:
    moments = accumulate(lambda: blocks(table), len(table), "unit")
    value = CosineEdge().measure(moments, np.random.default_rng(0))["cosine_edge"]
    return f"{value.value:.6f} ± {value.stderr:.1e}"


def best(work, repeats: int) -> float:
    """Seconds of the fastest of `repeats`."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
