"""Evidence: what forward passes left in a lab, model by model, beside the same models with random weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from gedanken.analysis.against_null import against_null, last_steps
from gedanken.measurements.store import Lab
from gedanken.status import Flag

VARIABLES = ("field_alignment", "field_alignment_swapped", "heat_capacity_row_fraction", "attention_entropy_excess",
             "log_best_temperature", "approximation_rank_gain", "approximation_rank_excess_free_energy",
             "approximation_rank_dropped_mass", "approximation_rank_pattern_distance",
             "approximation_rank_tsallis_excess")  # fmt: skip
ALL_HEADS = "stream.attention_pattern"
"""Where the loss stands that has every head changed."""

FEWEST_SEEDS, FEWEST_MODELS = 5, 7
"""Below either a claim about models is undecided (theory specification, § 10): seeds of one configuration, or models."""

_NOT_THE_MODEL = frozenset({"run_on", "run_with", "seed", "_name_or_path", "transformers_version", "dtype"})


@dataclass(frozen=True)
class Model:
    """One model on one text: its values beside their nulls, at every step, and those of its twins with random weights."""

    run: str
    text: str
    configuration: Mapping[str, Any]
    rows: pl.DataFrame
    at_bound: bool
    """Whether the temperature of least loss lies beyond those tried."""
    twins: tuple["Model", ...] = ()
    source: str = ""
    """What was run, whatever the text; empty stands for a source of its own."""

    @cached_property
    def last(self) -> pl.DataFrame:
        """The rows of the last step."""
        return last_steps(self.rows.lazy()).collect()

    def heads(self, variable: str) -> pl.DataFrame:
        """A variable's rows of single heads at the last step, by site."""
        return self.last.filter(pl.col("variable") == variable, pl.col("head").is_not_null()).sort("site")

    @cached_property
    def size(self) -> float | None:
        """12 · layers · width²: parameters outside the embeddings [@kaplan2020scaling, § 2.1]; None if not stated."""
        words = ("hidden_size", "n_embd", "d_model", "dim", "width")
        width = next((self.configuration[word] for word in words if word in self.configuration), None)
        layers = self.rows["layer"].max()
        return None if width is None or layers is None else 12.0 * (layers + 1) * width**2


@dataclass(frozen=True)
class Evidence:
    """The models that are judged."""

    models: tuple[Model, ...]

    def enough(self, judged: list[Model]) -> bool:
        """Whether runs are of as many different models as a verdict needs: several texts do not make one model several."""
        return len({model.source or model.run for model in judged}) >= self.needed

    @cached_property
    def needed(self) -> int:
        """How many models a verdict needs: 5 seeds of one configuration, else 7 models."""
        told = {
            json.dumps(
                {k: v for k, v in m.configuration.items() if k not in _NOT_THE_MODEL}, sort_keys=True, default=str
            )
            for m in self.models
        }
        return FEWEST_SEEDS if len(told) == 1 and len(self.models) > 1 else FEWEST_MODELS


def gather(lab: Lab, runs: tuple[str, ...], settings: Mapping[str, Any], progress) -> Evidence:
    """Models with attention ensembles or a loss against temperature among `runs`, null runs beside their model."""
    about = {row["run"]: row for row in lab.runs.collect().iter_rows(named=True)}
    found = against_null(lab).filter(pl.col("variable").is_in(VARIABLES), pl.col("variant") == "").collect()
    bound = lab.measurements.filter(
        pl.col("variable") == "log_best_temperature", pl.col("flags").list.contains(str(Flag.at_bound)),
        pl.col("site") == ALL_HEADS,
    )  # fmt: skip
    bounded = set(bound.select("run").collect()["run"])

    def model(name: str, twins: tuple[Model, ...] = ()) -> Model:
        row = about[name]
        configuration = json.loads(row["configuration"] or "{}")
        part = found.filter(pl.col("run") == name)
        source = (row["source"] or "").removesuffix(f" on {configuration.get('run_on')}")
        return Model(name, row["text_hash"] or "", configuration, part, name in bounded, twins, source)

    def is_random(name: str, of: str) -> bool:
        row = about[name]
        told = json.loads(row["configuration"] or "{}").get("run_with", {})
        return row["null_of"] == of and told.get("null") == "random"

    measured = set(found["run"]) | bounded
    chosen = [name for name in runs if name in measured and about[name]["null_of"] is None]
    return Evidence(
        tuple(model(name, tuple(model(t) for t in sorted(measured) if is_random(t, name))) for name in sorted(chosen))
    )


def several(values: list[float]) -> str:
    """`0.12, 0.3 and 0.05`, for a sentence."""
    told = [f"{value:.3g}".replace("-", "−") for value in values]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"
