"""Units: what a claim is judged on. A trained configuration with all its seeds, or one published model.

Series are seed × part × step × layer of the attention matrices (spectral-lifecycle, §2.7). Trained runs are read at every
25th step and the last one; runs that have not reached their last step, and the preset `smoke`, form no unit.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from gedanken.analysis.against_null import against_null
from gedanken.analysis.fronts import Front, front
from gedanken.analysis.layer_series import ATTENTION
from gedanken.analysis.timescales import Fit, fit_models
from gedanken.instruments.spectrum.rank_exponent import RankExponent
from gedanken.kinds import Spectrum
from gedanken.measurements.store import Lab, digest
from gedanken.status import Refusal

EVERY = 25
"""Steps between the snapshots that verdicts use [@liu2026lifecycle]."""
MATRICES = (*ATTENTION, "W_gate", "W_in", "W_out")
OURS = "trained here"
"""The family of all models that this program trained."""
OTHER_FRACTIONS = (0.1, 0.3)
"""Shares of the spectrum in the robustness settings of the rank exponent."""
_NOT_THE_UNIT = ("seed", "control", "threads", "device")
_OF_A_CONTROL = ("learning_rate", "warmup", "schedule")


@dataclass(frozen=True, eq=False)
class Unit:
    """`ranks` and `alpha`: stable rank and rank exponent. `profiles`: end profiles (seed × layer) in other settings.

    `recipe` is empty for a published model. `controls`: the same configuration with something taken away.
    """

    name: str
    family: str
    runs: tuple[str, ...]
    recipe: Mapping[str, Any]
    steps: Int[np.ndarray, " step"]
    ranks: Float[np.ndarray, "seed part step layer"]
    alpha: Float[np.ndarray, "seed part step layer"]
    profiles: Mapping[str, Float[np.ndarray, "seed layer"]] = field(default_factory=dict)
    controls: Mapping[str, "Unit"] = field(default_factory=dict)
    products: Mapping[str, Float[np.ndarray, "seed part layer"]] = field(default_factory=dict)
    """Variable → end profiles of W_QK and W_OV, means over heads, where they were measured."""
    parts: Mapping[str, Float[np.ndarray, "seed part layer"]] = field(default_factory=dict)
    """End profiles of the attention matrices in other settings."""

    @property
    def layers(self) -> int:
        return self.alpha.shape[-1]

    @property
    def trained(self) -> bool:
        return bool(self.recipe)

    @property
    def ladder(self) -> bool:
        """Whether its snapshots begin at step 0."""
        return len(self.steps) > 2 and self.steps[0] == 0

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(int(digest(self.name, size=6), 16))

    @cached_property
    def compression(self) -> Float[np.ndarray, "seed part step layer"]:
        """u = ln(SR/SR(0))."""
        return np.log(self.ranks / self.ranks[:, :, :1])

    @property
    def u(self) -> Float[np.ndarray, "seed step layer"]:
        """u of the layers: mean over the attention matrices. Of a single published run these stand in for seeds."""
        return self._replicates(self.compression)

    @property
    def shape(self) -> Float[np.ndarray, "seed step layer"]:
        """α of the layers, likewise."""
        return self._replicates(self.alpha)

    def _replicates(self, values: Float[np.ndarray, "seed part step layer"]) -> Float[np.ndarray, "seed step layer"]:
        return values.mean(axis=1) if self.trained or len(values) > 1 else values[0]

    @property
    def end(self) -> Float[np.ndarray, "seed layer"]:
        """α at the end: mean over the last 10 % of snapshots."""
        return at_end(self.shape)

    @cached_property
    def front(self) -> Front:
        return front(self.steps, self.u, self.rng)

    @property
    def noise(self) -> tuple[float, float]:
        """Standard deviations between seeds of u and of α."""
        return tuple(max(float(np.sqrt(x.var(axis=0, ddof=1).mean())), 1e-12) for x in (self.u, self.shape))

    @cached_property
    def fits(self) -> dict[str, Fit]:
        """The timescale models by name."""
        found = fit_models(self.steps, self.u.mean(axis=0), self.shape.mean(axis=0), self.noise, self.rng)
        return {fit.model: fit for fit in found}


def at_end(series: Float[np.ndarray, "... step layer"]) -> Float[np.ndarray, "... layer"]:
    """Mean over the last 10 % of snapshots."""
    return series[..., -max(1, series.shape[-2] // 10) :, :].mean(axis=-2)


def units(lab: Lab, runs: Iterable[str]) -> tuple[list[Unit], list[str]]:
    """The units of a lab's runs, and a sentence for each run that is none."""
    about = lab.runs.filter(pl.col("run").is_in(list(runs))).collect()
    rows = _rows(lab, about["run"].to_list())
    groups: dict[str, list[tuple[str, dict]]] = defaultdict(list)
    trained = set(about.filter(pl.col("source") == "training")["run"])
    families, said = {}, []
    for run, source, architecture, text in about.select("run", "source", "architecture", "configuration").iter_rows():
        recipe = json.loads(text) if source == "training" and text else {}
        why = _unfit(run, recipe, rows.get(run))
        if why or of_a_run(source, trained):
            said += [why] if why and why != "empty" else []
            continue
        key = unit_key(recipe) if recipe else run
        families[key] = OURS if recipe else architecture or "unknown"
        groups[key].append((run, recipe))
    found = {key: _unit(lab, key, members, rows, families[key]) for key, members in groups.items()}
    return _with_controls({key: unit for key, unit in found.items() if unit is not None}), said


