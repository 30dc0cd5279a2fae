"""Thinning: fewer steps and fewer bins, for a page that must stay small. The full series stays in the lab."""

import numpy as np

BINS = 40
"""Points of a curve that the page holds."""

VISIBLE = 1e-3
"""Ends of a curve below this share of its highest point are cropped: less than a pixel of a 400-pixel plot."""


def log_spaced(steps: list[int], most: int) -> list[int]:
    """At most `most` of the sorted steps, evenly spaced in ln(1 + step); the first and the last always."""
    if len(steps) <= most:
        return steps
    marks = np.log1p(np.asarray(steps, float))
    wanted = np.linspace(marks[0], marks[-1], most)
    return [steps[i] for i in sorted({int(np.abs(marks - w).argmin()) for w in wanted})]


def thin_curve(row: tuple[list | None, ...]) -> tuple[list | None, ...]:
    """x, then y and its bands (data.SERIES), with invisible ends cropped and neighbouring points averaged down to BINS.

    Averaging equal bins keeps the area under a density.
    """
    x, *bands = row
    heights = np.abs([series for series in bands if series is not None]).max(axis=0)
    shown = np.flatnonzero(heights > VISIBLE * heights.max(initial=0))
    if shown.size == 0:
        return row
    window = slice(max(shown[0] - 1, 0), shown[-1] + 2)
    length = len(x[window])
    per = -(-length // BINS)
    ends = np.arange(0, length, per)
    sizes = np.diff([*ends, length])

    def averaged(series: list | None) -> list | None:
        return None if series is None else (np.add.reduceat(np.asarray(series[window], float), ends) / sizes).tolist()

    return tuple(averaged(series) for series in row)


def pick_ranks(row: tuple[list | None, ...]) -> tuple[list | None, ...]:
    """The same of a curve by rank: BINS of its points, evenly spaced in the logarithm of the rank, none averaged."""
    chosen = log_spaced(list(range(len(row[0]))), BINS)
    return tuple(None if series is None else [series[i] for i in chosen] for series in row)
