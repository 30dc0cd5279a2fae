"""Packing fits: the capacity forms fitted to measured overlaps ε(k, d), with their errors told in every honest way.

Cells are a frame with columns d, k, epsilon: k unit vectors in d dimensions, and the largest |cos| reached. The forms
are those of theory.packing: `jl` √(C ln k/d), `ratio` √(C ln(k/d)/d), `full` √(C ln^b(k^a/d)/d^c). Unweighted least
squares on ε, start values, bounds and the clipped logarithm as in [@guha2026representational] and its repository; the
prediction is 0 for k ≤ d where a form is relative to d. Six of the published cells have k ≤ d: the optimum is 0, the
recorded value is the optimiser's residue, and relative errors there decide the mean of all. So every error is given on
all cells and on those with k > d.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float
from scipy import optimize

from gedanken.status import Failure
from gedanken.theory.packing import Form

CLIP = 1.00001
"""The logarithm's argument is held above it [@guha2026representational]."""
COLUMNS = {"d": pl.Int64, "k": pl.Int64, "epsilon": pl.Float64}


@dataclass(frozen=True, slots=True)
class Shape:
    """A form to fit: names of its parameters, where the search starts, and its bounds (all from 0 or 0.1 up)."""

    names: tuple[str, ...]
    start: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    relative: bool


SHAPES = {
    "jl": Shape(("C",), (1.0,), (0.0,), (100.0,), relative=False),
    "ratio": Shape(("C",), (1.0,), (0.0,), (100.0,), relative=True),
    "full": Shape(("C", "a", "b", "c"), (0.5, 1.0, 1.4, 1.0), (0.0, 0.1, 0.1, 0.1), (10.0, 10.0, 10.0, 10.0), True),
}
"""The forms, by name, as the paper fits them [@guha2026representational]."""


@dataclass(frozen=True, slots=True)
class Errors:
    """How far a fit is from n cells: R²; root mean square; means in % of |error/ε| and of rms/(max ε − min ε); medians.

    `median_log10_k` is the median |log₁₀ k(d, ε) − log₁₀ k| over the cells with k > d, None if there are none.
    """

    n: int
    r_squared: float
    rmse: float
    mape: float
    nrmse: float
    median_percent: float
    median_log10_k: float | None


@dataclass(frozen=True)
class Fit:
    """A form fitted to cells: its parameters by name, their covariance, the form itself, and its errors.

    `form` carries the domain of the cells, so that it says itself when it is extrapolated or clamped. `errors` is of
    the cells fitted; `beyond` of those with k > d (None if there are none).
    """

    name: str
    parameters: Mapping[str, float]
    covariance: Float[np.ndarray, "p p"]
    form: Form
    errors: Errors
    beyond: Errors | None

    def stderr(self, name: str) -> float:
        """The standard error of a parameter by least squares; it takes cells for independent, which they are not."""
        place = list(self.parameters).index(name)
        return math.sqrt(self.covariance[place, place])


def read_cells(path: str | Path) -> pl.DataFrame:
    """Cells from a CSV file with columns d, k, epsilon. Raises Failure if it is not that."""
    try:
        return checked(pl.read_csv(path))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise Failure(f"{path} could not be read as a table of cells: {error}.") from error


def checked(cells: pl.DataFrame) -> pl.DataFrame:
    """Columns d, k, epsilon of cells. Raises Failure if one is missing, or a value makes no sense."""
    if missing := set(COLUMNS) - set(cells.columns):
        raise Failure(f"Cells have the columns d, k, epsilon; {', '.join(sorted(missing))} is missing.")
    try:
        cells = cells.select(pl.col(name).cast(kind) for name, kind in COLUMNS.items())
    except pl.exceptions.PolarsError as error:
        raise Failure(f"The cells' columns are not all numbers: {error}.") from error
    whole = (pl.col("d") >= 1) & (pl.col("k") >= 2) & pl.col("epsilon").is_between(0, 1)
    wrong = cells.filter(~whole.fill_null(False))
    if len(wrong):
        d, k, epsilon = wrong.row(0)
        raise Failure(f"The cell d = {d}, k = {k}, ε = {epsilon} makes no sense: d ≥ 1, k ≥ 2 and 0 ≤ ε ≤ 1.")
    return cells


def predict(name: str, k: Float[np.ndarray, " n"], d: Float[np.ndarray, " n"], *parameters: float) -> np.ndarray:
    """ε of k directions in d dimensions by a form of SHAPES; 0 for k ≤ d if it is relative to d."""
    C, a, b, c = (*parameters, 1.0, 1.0, 1.0)[:4]
    if not SHAPES[name].relative:
        return np.sqrt(C * np.log(np.maximum(k, CLIP)) / d)
    log = np.log(np.maximum(np.exp(a * np.log(k)) / d, CLIP))
    return np.where(k <= d, 0.0, np.sqrt(C * log**b / d**c))


