"""Views of a lab: its tables joined for people and for other libraries. Nothing here measures or judges."""

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gedanken.measurements.store import Lab
from gedanken.status import Failure, Status

if TYPE_CHECKING:
    import pandas
    import xarray

_ADDRESS = ("run", "step", "site", "variable", "setting")


def overview(lab: Lab) -> pl.DataFrame:
    """One row a run: its source, snapshots, sites, values that stand, values refused."""
    counts = (
        lab.measurements.group_by("run")
        .agg(
            pl.col("step").n_unique().alias("snapshots"),
            pl.col("site").n_unique().alias("sites"),
            (pl.col("status") == Status.ok).sum().alias("values"),
            (pl.col("status") == Status.refused).sum().alias("refused"),
        )
        .collect()
    )
    runs = lab.runs.select("run", "architecture", "source", "created").sort("created").collect()
    return runs.join(counts, on="run", how="left", maintain_order="left").select(
        "run", "architecture", "snapshots", "sites", "values", "refused", "source"
    )


def provenance(lab: Lab, run: str) -> dict[str, Any]:
    """The `runs` row of a run. Raises Failure if there is none."""
    lab.require(run)
    return lab.runs.filter(pl.col("run") == run).collect().row(0, named=True)


def summary(lab: Lab, run: str) -> pl.DataFrame:
    """One row for each variable and setting of a run: range over its sites, refusals."""
    return (
        labelled(lab)
        .filter(pl.col("run") == run)
        .group_by("variable", "fields")
        .agg(
            (pl.col("status") == Status.ok).sum().alias("values"),
            (pl.col("status") == Status.refused).sum().alias("refused"),
            pl.col("value").min().alias("smallest"),
            pl.col("value").median().alias("median"),
            pl.col("value").max().alias("largest"),
            ((pl.col("value") < pl.col("null_low")) | (pl.col("value") > pl.col("null_high")))
            .sum()
            .alias("outside_null"),
        )
        .sort("variable", "fields")
        .collect()
    )


def labelled(lab: Lab) -> pl.LazyFrame:
    """Measurements with their site's labels, their setting's fields and their first null's band and p."""
    nulls = (
        lab.nulls.sort("null")
        .unique(subset=list(_ADDRESS), keep="first", maintain_order=True)
        .select(
            *_ADDRESS, "null", *(pl.col(name).alias(f"null_{name}") for name in ("median", "low", "high", "p", "draws"))
        )
    )
    sites = lab.sites.select(pl.exclude("fingerprint"))
    return (
        lab.measurements.drop("fingerprint")
        .join(sites, on=["run", "step", "site"], how="left", nulls_equal=True)
        .join(lab.settings.select("setting", "fields"), on="setting", how="left")
        .join(nulls, on=list(_ADDRESS), how="left", nulls_equal=True)
    )


def flat(lab: Lab, run: str | None = None) -> pl.DataFrame:
    """`labelled`, of one run or all, in memory."""
    frame = labelled(lab)
    return (frame.filter(pl.col("run") == run) if run else frame).collect()


def weightwatcher(lab: Lab, run: str) -> pl.DataFrame:
    """One row a site with WeightWatcher's column names: the aliases of our variables, in their default settings."""
    lab.require(run)
    aliases = lab.variables.select("variable", "aliases").collect()
    names = {alias: variable for variable, found in aliases.iter_rows() for alias in found}
    defaults = lab.settings.filter(pl.col("default"))
    rows = (
        lab.measurements.filter((pl.col("run") == run) & (pl.col("status") == Status.ok))
        .join(defaults, on="setting", how="semi")
        .collect()
    )
    wide = rows.pivot(on="variable", index=["step", "site"], values="value")
    columns = [pl.col(variable).alias(alias) for alias, variable in names.items() if variable in wide.columns]
    long, short = pl.max_horizontal("rows", "cols"), pl.min_horizontal("rows", "cols")
    sites = lab.sites.filter(pl.col("run") == run).collect()
    shapes = sites.select("step", "site", pl.col("raw_name").alias("longname"), long.alias("N"), short.alias("M"))
    return shapes.join(wide.select("step", "site", *columns), on=["step", "site"], how="inner", nulls_equal=True)


def to_pandas(lab: Lab, run: str | None = None) -> "pandas.DataFrame":
    """`flat` as a pandas frame. Raises Failure if pandas is not installed."""
    try:
        import pandas
    except ImportError as absent:
        raise Failure("pandas is not installed.", "pip install 'gedanken[frames]'") from absent
    frame = flat(lab, run)
    return pandas.DataFrame({column.name: column.to_list() for column in frame})


def to_xarray(lab: Lab, variable: str, setting: str | None = None) -> "xarray.DataArray":
    """One variable over (run, step, site); refused and absent values are NaN.

    setting: the default one if not named. Raises Failure if xarray is not installed or nothing was measured.
    """
    try:
        import xarray
    except ImportError as absent:
        raise Failure("xarray is not installed.", "pip install 'gedanken[frames]'") from absent
    settings = lab.settings.filter(pl.col("setting") == setting if setting else pl.col("default"))
    rows = lab.measurements.filter(pl.col("variable") == variable).join(settings, on="setting", how="semi").collect()
    if rows.is_empty():
        raise Failure(f"The lab {lab.path} has no {variable} in the setting asked for.", "gedanken instruments list")
    axes = {name: rows[name].unique().sort() for name in ("run", "step", "site")}
    values = np.full([len(axis) for axis in axes.values()], np.nan)
    places = tuple(_positions(rows[name], axis) for name, axis in axes.items())
    values[places] = rows["value"].fill_null(np.nan).to_numpy()
    unit = lab.variables.filter(pl.col("variable") == variable).collect()["unit"][0]
    coordinates = {name: axis.to_list() for name, axis in axes.items()}
    return xarray.DataArray(values, coordinates, list(coordinates), name=variable, attrs={"units": unit})


def _positions(column: pl.Series, axis: pl.Series) -> np.ndarray:
    """Where each entry of a column stands on its axis; a missing step is an entry like any other."""
    place = {label: position for position, label in enumerate(axis)}
    return np.array([place[label] for label in column])
