"""What pictures of particle simulations are drawn from: tracks on the circle, places on the sphere, growth, energy, counts.

Each function gives one long table with the columns of PICTURE; `picture` names what a row belongs to. Predictions are
closed forms (theory/clustering) at the settings of the run, from its own first state.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse.csgraph import connected_components

from gedanken.analysis.mode_selection import count_map
from gedanken.theory.clustering.cluster_positions import LINK, arcs
from gedanken.theory.clustering.cluster_ring import ring_energy
from gedanken.theory.clustering.mode_growth import dominant_mode, growth_rates
from gedanken.theory.clustering.predicted_angles import predicted_angles
from gedanken.theory.gegenbauer import log_mean_kernel

PICTURE = {
    "run": pl.String,
    "picture": pl.String,
    "kind": pl.String,
    "number": pl.Int64,
    "group": pl.String,
    "time": pl.Float64,
    "x": pl.Float64,
    "y": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "label": pl.String,
}
FRAMES, TIMES = 24, 80
"""Moments of the turning sphere, and of pictures against time: what keeps a page small."""
NAMED, OTHERS = 7, "others"
"""Colours of clusters, by falling size and then again from the first; and what single particles are called."""
LOGARITHMIC = 0.5
"""Half of the states by this share of the record's end: saved at logarithms of time."""


