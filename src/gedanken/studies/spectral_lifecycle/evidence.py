"""Evidence: what the study reads of a lab, once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gedanken.analysis.layer_series import of_weights
from gedanken.measurements.store import Lab
from gedanken.status import Failure, Progress
from gedanken.studies.spectral_lifecycle.arms import Arm, arms
from gedanken.studies.spectral_lifecycle.pruned import Pruned, pruned
from gedanken.studies.spectral_lifecycle.units import Unit, units
from gedanken.studies.spectral_lifecycle.watched import Watched, watched


@dataclass(frozen=True, eq=False)
class Evidence:
    """Units, pruned models, warm-up arms and alarms. `least_seeds` a trained unit must have."""

    units: tuple[Unit, ...] = ()
    pruned: tuple[Pruned, ...] = ()
    arms: tuple[Arm, ...] = ()
    watched: tuple[Watched, ...] = ()
    least_seeds: int = 3
    said: tuple[str, ...] = field(default=())

    @cached_property
    def trained(self) -> tuple[Unit, ...]:
        return tuple(unit for unit in self.units if unit.trained)

    def unfit(self, unit: Unit) -> str:
        """Why a unit cannot be judged over training, as a sentence; empty if it can."""
        if not unit.ladder:
            return "It has no snapshots from step 0 on (gedanken train, or gedanken scan of all checkpoints of a run)."
        if unit.trained and len(unit.runs) < self.least_seeds:
            seeds = f"{len(unit.runs)} of {self.least_seeds} seeds"
            return (
                f"{seeds} are there: gedanken train --preset {unit.recipe['preset'] or 'cpu8'} --seed {len(unit.runs)}."
            )
        return ""


def gather(lab: Lab, runs: tuple[str, ...], settings: Mapping[str, Any], progress: Progress | None) -> Evidence:
    """Everything about these runs. Raises Failure if nothing of the study can be judged on them."""
    runs = of_weights(runs)
    found, said = units(lab, runs)
    plain = tuple(unit for unit in found if not unit.recipe.get("arm"))
    evidence = Evidence(
        plain,
        tuple(pruned(lab, runs)),
        tuple(arms(lab, runs)),
        tuple(watched(lab, runs)),
        settings["least_seeds"],
        tuple(said),
    )
    if not (evidence.units or evidence.pruned):
        raise Failure(
            f"The lab holds no finished training run, no scanned model and no pruned one. {' '.join(said)}".strip(),
            "gedanken train --preset cpu8",
        )
    if progress:
        progress(1, 1)
    return evidence
