"""Cost of the particle instruments against the bare kernel they need: one pass of products and exponentials.

    python benchmarks/particle_instruments.py

Circle: 10⁶ points, against 35 multiplications of 10⁶ complex numbers (as many as β = 5 needs). Wide: 2,048 points of 768
coordinates, against one Gram product and its exponentials. Fastest of three, wall time, on one thread.
"""

import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from gedanken.instruments.base import Instrument
from gedanken.instruments.points.cluster_count import ClusterCount
from gedanken.instruments.points.interaction_energy import InteractionEnergy
from gedanken.instruments.points.mode_power import ModePower

INSTRUMENTS: tuple[Instrument, ...] = (InteractionEnergy(), ModePower(), ClusterCount())


def main() -> None:
    rng = np.random.default_rng(0)
    circle, wide = rng.standard_normal((1_000_000, 2)), rng.standard_normal((2048, 768)) + 0.5
    turn = np.exp(1j * rng.uniform(0, 7, len(circle)))
    unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    with threadpool_limits(1):
        compare("circle, 10⁶ points", circle, lambda: powers(turn, 35))
        compare("2,048 × 768", wide, lambda: np.exp(5 * (unit @ unit.T - 1)).mean())


def powers(turn: np.ndarray, count: int) -> complex:
    power, total = np.ones_like(turn), 0j
    for _ in range(count):
        power *= turn
        total += power.mean()
    return total


def compare(name: str, points: np.ndarray, kernel: Callable[[], object]) -> None:
    bare = fastest(kernel)
    print(f"{name:20} bare kernel {bare:9.3f} s")
    for instrument in INSTRUMENTS:
        taken = fastest(lambda instrument=instrument: instrument.measure(points, np.random.default_rng(0)))
        print(f"{'':20} {instrument.name():18} {taken:9.3f} s   ratio {taken / bare:6.2f}")


def fastest(call: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
