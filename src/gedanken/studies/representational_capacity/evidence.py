"""Evidence: ε of the lab's models and of the published ones, cells of packings, token tables, residual streams."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from gedanken.analysis.against_null import against_null, last_steps
from gedanken.analysis.capacity import SITE, models_of, packing_cells
from gedanken.analysis.packing_fits import read_cells
from gedanken.analysis.published_models import published_models
from gedanken.measurements.store import Lab
from gedanken.status import Failure
from gedanken.studies.representational_capacity.tables import Relations, read_relations

LAB, PUBLISHED = "this lab", "published rows"
UNEMBEDDING = "unembed.W_U"
SHUFFLED = "~shuffled"
"""How the run of a model on tokens in random order is named after the run that it is the null of."""


@dataclass(frozen=True)
class Cells:
    """Cells of one way of packing, and of random directions if there are any, with the trials each is the least of."""

    name: str
    optimised: pl.DataFrame
    random: pl.DataFrame | None
    trials: int


@dataclass
class Evidence:
    """What the claims are judged on."""

    models: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    """Part → frame of models (published_models.SCHEMA): of this lab and as published."""
    embeddings: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=EMBEDDING_COLUMNS))
    """What the lab measured of token tables: run, site, variable, centred, z, value, low, high, stderr, null, shuffled."""
    cells: tuple[Cells, ...] = ()
    relations: tuple[Relations, ...] = ()
    unopened: Mapping[str, str] = field(default_factory=dict)
    """Model → why its tables could not be read again."""
    residual: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=RESIDUAL_COLUMNS))
    """ε at the layers of models that ran on a text, beside that of their embedding."""
    draws: int = 200

    def rng(self, name: str) -> np.random.Generator:
        """Of bootstraps and permutations: the same numbers at every judging."""
        return np.random.default_rng([20260602, *name.encode()])

    @cached_property
    def parts(self) -> list[tuple[str, pl.DataFrame]]:
        """The frames of models that have a row."""
        return [(part, frame) for part, frame in self.models.items() if len(frame)]


EMBEDDING_COLUMNS = {"run": pl.String, "site": pl.String, "variable": pl.String, "centred": pl.Boolean, "z": pl.Float64,
                     "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "stderr": pl.Float64,
                     "null": pl.Float64, "shuffled": pl.Float64}  # fmt: skip
RESIDUAL_COLUMNS = {"run": pl.String, "model": pl.String, "layer": pl.Int64, "centred": pl.Boolean, "value": pl.Float64,
                    "low": pl.Float64, "high": pl.Float64, "base": pl.Float64, "base_low": pl.Float64,
                    "base_high": pl.Float64, "null": pl.Float64, "shuffled": pl.Float64}  # fmt: skip


def gather(lab: Lab, runs: tuple[str, ...], settings: Mapping[str, Any], progress) -> Evidence:
    """Raises Failure for a file of cells that cannot be read, and for numbers of trials or draws below 1."""
    if settings["trials"] < 1 or settings["draws"] < 40:
        raise Failure("The study needs trials ≥ 1 and draws ≥ 40 (an interval then rests on one draw beyond each end).")
    models = models_of(lab, runs)
    measured = _measured(lab, runs)
    names = models["model"].to_list() if settings["tables"] else []
    relations, unopened = read_relations(lab, names, np.random.default_rng(20260602), progress)
    return Evidence(
        {LAB: models, PUBLISHED: published_models()},
        _embeddings(lab, measured),
        tuple(_cells(lab, runs, settings)),
        relations,
        unopened,
        _residual(lab, measured),
        settings["draws"],
    )


def _cells(lab: Lab, runs: tuple[str, ...], settings: Mapping[str, Any]) -> list[Cells]:
    """The published cells, if given, and those of the lab by loss: two losses are never mixed."""
    found = []
    random = read_cells(settings["random_cells"]) if settings["random_cells"] else None
    if settings["cells"]:
        found.append(Cells("given cells", read_cells(settings["cells"]), random, settings["trials"]))
    elif random is not None:
        found.append(Cells("given cells", random.clear(), random, settings["trials"]))
    packed = packing_cells(lab).filter(pl.col("run").is_in(list(runs)))
    for (loss,), part in sorted(packed.partition_by("loss", as_dict=True).items()):
        # the best packing of each cell: others are worse solutions of the same problem
        best = part.group_by("d", "k").agg(pl.col("epsilon").min()).sort("d", "k")
        widths = " to ".join(str(d) for d in sorted({best["d"].min(), best["d"].max()}))
        found.append(Cells(f"{LAB}, {loss} loss, d {widths}", best, None, settings["trials"]))
    return found


def _measured(lab: Lab, runs: tuple[str, ...]) -> pl.DataFrame:
    """cosine_* at the last step of each run, with their settings spelt out and the null's median beside."""
    wanted = pl.col("variable").is_in(["cosine_mean", "cosine_spread", "cosine_edge", "cosine_asymmetry"])
    rows = last_steps(against_null(lab).filter(wanted, pl.col("status") == "ok", pl.col("run").is_in(list(runs))))
    fields = pl.Struct({"centred": pl.Boolean, "z": pl.Float64})
    told = lab.settings.select("setting", pl.col("fields").str.json_decode(fields).alias("told")).unnest("told")
    found = rows.join(told, on="setting", how="left").with_columns(
        pl.col("centred").fill_null(False), pl.col("z").fill_null(2.0)
    )
    return found.collect()


def _embeddings(lab: Lab, measured: pl.DataFrame) -> pl.DataFrame:
    address = ["run", "step", "site", "variable", "setting"]
    shuffles = lab.nulls.filter(pl.col("null") == "coordinate_shuffle").select(*address, shuffled="median").collect()
    rows = measured.filter(pl.col("site").is_in([SITE, UNEMBEDDING])).join(
        shuffles, on=address, how="left", nulls_equal=True
    )
    return rows.select(pl.col(name).cast(kind) for name, kind in EMBEDDING_COLUMNS.items()).sort("run", "variable")


def _residual(lab: Lab, measured: pl.DataFrame) -> pl.DataFrame:
    """ε after each block of runs on a text, joined with ε of the same model's embedding by the source's name."""
    edges = measured.filter(pl.col("variable") == "cosine_edge", pl.col("z") == 2.0)
    after = edges.filter(pl.col("site").str.ends_with("resid_post"), pl.col("stack").fill_null("") != "decoder")
    about = lab.runs.select("run", "source", "null_of").collect()
    layers = after.join(about, on="run", how="left").with_columns(
        model_source=pl.col("source").str.replace(r" on [^/]*$", "")
    )
    bases = edges.filter(pl.col("site") == SITE).join(about, on="run", how="left")
    bases = bases.select("centred", model="run", model_source="source", base="value", base_low="low", base_high="high")
    shuffled = layers.filter(pl.col("run").str.ends_with(SHUFFLED))
    shuffled = shuffled.select("layer", "centred", run="null_of", shuffled="value")
    joined = layers.filter(pl.col("null_of").is_null()).join(
        bases.unique(["model_source", "centred"]), on=["model_source", "centred"]
    )
    joined = joined.join(shuffled, on=["run", "layer", "centred"], how="left")
    return joined.select(pl.col(name).cast(kind) for name, kind in RESIDUAL_COLUMNS.items()).sort(
        "run", "centred", "layer"
    )


def null_edge(d: int) -> float:
    """ε₀ = 2/√d of a random table."""
    return 2 / math.sqrt(d)