def of_a_run(source: str | None, trained: Collection[str]) -> bool:
    """Whether a source is a checkpoint (RUN/step-001000) of one of these training runs."""
    return bool(source) and Path(source).parent.name in trained


def unit_key(recipe: Mapping[str, Any]) -> str:
    """Name of a trained configuration: equal for runs that differ by their seed alone."""
    shape = f"{recipe['preset'] or 'run'} {recipe['style']} {recipe['layers']}×{recipe['width']}"
    rest = {name: value for name, value in recipe.items() if name not in _NOT_THE_UNIT}
    tail = " ".join(filter(None, (recipe.get("arm", ""), recipe["control"])))
    return f"{shape}, {recipe['steps']} steps, {digest(json.dumps(rest, sort_keys=True), size=2)} {tail}".strip()


def bare(recipe: Mapping[str, Any], *less: str) -> str:
    """What two recipes share if they differ only in seed, control and the fields `less`."""
    kept = {name: value for name, value in recipe.items() if name not in (*_NOT_THE_UNIT, *less)}
    return json.dumps(kept, sort_keys=True)


def _with_controls(found: Mapping[str, Unit]) -> list[Unit]:
    """Units that are no controls, each with the controls of its configuration."""
    plain = [unit for unit in found.values() if not unit.recipe.get("control")]
    controls = [unit for unit in found.values() if unit.recipe.get("control")]
    for unit in plain:
        mine = bare(unit.recipe, *_OF_A_CONTROL)
        same = [c for c in controls if unit.recipe and bare(c.recipe, *_OF_A_CONTROL) == mine]
        unit.controls.update({c.recipe["control"]: c for c in same})
    return sorted(plain, key=lambda unit: unit.name)


def _unfit(run: str, recipe: Mapping[str, Any], rows: pl.DataFrame | None) -> str:
    """Why a run forms no unit; "empty" if it holds no spectra at all."""
    if rows is None or rows.filter(pl.col("variable") == "rank_exponent", pl.col("part").is_in(ATTENTION)).is_empty():
        return "empty"
    if recipe.get("preset") == "smoke":
        return f"{run} is of the preset smoke, by which nothing is judged."
    if recipe and rows["step"].max() < recipe["steps"]:
        return f"{run} stands at step {rows['step'].max()} of {recipe['steps']}: gedanken train --resume."
    return ""


def _rows(lab: Lab, runs: list[str]) -> dict[str, pl.DataFrame]:
    found = (
        against_null(lab)
        .filter(
            pl.col("run").is_in(runs),
            pl.col("variable").is_in(["stable_rank", "rank_exponent"]),
            pl.col("variant") == "",
            pl.col("layer").is_not_null(),
            pl.col("expert").is_null(),
            pl.col("part").is_in([*MATRICES, "W_QK", "W_OV"]),
        )
        .select("run", "step", "layer", "part", "head", "variable", "value", "null", "rows", "cols")
        .with_columns(pl.col("step").fill_null(0))
        .collect()
    )
    return {run: frame for (run,), frame in found.partition_by("run", as_dict=True).items()}


def _unit(lab: Lab, key: str, members: list[tuple[str, dict]], rows: Mapping, family: str) -> Unit | None:
    """None if a value of it is missing (refused)."""
    runs = tuple(run for run, _ in members)
    recipe = {**members[0][1], "seed": None} if members[0][1] else {}
    kept = [_common(rows[run], recipe) for run in runs]
    steps = sorted(set.intersection(*(set(frame["step"]) for frame in kept)))
    grouped = not recipe and kept[0].filter(pl.col("part").is_in(ATTENTION)).select("rows", "cols").n_unique() > 1
    ranks, alpha = (
        np.stack([_grid(f, name, steps, grouped) for f in kept]) for name in ("stable_rank", "rank_exponent")
    )
    if not (np.isfinite(ranks).all() and np.isfinite(alpha).all()):
        return None
    products = _products([rows.get(f"{run}-products") for run in runs])
    profiles, parts = _profiles(lab, runs, kept, steps)
    return Unit(key, family, runs, recipe, np.array(steps), ranks, alpha, profiles, {}, products, parts)


def _common(frame: pl.DataFrame, recipe: Mapping[str, Any]) -> pl.DataFrame:
    frame = frame.filter(pl.col("head").is_null())
    return frame.filter((pl.col("step") % EVERY == 0) | (pl.col("step") == recipe["steps"])) if recipe else frame