def fit(cells: pl.DataFrame, name: str, start: tuple[float, ...] = ()) -> Fit:
    """Least squares of a form of SHAPES to cells, the search from `start` (else where the paper starts it).

    Raises Failure for too few cells, or where no fit is found.
    """
    shape, cells = SHAPES[name], checked(cells)
    k, d, epsilon = _columns(cells)
    usable = int(np.count_nonzero(k > d)) if shape.relative else len(k)
    if usable <= len(shape.names):
        raise Failure(
            f"{usable} cells{' with k > d' if shape.relative else ''} are too few to fit {', '.join(shape.names)}."
        )
    if len(shape.names) == 1:
        found, covariance = _linear(predict(name, k, d, 1.0), epsilon, shape.high[0])
    else:
        found, covariance = _searched(name, k, d, epsilon, start or shape.start)
    form = Form(*map(float, found), relative=shape.relative, domain=((int(d.min()), int(d.max())), int(k.max())))
    return Fit(
        name,
        dict(zip(shape.names, map(float, found), strict=True)),
        covariance,
        form,
        errors(form, cells),
        errors(form, beyond(cells)) if (k > d).any() else None,
    )


def beyond(cells: pl.DataFrame) -> pl.DataFrame:
    """The cells with k > d: more vectors than can be orthogonal."""
    return cells.filter(pl.col("k") > pl.col("d"))


def errors(form: Form, cells: pl.DataFrame) -> Errors:
    """How far a form is from cells. Relative errors leave out cells with ε = 0."""
    k, d, epsilon = _columns(checked(cells))
    outside = k > d
    log_ratio = form.a * np.log(k) - (np.log(d) if form.relative else 0.0)
    held = np.sqrt(form.C * np.maximum(log_ratio, 0.0) ** form.b / d**form.c)
    gap = np.where(outside | (not form.relative), held, 0.0) - epsilon
    rmse = math.sqrt(np.mean(gap**2))
    spread, variance = float(np.ptp(epsilon)), float(np.var(epsilon))
    relative = np.abs(gap[epsilon > 0] / epsilon[epsilon > 0])
    exponent = (d**form.c * epsilon**2 / form.C) ** (1 / form.b) if form.C else np.full(len(d), math.inf)
    log_count = ((np.log(d) if form.relative else 0.0) + exponent) / form.a
    counts = np.abs(log_count - np.log(k))[outside] / math.log(10)
    return Errors(
        n=len(k),
        r_squared=1 - rmse**2 / variance if variance else math.nan,
        rmse=rmse,
        mape=100 * float(relative.mean()) if len(relative) else math.nan,
        nrmse=100 * rmse / spread if spread else math.nan,
        median_percent=100 * float(np.median(relative)) if len(relative) else math.nan,
        median_log10_k=float(np.median(counts)) if len(counts) else None,
    )


def _linear(
    unit: Float[np.ndarray, " n"], epsilon: Float[np.ndarray, " n"], most: float
) -> tuple[list[float], Float[np.ndarray, "1 1"]]:
    """C of ε = √C · unit and its variance: a regression through the origin, exactly the least squares of the paper."""
    square = float(unit @ unit)
    root = min(max(float(unit @ epsilon) / square, 0.0), math.sqrt(most))
    noise = float(np.sum((epsilon - root * unit) ** 2)) / (len(unit) - 1)
    return [root**2], np.array([[4 * root**2 * noise / square]])  # dC = 2√C d√C


def _searched(name: str, k, d, epsilon, start: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The four parameters and their covariance. Raises Failure where the search does not end."""
    shape = SHAPES[name]
    try:
        return optimize.curve_fit(
            lambda _, *p: predict(name, k, d, *p), k, epsilon, start, bounds=(shape.low, shape.high),
            jac=lambda _, *p: _slopes(k, d, *p),
        )  # fmt: skip
    except RuntimeError as error:
        raise Failure(f"No fit of the form {name} to these cells was found: {error}.") from error


def _slopes(k, d, C: float, a: float, b: float, c: float) -> Float[np.ndarray, "n 4"]:
    """∂ε/∂(C, a, b, c) of the full form: ε/2 times 1/C, b ln k/ln(k^a/d), ln ln(k^a/d), −ln d; 0 where it is clipped."""
    log = a * np.log(k) - np.log(d)
    held, log = predict("full", k, d, C, a, b, c), np.maximum(log, math.log(CLIP))
    free = (log > math.log(CLIP)) & (k > d)
    parts = [held / max(C, 1e-12), free * held * b * np.log(k) / log, held * np.log(log), -held * np.log(d)]
    return np.stack(parts, axis=1) / 2


def _columns(cells: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(cells[name].to_numpy().astype(float) for name in ("k", "d", "epsilon"))
