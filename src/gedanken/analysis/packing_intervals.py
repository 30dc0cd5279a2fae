"""How far the fits of packing_fits can be trusted: refits of parts of the cells, and intervals from resampling.

Cells of one d are alike (the residuals of a fit have one sign along k), so d is what is resampled and left out, never
single cells: intervals from single cells would be several times too narrow. The two forms of a ratio are fitted to the
same draw.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np
import polars as pl
from jaxtyping import Float

from gedanken.analysis.packing_fits import SHAPES, Errors, beyond, checked, errors, fit, predict
from gedanken.theory.packing import random_coherence

DRAWS = 200
"""Draws of a bootstrap: the 2.5 % point then rests on five of them, enough for two digits of an interval's width."""
ENDS = (2.5, 97.5)
"""Per cent of the draws below and above which an interval ends."""
LARGE = 512
"""The dimension from which the paper's models are: the third set of cells of `headline`."""

MEASURES = ("mape", "rmse", "median_percent", "median_log10_k")

_SETS: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "all": lambda cells: cells,
    "k > d": beyond,
    f"k > d ≥ {LARGE}": lambda cells: beyond(cells).filter(pl.col("d") >= LARGE),
}


def fit_table(
    cells: pl.DataFrame, rng: np.random.Generator, names: Iterable[str] = tuple(SHAPES), draws: int = DRAWS
) -> pl.DataFrame:
    """One row for each form, cells (`all`, `k > d`) and parameter: value, standard error, bootstrap interval, errors.

    Columns form, cells, parameter, value, stderr, low, high, then those of Errors. Raises Failure as `fit`.
    """
    rows = []
    for name in names:
        for label in ("all", "k > d"):
            chosen = _SETS[label](checked(cells))
            found = fit(chosen, name)
            at = tuple(found.parameters.values())  # a draw's search starts where all cells together end
            drawn = resampled(
                chosen, lambda part, name=name, at=at: list(fit(part, name, at).parameters.values()), rng, draws
            )
            for place, (parameter, value) in enumerate(found.parameters.items()):
                low, high = np.percentile(drawn[:, place], ENDS)
                row = {"form": name, "cells": label, "parameter": parameter, "value": value}
                row |= {"stderr": found.stderr(parameter), "low": float(low), "high": float(high)}
                rows.append(row | _columns(found.errors))
    return pl.DataFrame(rows)


def by_dimension(cells: pl.DataFrame, name: str = "ratio") -> pl.DataFrame:
    """A form with one parameter, refitted to the cells of each d: columns d, n, C, stderr, mape. Only k > d counts."""
    rows = []
    for (d,), part in beyond(checked(cells)).partition_by("d", as_dict=True).items():
        if len(part) > 1:
            found = fit(part, name)
            row = {"d": d, "n": len(part), "C": found.parameters["C"], "stderr": found.stderr("C")}
            rows.append(row | {"mape": found.errors.mape})
    return pl.DataFrame(rows).sort("d")


def leaving_one_dimension_out(cells: pl.DataFrame, name: str) -> pl.DataFrame:
    """A form fitted without one d, and its errors there on k > d.

    Columns left_out, the parameters, then mape, rmse, median_log10_k of the prediction for the d left out.
    """
    cells, rows = checked(cells), []
    for d in cells["d"].unique().sort():
        kept, left = cells.filter(pl.col("d") != d), beyond(cells.filter(pl.col("d") == d))
        found = fit(kept, name)
        told = _columns(errors(found.form, left)) if len(left) else {}
        rows.append({"left_out": d, **found.parameters} | {key: told.get(key) for key in ("n", *MEASURES)})
    return pl.DataFrame(rows)


def headline(cells: pl.DataFrame, rng: np.random.Generator, draws: int = DRAWS) -> pl.DataFrame:
    """By how much `ratio` errs less than `jl`: on all cells, on k > d, and on k > d ≥ 512, each fitted to its own.

    Columns cells, measure (of MEASURES), n, jl, ratio, reduction = jl/ratio, low, high. A set of fewer than two d is
    left out.
    """
    rows = []
    for label, choose in _SETS.items():
        chosen = choose(checked(cells))
        if chosen["d"].n_unique() < 2:
            continue
        jl, ratio = _measures(chosen, "jl"), _measures(chosen, "ratio")
        drawn = resampled(chosen, lambda part: _measures(part, "jl") / _measures(part, "ratio"), rng, draws)
        low, high = np.percentile(drawn, ENDS, axis=0)
        for place, measure in enumerate(MEASURES):
            row = {"cells": label, "measure": measure, "n": len(chosen), "jl": jl[place], "ratio": ratio[place]}
            rows.append(row | {"reduction": jl[place] / ratio[place], "low": low[place], "high": high[place]})
    return pl.DataFrame(rows)


def share_within_dimension(cells: pl.DataFrame, name: str = "jl") -> float:
    """The share of a form's summed relative error that cells with k ≤ d make, where the true optimum is 0."""
    cells = checked(cells).filter(pl.col("epsilon") > 0)
    k, d, epsilon = (cells[column].to_numpy().astype(float) for column in ("k", "d", "epsilon"))
    relative = np.abs(predict(name, k, d, *fit(cells, name).parameters.values()) / epsilon - 1)
    return float(relative[k <= d].sum() / relative.sum())


def resampled(
    cells: pl.DataFrame,
    statistic: Callable[[pl.DataFrame], Iterable[float]],
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> Float[np.ndarray, "draws m"]:
    """`statistic` of cells whose dimensions d are drawn with replacement, `draws` times.

    Draws of a single d are drawn again: they say nothing of how an overlap depends on d.
    """
    groups = checked(cells).partition_by("d")
    found: list[list[float]] = []
    while len(found) < draws:
        picks = rng.integers(len(groups), size=len(groups))
        if len(set(picks)) > 1 or len(groups) == 1:
            found.append(list(statistic(pl.concat([groups[pick] for pick in picks]))))
    return np.array(found)


def random_cells(cells: pl.DataFrame, trials: int, q: float = 0.5) -> pl.DataFrame:
    """Cells with ε replaced by the q-quantile of the least of `trials` draws of random directions (exact law)."""
    found = [random_coherence(k * (k - 1) / 2, d, q, trials) for d, k in checked(cells).select("d", "k").iter_rows()]
    return cells.with_columns(pl.Series("epsilon", found))


def simulated_cells(cells: pl.DataFrame, name: str, noise: float, rng: np.random.Generator) -> pl.DataFrame:
    """Cells with ε replaced by a form fitted to them, times 1 + noise · normal: what a refit should give back."""
    cells = checked(cells)
    k, d = (cells[column].to_numpy().astype(float) for column in ("k", "d"))
    held = predict(name, k, d, *fit(cells, name).parameters.values())
    return cells.with_columns(pl.Series("epsilon", np.clip(held * (1 + noise * rng.standard_normal(len(k))), 0, 1)))


def _measures(cells: pl.DataFrame, name: str) -> Float[np.ndarray, " m"]:
    told = fit(cells, name).errors
    return np.array([getattr(told, measure) for measure in MEASURES], dtype=float)


def _columns(told: Errors) -> dict[str, float | None]:
    return {
        name: None if value is None or math.isnan(value) else value
        for name, value in ((field, getattr(told, field)) for field in Errors.__dataclass_fields__)
    }
