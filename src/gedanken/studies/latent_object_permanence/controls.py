"""Positive controls: planted cases that the judged model's own rules must find, or nothing that it says can be trusted.

A step and two smooth changes are planted into the model's own noise, at its own number of blocks; a spike above and one
below the threshold of detection into white noise.
"""

from functools import cache

import numpy as np

from gedanken.analysis.depth import fits
from gedanken.analysis.depth.locate import SMALLEST, locate
from gedanken.analysis.depth.rule import Shape, judge
from gedanken.analysis.depth.series import Series
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream.parallel_edge import ParallelEdge

FEWEST = SMALLEST + 3
"""Blocks whose interior states suffice for the fits."""

JUMP = 0.1
"""Ω of the planted change: half of what random directions have, a tenth of its range."""

WIDTHS = (4.0, 8.0)
"""Layers of the planted smooth changes (latent-object-permanence, §11)."""

ROWS, DIMENSION = 2400, 96
"""Of the planted spike: d/n = 0.048 behind the first positions, so that it is seen above √(d/n) = 0.22."""


def failed(noise: Series) -> list[str]:
    """Controls that fail with the noise of a series over FEWEST blocks or more, by name; empty where all pass."""
    return [*_of_depth(noise), *_of_spikes()]


def _of_depth(noise: Series) -> list[str]:
    states, blocks = np.arange(noise.blocks + 1.0), noise.blocks
    at = round(0.42 * blocks) - 0.5
    wrong = []
    step = _planted(noise, JUMP * (states > at))
    place = locate(step)
    if judge(step, np.random.default_rng(1)).shape != Shape.step or abs(place.places["logistic"].block - at) > 0.5:
        wrong.append(f"a step of {JUMP} at {at / blocks:.2f}")
    for width in WIDTHS:
        smooth = _planted(noise, JUMP / (1 + np.exp(-(states - at) * fits.TEN_TO_NINETY / width)))
        if judge(smooth, np.random.default_rng(1)).shape != Shape.crossover:
            wrong.append(f"a change over {width:g} layers")
    return wrong


def _planted(noise: Series, profile: np.ndarray) -> Series:
    """The profile with the deviation of one replicate, and around it those of all others."""
    apart = noise.replicates - noise.replicates.mean(axis=0)
    values = profile + apart[0]
    return Series(noise.name, values, values + apart[1:], noise.joint)


@cache
def _of_spikes() -> list[str]:
    """A spike of 1 + θ over unit noise stands out if θ > √(d/n) [@baik2005phase]."""
    wrong = []
    for factor, expected in ((4.0, 1), (0.4, 0)):
        rng = np.random.default_rng(2)
        rows = rng.standard_normal((ROWS, DIMENSION))
        direction = np.linalg.qr(rng.standard_normal((DIMENSION, 1)))[0][:, 0]
        theta = factor * np.sqrt(DIMENSION / ROWS)
        rows += np.sqrt(theta) * rng.standard_normal((ROWS, 1)) * direction
        reading = ParallelEdge().measure(stream_of(rows), rng)
        if reading["parallel_outlier_count_deflated"].value != expected:
            wrong.append(f"a spike at {factor:g} times the threshold")
    return wrong
