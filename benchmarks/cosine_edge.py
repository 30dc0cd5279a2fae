"""Cost of ε with its error against the one Gram product it needs, on the same decoded blocks.

    python benchmarks/cosine_edge.py [--full] [--rows V] [--width D]

On a bfloat16 table: `accumulate` plus the reading against the bare blockwise float64 Gram product done the best way
known, a symmetric rank-k update in place; in turn, fastest of three. Then the exponent of cost in V. Wall time, and
processor time, which other work on the machine lengthens less. `--full` takes 128,256 rows, once.
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
    gram, ours = best([lambda: bare_gram(table), lambda: edge(table)], repeats)
    print(f"{rows} x {options.width} bf16                    wall s   processor s")
    print(f"bare Gram product                  {gram[0]:10.2f}    {gram[1]:10.2f}")
    print(f"edge with its error                {ours[0]:10.2f}    {ours[1]:10.2f}")
    print(f"ratio                              {ours[0] / gram[0]:10.3f}    {ours[1] / gram[1]:10.3f}")
    if not options.full:
        # What is paid once (the error, the d × d sums) drops out of the differences.
        sizes = [rows // 4, rows // 2, rows]
        times = np.array(best([lambda size=size: edge(table[:size]) for size in sizes], repeats))
        exponents = np.log2(np.diff(times, axis=0)[1] / np.diff(times, axis=0)[0])
        print(f"exponent in V, {sizes[0]} to {rows} rows   {exponents[0]:10.2f}    {exponents[1]:10.2f}")


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


def bare_gram(table: np.ndarray) -> None:
    second = np.zeros((table.shape[1],) * 2, order="F")
    for block in blocks(table):
        second = dsyrk(1.0, block.astype(np.float64).T, beta=1.0, c=second, overwrite_c=1)


def edge(table: np.ndarray) -> None:
    moments = accumulate(lambda: blocks(table), len(table), "unit")
    CosineEdge().measure(moments, np.random.default_rng(0))


def best(works: list, repeats: int) -> list[tuple[float, float]]:
    """(wall, processor) seconds of the fastest of `repeats` of each, taken in turn."""
    found = [(np.inf, np.inf)] * len(works)
    for _ in range(repeats):
        for k, work in enumerate(works):
            wall, processor = time.perf_counter(), time.process_time()
            work()
            spent = time.perf_counter() - wall, time.process_time() - processor
            found[k] = min(found[k][0], spent[0]), min(found[k][1], spent[1])
    return found


if __name__ == "__main__":
    main()