def _grid(frame: pl.DataFrame, variable: str, steps: list[int], grouped: bool) -> Float[np.ndarray, "part step layer"]:
    """Values of the attention matrices. grouped: matrices of several shapes, so relative to the null (§2.7)."""
    relative = pl.col("value") / pl.col("null") if variable == "stable_rank" else pl.col("value") - pl.col("null")
    found = frame.filter(pl.col("variable") == variable, pl.col("part").is_in(ATTENTION), pl.col("step").is_in(steps))
    found = found.with_columns(value=relative) if grouped else found
    values = np.full((len(ATTENTION), len(steps), int(found["layer"].max()) + 1), np.nan)
    place = [ATTENTION.index(part) for part in found["part"]], np.searchsorted(steps, found["step"]), found["layer"]
    values[place] = found["value"].fill_null(np.nan).to_numpy()
    return values


def other_profiles(lab: Lab, run: str) -> dict[str, Float[np.ndarray, "1 layer"]]:
    """α of a run's last step in the robustness settings, as far as they were measured."""
    rows = _rows(lab, [run]).get(run)
    if rows is None:
        return {}
    rows = rows.filter(pl.col("head").is_null(), pl.col("step") == pl.col("step").max())
    return _profiles(lab, (run,), [rows], [rows["step"].max()])[0]


def _profiles(lab: Lab, runs, kept, steps) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """α at the end in the robustness settings: of the layers, by other shares of the spectrum and by all matrices over
    their null; and of the attention matrices, by other shares."""
    last = steps[-max(1, len(steps) // 10) :]
    found = {}
    excess = [
        frame.filter(pl.col("variable") == "rank_exponent", pl.col("part").is_in(MATRICES), pl.col("step").is_in(last))
        .group_by("layer")
        .agg((pl.col("value") - pl.col("null")).mean().alias("x"))
        .sort("layer")["x"]
        .to_numpy()
        for frame in kept
    ]
    if all(np.isfinite(np.asarray(x, float)).all() for x in excess):
        found["all matrices over their null"] = np.stack(excess)
    curves = (
        lab.curves.filter(
            pl.col("variable") == "singular_values",
            pl.col("run").is_in(list(runs)),
            pl.col("step").fill_null(0).is_in(last),
        )
        .join(
            lab.sites.filter(pl.col("part").is_in(ATTENTION), pl.col("head").is_null()).select(
                "run", "step", "site", "layer", "part", "rows", "cols"
            ),
            on=["run", "step", "site"],
            nulls_equal=True,
        )
        .select("run", "layer", "part", "rows", "cols", "y")
        .collect()
    )
    parts = {}
    if set(curves["run"]) == set(runs):
        parts = {f"leading {round(100 * f)} %": _refitted(curves, runs, f) for f in OTHER_FRACTIONS}
    return found | {name: values.mean(axis=1) for name, values in parts.items()}, parts


def _refitted(curves: pl.DataFrame, runs: tuple[str, ...], fraction: float) -> Float[np.ndarray, "seed part layer"]:
    instrument, rng = RankExponent(top_fraction=fraction), np.random.default_rng(0)
    values = []
    for rows, cols, y in curves.select("rows", "cols", "y").iter_rows():
        try:
            values.append(instrument.measure(Spectrum(np.array(y), rows, cols), rng)["rank_exponent"].value)
        except Refusal:
            values.append(None)
    means = (
        curves.with_columns(pl.Series("x", values, dtype=pl.Float64))
        .group_by("run", "part", "layer")
        .agg(pl.col("x").mean())
    )
    found = np.full((len(runs), len(ATTENTION), int(means["layer"].max()) + 1), np.nan)
    place = ([where.index(x) for x in means[name]] for where, name in ((runs, "run"), (ATTENTION, "part")))
    found[*place, means["layer"]] = means["x"].fill_null(np.nan).to_numpy()
    return found


def _products(frames: list[pl.DataFrame | None]) -> dict[str, np.ndarray]:
    """Mean over heads of W_QK's and W_OV's values, layer by layer, where every seed has them."""
    found = {}
    for variable in ("stable_rank", "rank_exponent"):
        per_seed = []
        for frame in frames:
            if frame is None:
                return {}
            rows = frame.filter(pl.col("variable") == variable, pl.col("head").is_not_null())
            rows = rows.filter(pl.col("step") == pl.col("step").max())
            means = rows.group_by("part", "layer").agg(pl.col("value").mean()).sort("layer")
            parts = [means.filter(pl.col("part") == part)["value"].to_numpy() for part in ("W_QK", "W_OV")]
            if min(map(len, parts)) < 4 or len(parts[0]) != len(parts[1]):
                return {}
            per_seed.append(np.stack(parts))
        found[variable] = np.stack(per_seed)
    return found
