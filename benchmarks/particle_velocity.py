"""Cost of one velocity of all tokens against the sum over pairs, a non-uniform fast transform, and torch's fused attention.

    python benchmarks/particle_velocity.py [--full]

The rival is a blocked float64 sum: one matrix product for the scores of some rows, the exponential in place, one product
for the average, at the block size that is fastest here. In d = 3 it is timed on a share of the rows and scaled up; `--full`
sums all. Wall time, fastest of several, in turn; each fast result is compared with the rival's.
"""

import argparse
import time
from contextlib import contextmanager

import numpy as np
from threadpoolctl import threadpool_limits

from gedanken.sources.particles import nonuniform
from gedanken.sources.particles.circle import FourierMoments
from gedanken.sources.particles.flow import Flow, normalised
from gedanken.sources.particles.interaction import Interaction
from gedanken.sources.particles.sphere import HarmonicMoments

BETA = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the sum over pairs on all rows in d = 3 too")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print("unnormalised attention, β = 5, float64                     direct s       ours s      ratio   difference")
    with threadpool_limits(1, user_api="blas"):  # products this thin gain nothing from a second thread
        on_the_circle(rng)
        on_the_sphere(rng, 1.0 if options.full else 0.02)
    if nonuniform.AVAILABLE:
        print(
            "unnormalised attention, d = 2, one thread                   bases s  transform s      ratio   difference"
        )
        with threadpool_limits(1, user_api="blas"):
            many_orders(rng)
    print("softmax attention, d = 64, β = 5, float64                    bare s       ours s      ratio")
    in_high_dimension(rng)


def on_the_circle(rng: np.random.Generator) -> None:
    angles = rng.uniform(0, 2 * np.pi, 20_000)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    moments = FourierMoments(BETA)
    direct, slow = min((timed(lambda rows=rows: pairs(points, rows)) for rows in (8, 16, 64)), key=lambda pair: pair[0])
    ours, found = timed(lambda: moments.angular_velocity(angles, softmax=False), 50)
    along = points[:, 0] * slow[:, 1] - points[:, 1] * slow[:, 0]
    show("d = 2, N = 20,000", direct, ours, np.abs(found - along).max())
    for beta, count in ((BETA, 1_000_000), (500.0, 200_000)):
        moments, angles = FourierMoments(beta), rng.uniform(0, 2 * np.pi, count)
        ours, _ = timed(lambda: moments.angular_velocity(angles, softmax=False), 5)  # noqa: B023
        print(f"{f'd = 2, N = {count:,}, β = {beta:g}':53}{'':13}{ours:13.5f}")


def many_orders(rng: np.random.Generator) -> None:
    """Products of bases against the non-uniform fast transform, whichever is chosen: where the choice turns."""
    for count in (20_000, 200_000):
        angles = rng.uniform(0, 2 * np.pi, count)
        for beta in (50.0, 500.0, 5e3, 5e4, 5e5):
            moments = FourierMoments(beta)
            times = []
            for fast in (False, True):
                with chosen(fast):
                    times.append(timed(lambda: moments.angular_velocity(angles, softmax=False), 3))  # noqa: B023
            (bases, one), (fast, other) = times
            show(f"N = {count:,}, β = {beta:g}, K = {moments.order:,}", bases, fast, np.abs(one - other).max())


@contextmanager
def chosen(fast: bool):
    """One way or the other, by moving the order at which the choice turns."""
    before = nonuniform.ORDERS
    nonuniform.ORDERS = 0 if fast else np.inf
    try:
        yield
    finally:
        nonuniform.ORDERS = before


def on_the_sphere(rng: np.random.Generator, share: float) -> None:
    points = normalised(rng.standard_normal((100_000, 3)))
    some = int(share * len(points))
    harmonics = HarmonicMoments(BETA)
    harmonics.velocity(points[:10], softmax=False)
    direct, slow = min(
        (timed(lambda rows=rows: pairs(points, rows, some), 1) for rows in (4, 16)), key=lambda pair: pair[0]
    )
    ours, found = timed(lambda: harmonics.velocity(points, softmax=False), 5)
    show("d = 3, N = 100,000", direct / share, ours, np.abs(found[:some] - slow).max())


def in_high_dimension(rng: np.random.Generator) -> None:
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    points = normalised(rng.standard_normal((10_000, 64)))
    x = torch.as_tensor(points)[None, None]
    for name in ("softmax", "unnormalised"):
        flow = Flow(Interaction(BETA, name), 64, clock="peak")
        bare, ours = np.inf, np.inf
        for _ in range(3):
            bare = min(bare, timed(lambda: scaled_dot_product_attention(x, x, x, scale=BETA), 1)[0])
            ours = min(ours, timed(lambda flow=flow: flow.velocity(points), 1)[0])
        show(f"d = 64, N = 10,000, {name}", bare, ours)


def pairs(points: np.ndarray, rows: int, some: int | None = None) -> np.ndarray:
    """P_x Σ_j e^{β(x·x_j − 1)} x_j / N for the first `some` tokens, `rows` at a time."""
    some = some or len(points)
    output = np.empty((some, points.shape[1]))
    for start in range(0, some, rows):
        scores = (BETA * points[start : min(start + rows, some)]) @ points.T
        scores -= BETA
        np.exp(scores, out=scores)
        output[start : start + rows] = scores @ points
    output /= len(points)
    return output - np.sum(output * points[:some], axis=1, keepdims=True) * points[:some]


def timed(call, repeats: int = 2):
    best, found = np.inf, None
    for _ in range(repeats):
        begun = time.perf_counter()
        found = call()
        best = min(best, time.perf_counter() - begun)
    return best, found


def show(name: str, slow: float, fast: float, difference: float | None = None) -> None:
    tail = "" if difference is None else f"   {difference:10.1e}"
    print(f"{name:53}{slow:13.3f}{fast:13.5f}{slow / fast:11.2f}{tail}")


if __name__ == "__main__":
    main()
