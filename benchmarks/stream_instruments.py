"""Time of every stream instrument at one place of a small model: 4,096 tokens of 576 dimensions, one core.

Prints milliseconds of processor time of every instrument alone on a fresh stream and of all together (they share what they
can), and of the bare eigenvalue problem. What is measured only on request
comes last.

    OPENBLAS_NUM_THREADS=1 python benchmarks/stream_instruments.py
"""

import time
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from gedanken.instruments import catalogue
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.trajectory.linear_cka import LinearCka
from gedanken.kinds import Kind, Trajectory

ROWS, DIMENSION, PROMPT = 4080, 576, 80


def milliseconds(work, repeats: int = 3) -> float:
    """The best of a few processor times."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return 1e3 * best


def main() -> None:
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((ROWS, 12)) @ rng.standard_normal((12, DIMENSION))
    rows = (latent + 0.5 * rng.standard_normal((ROWS, DIMENSION))) * rng.gamma(2.0, 0.5, DIMENSION)
    stream = stream_of(rows.astype(np.float32), fit=rng.standard_normal((8000, DIMENSION)) + 0.1, length=PROMPT)
    square = rows.T @ rows
    print(f"{'eigenvalues alone':44} {milliseconds(lambda: np.linalg.eigvalsh(square)):8.1f} ms")
    found = sorted(catalogue.of_kind(Kind.stream), key=lambda instrument: instrument.name())
    usual = [instrument for instrument in found if not instrument.on_request]

    def cost(instruments, repeats: int = 3) -> float:
        def work():
            fresh = replace(stream)
            for instrument in instruments:
                for standard in instrument.standard():
                    standard.measure(fresh, np.random.default_rng(0))

        return milliseconds(work, repeats)

    for instrument in usual:
        print(f"{instrument.name() + f' ({len(instrument.standard())} settings)':44} {cost([instrument]):8.1f} ms")
    print(f"{'all, at one place':44} {cost(usual):8.1f} ms")
    for instrument in found:
        if instrument.on_request:
            print(f"{instrument.name() + ' (on request)':44} {cost([instrument], 1):8.1f} ms")
    states = [rows + 0.1 * rng.standard_normal(rows.shape) for _ in range(4)]
    trajectory = Trajectory(states, np.linspace(0, 1, 4), stream.prompt, stream.position)
    each = milliseconds(lambda: LinearCka().measure(trajectory, rng), 1) / 4
    print(f"{'linear_cka, for each state':44} {each:8.1f} ms")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
