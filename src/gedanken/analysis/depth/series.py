"""Series: one variable over the depth of a model, with replicates of the whole profile.

State s = 0 is what enters the first block, state s = l + 1 what leaves block l; its relative depth is s/L. A change
between the states l and l + 1 happens in block l, at (l + ½)/L.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float

from gedanken.measurements.schema import LEFT_OUT
from gedanken.status import Flag, Refusal

REPLICATES = 1000
"""Fewest bootstrap replicates behind an interval (latent-object-permanence, §3.2)."""


@dataclass(frozen=True)
class Series:
    """Values at the states 0 … L, and bootstrap replicates of all of them.

    `joint`: whole profiles were resampled by prompts. Otherwise states were moved independently by their standard
    errors, which ignores that the same prompts are read at every depth: widths of intervals are then rough.
    """

    name: str
    values: Float[np.ndarray, " state"]
    replicates: Float[np.ndarray, "replicate state"]
    joint: bool = True

    @property
    def blocks(self) -> int:
        """L."""
        return len(self.values) - 1


def from_left_out(
    name: str,
    values: Float[np.ndarray, " state"],
    left_out: Float[np.ndarray, "group state"],
    rng: np.random.Generator,
    count: int = REPLICATES,
) -> Series:
    """Series whose replicates resample groups of prompts, to first order in their influence.

    With pseudo-values ψ_g = Gθ − (G−1)θ_(−g) [@efron1981jackknife, eq. 1.4] and multinomial weights w, a replicate is
    θ + √(G/(G−1)) Σ(w_g − 1)ψ_g/G: exact for means, and for what is smooth in them up to its curvature. All states
    share the weights. Raises Refusal(too_small) under two groups.
    """
    groups = len(left_out)
    if groups < 2:
        raise Refusal(Flag.too_small, "one group of prompts cannot be resampled")
    pseudo = groups * values - (groups - 1) * left_out
    weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=count) - 1.0
    return Series(name, values, values + weights @ pseudo / np.sqrt(groups * (groups - 1)))


def from_errors(
    name: str,
    values: Float[np.ndarray, " state"],
    errors: Float[np.ndarray, " state"],
    rng: np.random.Generator,
    count: int = REPLICATES,
) -> Series:
    """Series whose replicates move every state by its own standard error, independently (`joint` is False)."""
    return Series(name, values, values + errors * rng.standard_normal((count, len(values))), joint=False)


@dataclass(frozen=True)
class Excerpt:
    """What `of_lab` and `of_heads` read of a lab, of one run and some variables, in memory: tables are read once."""

    sites: pl.LazyFrame
    measurements: pl.LazyFrame
    curves: pl.LazyFrame

    @classmethod
    def of(cls, lab, run: str, variables: Collection[str]) -> "Excerpt":
        mine, names = pl.col("run") == run, [*variables, *(name + LEFT_OUT for name in variables)]
        sites = lab.sites.filter(mine, pl.col("part").is_in(("resid_pre", "resid_post", "attention_pattern")))
        found = (frame.filter(mine, pl.col("variable").is_in(names)) for frame in (lab.measurements, lab.curves))
        return cls(*(frame.lazy() for frame in pl.collect_all([sites, *found])))


def of_lab(
    lab,
    run: str,
    variable: str,
    setting: str,
    rng: np.random.Generator,
    *,
    step: int | None = None,
    change: Callable[[np.ndarray], np.ndarray] | None = None,
    count: int = REPLICATES,
    errors_of: tuple[Series, float] | None = None,
) -> Series:
    """The series of a variable at `resid_pre` of block 0 and `resid_post` of all, from a lab; `change` (np.log) first.

    `lab`: a Lab, or an Excerpt of it where several series are read. Resampled by groups of prompts where the lab holds
    them, else by standard errors. `errors_of` names a series whose
    deviations, times a factor, serve a variable that has no error of its own. Raises Refusal(too_small) if a
    state is missing or refused, or has no error at all.
    """
    here = (pl.col("run") == run) & (pl.col("step").eq_missing(pl.lit(step, pl.Int64))) & (pl.col("setting") == setting)
    sites = lab.sites.filter(pl.col("run") == run, pl.col("step").eq_missing(pl.lit(step, pl.Int64)), block="resid")
    places = sites.filter(
        (pl.col("part") == "resid_post") | ((pl.col("part") == "resid_pre") & (pl.col("layer") == 0))
    ).select("site", state=pl.col("layer") + (pl.col("part") == "resid_post").cast(pl.Int64))
    found = lab.measurements.filter(here, variable=variable).join(places, on="site").sort("state").collect()
    states = places.collect()["state"].sort().to_list()
    standing = found.filter(status="ok")
    if len(states) < 2 or states != list(range(len(states))) or standing["state"].to_list() != states:
        missing = sorted(set(range(max(states, default=0) + 1)) - set(standing["state"].to_list()))
        raise Refusal(
            Flag.too_small, f"{variable} does not stand at the states {', '.join(map(str, missing)) or 'asked'}"
        )
    change = change or (lambda values: values)
    values = change(standing["value"].to_numpy())
    groups = lab.curves.filter(here, variable=variable + LEFT_OUT).join(places, on="site").sort("state").collect()
    if groups["state"].to_list() == states and len({len(y) for y in groups["y"]}) == 1:
        left_out = change(np.array(groups["y"].to_list()).T)
        return from_left_out(variable, values, left_out, rng, count)
    if errors_of is not None and standing["stderr"].null_count():
        like, factor = errors_of
        return Series(variable, values, values + factor * (like.replicates - like.values), like.joint)
    if standing["stderr"].null_count():
        raise Refusal(Flag.too_small, f"{variable} has no error at some states")
    # To first order, the error after `change`.
    raw, errors = standing["value"].to_numpy(), standing["stderr"].to_numpy()
    return from_errors(variable, values, np.abs(change(raw + errors) - values), rng, count)


def of_heads(
    lab, run: str, variable: str, setting: str, rng: np.random.Generator, *, count: int = REPLICATES
) -> Series:
    """The series of a variable of attention over the layers 0 … L−1, each the mean of its heads, resampled by groups of
    prompts. Raises Refusal(too_small) if there are fewer than two layers, or prompts were not grouped alike.
    """
    here = (pl.col("run") == run) & (pl.col("setting") == setting)
    heads = lab.sites.filter(pl.col("run") == run, block="attn", part="attention_pattern")
    heads = heads.filter(pl.col("head").is_not_null()).select("site", "layer")
    found = lab.measurements.filter(here, variable=variable, status="ok").join(heads, on="site").collect()
    groups = lab.curves.filter(here, variable=variable + LEFT_OUT).join(heads, on="site").collect()
    layers = sorted(set(found["layer"]))
    if len(layers) < 2:
        raise Refusal(Flag.too_small, f"{variable} stands at {len(layers)} layers")
    if groups.height != found.height or len({len(y) for y in groups["y"]}) != 1:
        raise Refusal(Flag.too_small, f"{variable} was not resampled by the same prompts everywhere")

    def means(frame: pl.DataFrame, column: str) -> np.ndarray:
        return np.array([np.mean(np.array(frame.filter(layer=at)[column].to_list()), axis=0) for at in layers])

    return from_left_out(variable, means(found, "value"), means(groups, "y").T, rng, count)
