"""Evidence: for every model of a lab its variables over depth, and the same of its null runs."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from gedanken.analysis.depth.locate import Located, locate
from gedanken.analysis.depth.rule import Judged, judge
from gedanken.analysis.depth.series import Excerpt, Series, of_heads, of_lab
from gedanken.status import Failure, Flag, Refusal
from gedanken.studies.latent_object_permanence import controls
from gedanken.theory import hoyer

TARGET = 0.42
"""γ_c as the paper gives it."""

DEPTH, ROWS = 24, 2000
"""Fewest blocks for a depth, and fewest tokens after exclusions (section 9, gate)."""

RAW, STANDARDISED, WITHOUT, WHITENED = "Ω_raw", "Ω_z", "Ω_−16", "Ω_pc"
VARIANTS = (RAW, STANDARDISED, WITHOUT, WHITENED)

Source = tuple[str, str, dict[str, Any], str]
"""Instrument, variable, fields other than default, and what is done to the value: "", "ln" or "Ω"."""

HALF = ", n/2"

SERIES: Mapping[str, Source] = {
    RAW: ("hoyer_sparsity", "hoyer_sparsity", {}, "Ω"),
    STANDARDISED: ("hoyer_sparsity", "hoyer_sparsity", {"basis": "standardised"}, "Ω"),
    WITHOUT: ("hoyer_sparsity", "hoyer_sparsity", {"removed": 16}, "Ω"),
    WHITENED: ("hoyer_sparsity", "hoyer_sparsity", {"basis": "whitened"}, "Ω"),
    "Ω_−1": ("hoyer_sparsity", "hoyer_sparsity", {"removed": 1}, "Ω"),
    "Ω_−4": ("hoyer_sparsity", "hoyer_sparsity", {"removed": 4}, "Ω"),
    "Ω_raw, first positions in": ("hoyer_sparsity", "hoyer_sparsity", {"first": True}, "Ω"),
    "Ω_MA": ("massive_coordinates", "hoyer_massive", {}, "Ω"),
    "ln PR": ("covariance_participation_ratio", "covariance_participation_ratio", {}, "ln"),
    "ln energy rank": ("covariance_spectrum", "covariance_energy_rank", {}, "ln"),
    "ln energy rank, n/2": ("covariance_spectrum", "covariance_energy_rank_half", {}, "ln"),
    "ln gap": ("covariance_spectrum", "spectral_gap", {}, "ln"),
    "tail share": ("covariance_spectrum", "tail_share_64", {}, ""),
    "ks distance": ("parallel_edge", "parallel_ks_distance", {}, ""),
    "ks ratio": ("parallel_edge", "parallel_ks_ratio", {}, ""),
    "outliers": ("parallel_edge", "parallel_outlier_count_deflated", {}, ""),
    "ks distance, n/2": ("parallel_edge", "parallel_ks_distance", {"half": True}, ""),
    "outliers, n/2": ("parallel_edge", "parallel_outlier_count_deflated", {"half": True}, ""),
}

ENERGY, ENERGY_WITHOUT, SHARE, CENTRED = "F* + ln n", "F* + ln n without sink", "S/ln n", "F* centred"

OF_HEADS: Mapping[str, tuple[str, str]] = {
    ENERGY: ("free_energy", "free_energy_per_key"),
    ENERGY_WITHOUT: ("free_energy", "free_energy_per_key_without_sink"),
    SHARE: ("attention_entropy", "attention_entropy_normalised"),
    CENTRED: ("free_energy", "free_energy_centred"),
}
"""Instrument and variable of each profile over layers."""

NULL_WORDS = {"random": "N1", "shuffled": "N2", "unigram": "N2"}
"""Null runs, by the word that names them in the run's configuration, and the specification's number."""


@dataclass(frozen=True)
class Profile:
    """One variable over depth; its place and its shape, either of which may be refused, are worked out when asked for."""

    series: Series

    @cached_property
    def located(self) -> Located | Refusal:
        try:
            return locate(self.series)
        except Refusal as refusal:
            return refusal

    @cached_property
    def judged(self) -> Judged | Refusal:
        try:
            return judge(self.series, np.random.default_rng(1))
        except Refusal as refusal:
            return refusal

    @property
    def place(self) -> str:
        """`0.43 (0.40–0.47)`, or why there is no depth."""
        if isinstance(self.located, Refusal):
            return "no located depth"
        if not self.located.agree:
            three = (f"{name} {self.located.places[name].depth:.2f}" for name in ("increment", "logistic", "levels"))
            return f"no located depth ({', '.join(three)})"
        place, blocks = self.located.places["logistic"], self.located.places["logistic"].blocks
        return f"{place.depth:.2f} ({place.low / blocks:.2f}–{place.high / blocks:.2f})"


@dataclass
class Model:
    """A run and its nulls. `profiles` by name of SERIES; `nulls` by run, those of the null runs."""

    run: str
    blocks: int
    dimension: int
    rows: int
    excluded: int
    profiles: dict[str, Profile | Refusal]
    nulls: dict[str, dict[str, Profile | Refusal]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    """N1 or N2 of each null run."""
    heads: dict[str, Series | Refusal] = field(default_factory=dict)
    """Profiles over layers, each layer the mean of its heads; `null_heads` the same by null run."""
    null_heads: dict[str, dict[str, Series | Refusal]] = field(default_factory=dict)
    family: str = "unknown family"

    def get(self, name: str) -> Profile | None:
        found = self.profiles.get(name)
        return found if isinstance(found, Profile) else None

    def missing(self, *names: str) -> str:
        """Why variables cannot be judged, or empty."""
        told = [f"{name}: {found}" for name in names if isinstance(found := self.profiles.get(name), Refusal)]
        return "; ".join(told)

    @cached_property
    def failed_controls(self) -> list[str] | None:
        """Planted cases that are not found with this model's noise; None where there are too few blocks to plant any."""
        found = self.get(WITHOUT)
        return controls.failed(found.series) if found and self.blocks >= controls.FEWEST else None

    @property
    def critical_depth(self) -> float:
        """γ* = γ̂(Ω_−16) if it is located, else the target."""
        found = self.get(WITHOUT)
        if found is None or isinstance(found.located, Refusal) or not found.located.agree:
            return TARGET
        return found.located.places["logistic"].depth

    @property
    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Which states are liquid (1/L ≤ x ≤ γ* − 0.05) and solid (γ* + 0.05 ≤ x ≤ 1 − 2/L)."""
        x = np.arange(self.blocks + 1) / self.blocks
        near = self.critical_depth
        return (x >= 1 / self.blocks) & (x <= near - 0.05), (x >= near + 0.05) & (x <= 1 - 2 / self.blocks)

    @property
    def ran(self) -> str:
        """The null runs there are: `N1 (2 runs), N2 (2 runs)`, or `none`."""
        found = {kind: sum(k == kind for k in self.kinds.values()) for kind in sorted(set(self.kinds.values()))}
        return ", ".join(f"{kind} ({n} runs)" for kind, n in found.items()) or "none"

    @property
    def depths(self) -> str:
        """γ̂ of every variant, as each line of the verdicts must print it."""
        return "γ̂: " + ", ".join(
            f"{name} {found.place if (found := self.get(name)) else 'refused'}" for name in VARIANTS
        )

    @property
    def footing(self) -> str:
        failed = self.failed_controls
        found = "positive controls: " + ("too few blocks" if failed is None else ", ".join(failed) or "passed")
        return (
            f"{self.depths}. {self.rows:,} tokens, {self.excluded:,} at first positions left out; null runs: {self.ran}; "
            f"{found}."
        )


@dataclass
class Evidence:
    models: list[Model]


def gather(lab, runs: tuple[str, ...], settings: Mapping[str, Any], progress) -> Evidence:
    """Models among the runs that have a residual stream over depth. Raises Failure if there is none."""
    rows = {row["run"]: row for row in lab.runs.collect().to_dicts()}
    streams = set(lab.measurements.filter(variable="hoyer_sparsity").select("run").unique().collect()["run"])
    found = [run for run in runs if run in streams and not rows[run]["null_of"]]
    if not found:
        raise Failure("No run of the lab has activations over depth.", "gedanken scan MODEL --text stdlib --nulls")
    models = []
    for i, run in enumerate(found):
        nulls = [name for name, row in rows.items() if row["null_of"] == run and name in streams]
        models.append(_model(lab, run, nulls, rows))
        if progress:
            progress(i + 1, len(found))
    return Evidence(models)


def _model(lab, run: str, nulls: list[str], rows: dict[str, dict]) -> Model:
    dimension = lab.sites.filter(pl.col("run") == run, block="resid").select(pl.col("cols").max()).collect().item()
    counts = lab.measurements.filter(pl.col("run") == run, pl.col("status") == "ok")
    n = counts.filter(variable="hoyer_sparsity", setting=_setting(*SERIES[RAW][::2])).select(pl.col("n").min())
    excluded = counts.filter(variable="excluded_count").select(pl.col("value").max()).collect().item()
    profiles = _profiles(lab, run, dimension)
    blocks = max((p.series.blocks for p in profiles.values() if isinstance(p, Profile)), default=0)
    kinds = {name: NULL_WORDS[word] for name in nulls if (word := _null_word(rows[name])) in NULL_WORDS}
    told = json.loads(rows[run]["configuration"] or "{}")
    return Model(
        run, blocks, dimension, n.collect().item() or 0, int(excluded or 0), profiles,
        {name: _as_deep(_profiles(lab, name, dimension), blocks) for name in kinds}, kinds,
        _heads(lab, run), {name: _heads(lab, name) for name in kinds}, told.get("model_type") or "unknown family",
    )  # fmt: skip


def _as_deep(profiles: dict[str, Profile | Refusal], blocks: int) -> dict[str, Profile | Refusal]:
    """Profiles of a null run; those that are not measured at every depth yet are refused."""
    return {
        name: Refusal(Flag.too_small, f"{found.series.blocks} of {blocks} blocks are measured")
        if isinstance(found, Profile) and found.series.blocks != blocks
        else found
        for name, found in profiles.items()
    }


def _heads(lab, run: str) -> dict[str, Series | Refusal]:
    found: dict[str, Series | Refusal] = {}
    excerpt = Excerpt.of(lab, run, [variable for _, variable in OF_HEADS.values()])
    for name, (instrument, variable) in OF_HEADS.items():
        try:
            found[name] = of_heads(excerpt, run, variable, _setting(instrument, {}), np.random.default_rng(0))
        except Refusal as refusal:
            found[name] = refusal
    return found


def _null_word(row: dict) -> str:
    return json.loads(row["configuration"] or "{}").get("run_with", {}).get("null", "")


def _setting(instrument: str, fields: dict[str, Any]) -> str:
    from gedanken.instruments import catalogue

    return catalogue.get(instrument)(**fields).setting


def _profiles(lab, run: str, dimension: int) -> dict[str, Profile | Refusal]:
    chosen = dict(SERIES)
    if dimension < 256:
        chosen["tail share"] = ("covariance_spectrum", "tail_share_tenth", {}, "")
    found: dict[str, Profile | Refusal] = {}
    excerpt = Excerpt.of(lab, run, {source[1] for source in chosen.values()})
    for name, source in chosen.items():
        whole = found.get(name.removesuffix(HALF)) if name.endswith(HALF) else None
        found[name] = _profile(excerpt, run, name, source, dimension, whole)
    return found


def _profile(
    lab, run: str, name: str, source: Source, dimension: int, whole: Profile | Refusal | None
) -> Profile | Refusal:
    instrument, variable, fields, scale = source
    ceiling = hoyer.largest(dimension) if dimension > 1 else 1.0
    change: Callable | None = {"": None, "ln": np.log, "Ω": lambda s: ceiling * s}[scale]
    # Half the prompts: errors √2 times as large.
    errors = (whole.series, math.sqrt(2)) if isinstance(whole, Profile) else None
    try:
        # One seed for all: replicates of different variables then resample the same prompts.
        series = of_lab(
            lab, run, variable, _setting(instrument, fields), np.random.default_rng(0), change=change, errors_of=errors
        )
    except Refusal as refusal:
        return refusal
    return Profile(replace(series, name=name))
