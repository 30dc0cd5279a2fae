"""LayerSeries: one variable of one run on the grid part × step × layer.

The input of every lifecycle analysis is a frame with the columns run, step, layer, part, variable, value; `frame_of` makes it
from a lab.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from gedanken.measurements.store import Lab
from gedanken.status import Failure

ATTENTION = ("W_Q", "W_K", "W_V", "W_O")
"""The matrices whose mean is a layer's value: equal squares in a model with as many keys as queries
(spectral-lifecycle, §2.7)."""

BESIDE_WEIGHTS = (" gradients", " updates")
"""Ends of the names of runs that hold the gradients or the updates of a training run, as the monitor writes them."""


@dataclass(frozen=True)
class LayerSeries:
    """`values[part, step, layer]`, NaN where nothing stands; steps and layers ascending."""

    parts: tuple[str, ...]
    steps: Int[np.ndarray, " step"]
    layers: Int[np.ndarray, " layer"]
    values: Float[np.ndarray, "part step layer"]

    @property
    def relative_depth(self) -> Float[np.ndarray, " layer"]:
        """(layer + ½)/L."""
        return (self.layers + 0.5) / len(self.layers)

    @property
    def of_layers(self) -> Float[np.ndarray, "step layer"]:
        """Mean over parts."""
        return self.values.mean(axis=0)

    @property
    def log_compression(self) -> "LayerSeries":
        """ln of the ratio to each series' first finite value (of a stable rank: u, 0 at the start)."""
        starts = np.argmax(np.isfinite(self.values), axis=1)
        first = np.take_along_axis(self.values, starts[:, None, :], axis=1)
        return LayerSeries(self.parts, self.steps, self.layers, np.log(self.values / first))


def layer_series(frame: pl.DataFrame, variable: str, run: str, parts: Sequence[str] = ATTENTION) -> LayerSeries:
    """One variable of one run. Raises Failure if the frame has none of it, or two values of one place (two settings)."""
    rows = frame.filter(
        pl.col("variable") == variable,
        pl.col("run") == run,
        pl.col("part").is_in(list(parts)),
        pl.col("layer").is_not_null(),
    )
    if rows.is_empty():
        raise Failure(f"There is no {variable} of {', '.join(parts)} in the run {run}.")
    if rows.select("step", "layer", "part").is_duplicated().any():
        raise Failure(f"The run {run} has {variable} in more than one setting at one place: choose one.")
    steps, layers = (rows[name].unique().sort().to_numpy() for name in ("step", "layer"))
    values = np.full((len(parts), len(steps), len(layers)), np.nan)
    place = {part: index for index, part in enumerate(parts)}
    at = (
        [place[part] for part in rows["part"]],
        np.searchsorted(steps, rows["step"]),
        np.searchsorted(layers, rows["layer"]),
    )
    values[at] = rows["value"].fill_null(np.nan).to_numpy()
    return LayerSeries(tuple(parts), steps, layers, values)


def of_weights(runs: Iterable[str]) -> tuple[str, ...]:
    """Those of the runs that hold no gradients and no updates of another."""
    return tuple(run for run in runs if not run.endswith(BESIDE_WEIGHTS))


def frame_of(lab: Lab, variables: Sequence[str], runs: Sequence[str] = ()) -> pl.DataFrame:
    """The frame of a lab: default settings, sites within layers (no heads, no experts), refused values null."""
    settings = lab.settings.filter(pl.col("default")).select("setting")
    sites = lab.sites.filter(pl.col("layer").is_not_null(), pl.col("head").is_null(), pl.col("expert").is_null())
    rows = lab.measurements.filter(pl.col("variable").is_in(list(variables)))
    rows = rows.filter(pl.col("run").is_in(list(runs))) if runs else rows
    return (
        rows.join(settings, on="setting", how="semi")
        .join(sites.select("run", "step", "site", "layer", "part"), on=["run", "step", "site"], nulls_equal=True)
        .select("run", "step", "layer", "part", "variable", "value")
        .sort("run", "variable", "step", "layer", "part")
        .collect()
    )