@dataclass(frozen=True)
class Simulated:
    """One run of particles: its settings, its moments, and its curves by variable and step."""

    run: str
    settings: dict[str, Any]
    times: dict[int, float]
    curves: dict[str, dict[int, tuple[np.ndarray, np.ndarray]]]

    @property
    def beta(self) -> float:
        return float(self.settings["inverse_temperature"])

    @property
    def dimension(self) -> int:
        return int(self.settings["dimension"])

    @property
    def plain(self) -> bool:
        """Whether closed forms hold: identity matrices, attraction, no mask, a finite temperature."""
        bare = all(self.settings[name] is None for name in ("W_Q", "W_K", "W_V"))
        return bare and not (self.settings["repulsive"] or self.settings["causal"]) and 0 < self.beta < math.inf

    @property
    def logarithmic(self) -> bool:
        at = sorted(self.times.values())
        return len(at) > 8 and at[len(at) // 2] < LOGARITHMIC**4 * at[-1]

    def steps(self, most: int) -> list[int]:
        """At most so many of the steps, evenly; the first and the last always."""
        every = sorted(self.times)
        return [every[i] for i in np.unique(np.linspace(0, len(every) - 1, min(most, len(every))).round().astype(int))]


def simulated(lab) -> list[Simulated]:
    """The particle simulations of a lab, by name."""
    runs = lab.runs.filter(pl.col("architecture") == "particles").select("run", "configuration").collect().sort("run")
    wanted = ("point_angle", "mode_phase", "point_latitude", "mode_power", "energy_staircase")
    curves = lab.curves.filter(pl.col("run").is_in(runs["run"].to_list()), pl.col("variable").is_in(wanted)).collect()
    times = lab.steps.filter(pl.col("run").is_in(runs["run"].to_list())).select("run", "step", "time").collect()
    found = []
    for run, configuration in runs.iter_rows():
        here: dict[str, dict[int, tuple]] = {}
        for row in curves.filter(pl.col("run") == run).iter_rows(named=True):
            here.setdefault(row["variable"], {})[row["step"]] = np.array(row["x"]), np.array(row["y"])
        at = dict(times.filter(pl.col("run") == run).select("step", "time").iter_rows())
        found.append(Simulated(run, json.loads(configuration), at, here))
    return found


def pictures(lab) -> pl.DataFrame:
    """Everything there is to draw of a lab's simulations and ensembles."""
    rows = [row for run in simulated(lab) for make in (tracks, places, growth, energy) for row in make(run)]
    rows += counts(lab)
    columns = {name: [row.get(name) for row in rows] for name in PICTURE}
    return pl.DataFrame(columns, schema=PICTURE)


def tracks(run: Simulated) -> list[dict]:
    """Angles against time, each particle's path without jumps, and the predicted angles of k_max clusters.

    `group`: the cluster that the particle ends in. A path that leaves [0, 2π) is given again a turn further, so that it
    comes in at the other side.
    """
    angles = run.curves.get("point_angle", {})
    steps = [step for step in run.steps(TIMES) if step in angles]
    if len(steps) < 2 or run.dimension != 2:
        return []
    path = np.unwrap(np.array([angles[step][1] for step in steps]), axis=0)
    groups = _named_by_size(arcs(path[-1], LINK / math.sqrt(max(run.beta, 1e-3))))
    picture, rows = ("tracks_log" if run.logarithmic else "tracks"), []
    kept = [step for step in steps if not run.logarithmic or run.times[step] > 0]
    path = path[len(steps) - len(kept) :]
    for number, (line, group) in enumerate(zip(path.T, groups, strict=True)):
        first, last = math.floor(line.min() / (2 * np.pi)), math.floor(line.max() / (2 * np.pi))
        for copy, turn in enumerate(range(first, last + 1)):
            rows += [
                {"run": run.run, "picture": picture, "kind": "track", "number": 10 * number + copy, "group": group,
                 "time": run.times[step], "y": float(y) - 2 * np.pi * turn}
                for step, y in zip(kept, line, strict=True)
            ]  # fmt: skip
    return rows + _predicted(run, picture, run.times[kept[-1]])


def _predicted(run: Simulated, picture: str, end: float) -> list[dict]:
    phases = run.curves.get("mode_phase", {}).get(0)
    mode = dominant_mode(run.beta) if run.plain else 0
    if phases is None or not 0 < mode <= len(phases[1]):
        return []
    places = predicted_angles(np.exp(1j * phases[1][mode - 1]), mode)
    return [{"run": run.run, "picture": picture, "kind": "predicted", "number": j, "time": end, "y": float(place)}
            for j, place in enumerate(places)]  # fmt: skip


def places(run: Simulated) -> list[dict]:
    """Longitude (x) and latitude (y) of particles in three dimensions.

    A moment is shown from `low` on until `high`, of FRAMES in all: with fewer states saved each stands longer.
    """
    spots = run.curves.get("point_latitude", {})
    steps = [step for step in run.steps(FRAMES) if step in spots]
    if not steps or run.dimension != 3:
        return []
    longitude, latitude = (np.radians(part) for part in spots[steps[-1]])
    unit = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
    near = unit @ unit.T >= math.cos(LINK / math.sqrt(max(run.beta, 1e-3)))
    groups = _named_by_size(connected_components(near, directed=False)[1])
    begins = [*np.linspace(0, FRAMES - 1, len(steps)).round(), FRAMES]
    return [
        {"run": run.run, "picture": "places", "kind": "place", "number": frame, "group": group,
         "low": float(begins[frame]), "high": float(begins[frame + 1]), "time": run.times[step], "x": float(x), "y": float(y)}
        for frame, step in enumerate(steps)
        for group, x, y in zip(groups, *spots[step], strict=True)
    ]  # fmt: skip


def growth(run: Simulated) -> list[dict]:
    """Amplitude of each degree (root of the power per component) against time, and what linear theory makes of its start."""
    powers = run.curves.get("mode_power", {})
    steps = [step for step in run.steps(TIMES) if step in powers]
    if len(steps) < 2 or not run.plain or run.logarithmic:
        return []
    fastest = dominant_mode(run.beta, run.dimension)
    most = min(fastest + 3, len(powers[steps[0]][1]), NAMED)
    softmax = run.settings["attention"] == "softmax"
    clock = math.exp(-run.beta) if run.settings["clock"] == "peak" and not softmax else 1.0
    rates = clock * growth_rates(run.beta, run.dimension, most, softmax, run.settings["noise"])
    rows = []
    for degree in range(1, most + 1):
        start = math.sqrt(max(powers[steps[0]][1][degree - 1], 1e-30))
        for step in steps:
            at = {"run": run.run, "picture": "growth", "number": degree, "time": run.times[step],
                  "group": "fastest" if degree == fastest else "other"}  # fmt: skip
            rows.append(at | {"kind": "measured", "y": math.sqrt(max(powers[step][1][degree - 1], 1e-12))})
            theory = start * math.exp(min(rates[degree - 1] * run.times[step], 700.0))
            if theory <= 1:
                rows.append(at | {"kind": "theory", "y": theory})
    return rows


def energy(run: Simulated) -> list[dict]:
    """2βe^{−β}E against time, and the levels of equal clusters far apart: as a ring on the circle, else 1/m.

    `group`: whether the run has reached the level, so that its name can stand where the line is not.
    """
    curves = run.curves.get("energy_staircase", {})
    if not curves or not 0 < run.beta < math.inf:
        return []
    at, values = curves[max(curves)]
    picture = "staircase_log" if run.logarithmic else "staircase"
    rows = [{"run": run.run, "picture": picture, "kind": "energy", "time": float(t), "y": float(e)}
            for t, e in zip(at, values, strict=True) if t > 0 or not run.logarithmic]  # fmt: skip
    lowest, circle = float(np.min(values)), run.dimension == 2
    names = {1: "one cluster", 2: "two opposite clusters"}
    levels = {names.get(m, f"{m} equal clusters"): ring_energy(run.beta, m) if circle else 1 / m for m in range(1, 5)}
    levels |= {"uniform": math.exp(log_mean_kernel(run.beta, run.dimension) - run.beta)}
    highest = float(np.max(values))
    return rows + [{"run": run.run, "picture": picture, "kind": "level", "time": float(at[-1]), "y": level, "label": name,
                    "group": "reached" if level <= highest else "ahead"}
                   for name, level in levels.items() if level >= 0.8 * lowest]  # fmt: skip


def counts(lab) -> list[dict]:
    """P(count = k_max) by β and N over the lab's ensembles on the circle; the run is the lab's name for all of them."""
    names = ("cluster_count", "inverse_temperature", "n", "d")
    members = lab.members.filter(pl.col("variable").is_in(names)).collect()
    if members.is_empty():
        return []
    wide = members.pivot("variable", index=["run", "seed"], values="value")
    if set(names) - set(wide.columns):
        return []
    cells = count_map(wide.drop_nulls(names).filter(pl.col("d") == 2).unique(["inverse_temperature", "n", "seed"]))
    return [
        {"run": "", "picture": "counts", "kind": "cell", "number": int(cell["n"]), "group": f"k = {cell['k_max']}",
         "x": cell["inverse_temperature"], "y": cell["probability"], "low": cell["low"], "high": cell["high"],
         "label": cell["counts"]}
        for cell in cells.iter_rows(named=True)
    ]  # fmt: skip


def _named_by_size(labels: np.ndarray) -> list[str]:
    """Groups as "1" … "7", "1" … by falling size, single particles as OTHERS."""
    numbers, sizes = np.unique(labels, return_counts=True)
    order = numbers[np.argsort(-sizes, kind="stable")]
    names = {number: str(rank % NAMED + 1) for rank, number in enumerate(order)}
    single = {number for number, size in zip(numbers, sizes, strict=True) if size < 2}
    return [OTHERS if label in single else names[label] for label in labels]
