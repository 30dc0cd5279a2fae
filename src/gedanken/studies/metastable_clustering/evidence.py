"""Evidence: what the claims are judged on, simulated when a claim asks for it and kept in the lab, seed by seed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from gedanken.experiment.members import Member, members
from gedanken.experiment.simulate import ensemble
from gedanken.measurements.store import Lab
from gedanken.sources.particles.simulation import Simulation
from gedanken.status import Failure

VERSION = 1
"""Of the experiments here: it enters what they are kept under."""
SCALES = ("quick", "full")
WORK = 1300.0
"""Weights of all experiments together, about half a second each; the share of each stands where it is asked for."""


@dataclass
class Evidence:
    """The lab, the scale, and experiments by name. Nothing is done before it is asked for, and nothing twice."""

    lab: Lab
    full: bool = False
    progress: Callable[[float, float], None] | None = None
    done: float = 0.0
    kept: dict[str, pl.DataFrame] = field(default_factory=dict)
    runs: tuple[str, ...] = ()
    """Those to judge; all of the lab if there are none."""

    def pick(self, quick: Any, full: Any) -> Any:
        """What the scale asks for."""
        return full if self.full else quick

    def experiment(
        self, name: str, settings: Mapping[str, Any], seeds: Iterable[int], measure: Member, weight: float
    ) -> pl.DataFrame:
        """One row per seed. `weight`: its share of WORK."""
        return self._keep(name, list(seeds), weight, lambda seeds, told: members(
            self.lab, name, {**settings, "version": VERSION}, seeds, measure, told))  # fmt: skip

    def random_starts(self, simulation: Simulation, seeds: Iterable[int], weight: float) -> pl.DataFrame:
        """One row per seed of a random start (experiment/simulate.py)."""
        model = "sa" if simulation.attention == "softmax" else "usa"
        name = f"{model}-beta{simulation.inverse_temperature:g}-n{simulation.particles}-d{simulation.dimension}"
        named = simulation.model_copy(update={"run": name})
        return self._keep(name, list(seeds), weight, lambda seeds, told: ensemble(self.lab, named, seeds, told))

    def once(self, name: str, settings: Mapping[str, Any], measure: Callable[[], Mapping[str, float]], weight: float):
        """A deterministic experiment, as a dict."""
        return self.experiment(name, settings, (0,), lambda seed: measure(), weight).drop("seed").to_dicts()[0]

    def _keep(self, name: str, seeds: list[int], weight: float, make) -> pl.DataFrame:
        key = f"{name} {seeds[0]} {seeds[-1]}"
        if key not in self.kept:
            before = self.done

            def told(count: int) -> None:
                self.done = before + weight * count / len(seeds)
                if self.progress:
                    self.progress(min(self.done, WORK), WORK)

            self.kept[key] = make(seeds, told)
            told(len(seeds))
        return self.kept[key]


def gather(lab: Lab, runs: tuple[str, ...], settings: Mapping[str, Any], progress) -> Evidence:
    """Raises Failure for a scale that there is not."""
    if settings["scale"] not in SCALES:
        raise Failure(f"The scale is quick or full, not {settings['scale']!r}.")
    return Evidence(lab, settings["scale"] == "full", progress, runs=runs)


def generator(name: str) -> np.random.Generator:
    """Of bootstraps and permutations: the same numbers at every judging."""
    return np.random.default_rng([20241028, *name.encode()])
