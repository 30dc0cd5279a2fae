"""Simulations: what is measured of particles, and ensembles of random starts."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from gedanken.analysis.mode_selection import leading_degree, saturation_time
from gedanken.experiment.members import members
from gedanken.experiment.plan import Plan
from gedanken.instruments.base import Instrument
from gedanken.instruments.moments.polarization import Polarization
from gedanken.instruments.points.circle_angles import CircleAngles
from gedanken.instruments.points.cluster_count import ClusterCount
from gedanken.instruments.points.interaction_energy import InteractionEnergy
from gedanken.instruments.points.mode_power import ModePower
from gedanken.instruments.points.sphere_places import SpherePlaces
from gedanken.instruments.trajectory.cluster_tracks import ClusterTracks
from gedanken.instruments.trajectory.energy_staircase import EnergyStaircase
from gedanken.measurements.store import Lab
from gedanken.sources.base import Snapshot, Source
from gedanken.sources.checkpoints import Checkpoint
from gedanken.sources.models import open_model
from gedanken.sources.particles.simulation import VERSION, Simulation
from gedanken.sources.particles.source import ParticleSource
from gedanken.sources.particles.trained import trained_attention
from gedanken.status import Failure
from gedanken.theory.clustering.cluster_positions import centres_of
from gedanken.theory.clustering.mode_growth import dominant_mode, growth_rates, linear_time, periodicity_defect
from gedanken.theory.clustering.predicted_angles import angle_error, predicted_angles
from gedanken.theory.harmonic_power import fourier_modes, harmonic_power

MODES = 12
"""Degrees that are followed: as of mode_power and of the periodicity defect."""
COUNTED_AT = 2.2
"""Clusters of a random start are counted at 2.2 ln N/(2λ): they stand, and the fastest merge is still far. A convention."""
PACE = 0.16
"""λ·dt with the classical Runge–Kutta scheme: an error of 0.16⁵/120 = 9e−7 per increment of a growing mode."""
GROWN = 0.02
"""Power per component at which the degrees of a random start on a sphere are compared. A convention."""


def particle_plan(simulation: Simulation) -> Plan:
    """What a simulation is read by: at its own β, and where its particles stand, for the pictures."""
    beta = simulation.inverse_temperature
    at = {"inverse_temperature": beta} if 0 < beta < math.inf else {}
    places: tuple[Instrument, ...] = {2: (CircleAngles(),), 3: (SpherePlaces(),)}.get(simulation.dimension, ())
    read = (ModePower(), Polarization(), InteractionEnergy(**at), ClusterCount(**at), *places)
    return Plan((*read, EnergyStaircase(**at), ClusterTracks(**at)), draws=0)


@dataclass
class Watched(Source):
    """A particle source that tells how far it is: `progress(states, states in all)`."""

    source: ParticleSource
    progress: Callable[[float, float], None] | None

    def __post_init__(self):
        self.run = self.source.run

    def snapshots(self) -> Iterator[Snapshot]:
        total = len(self.source.stops)
        for number, snapshot in enumerate(self.source.snapshots()):
            if self.progress:
                self.progress(number + 1, total)
            yield snapshot

    def describe(self) -> dict[str, Any]:
        return self.source.describe()


def trained_settings(model: str, layer: int, head: int | None = None) -> dict[str, Any]:
    """The attention of a layer of a scanned model, all heads or one, as settings of a simulation.

    Raises Failure if the model cannot be opened or does not tell its heads, or has no such layer or head.
    """
    state = list(open_model(model).snapshots())[-1].state
    if not isinstance(state, Checkpoint):
        raise Failure(f"{model} is no checkpoint whose matrices could be taken.")
    found = trained_attention(state, layer)
    if head is not None and head >= found.heads:
        raise Failure(f"{model} has {found.heads} heads, counted from 0: there is no head {head}.")
    chosen = slice(None) if head is None else slice(head, head + 1)
    matrices = {name: matrix[chosen] for name, matrix in found.matrices.items()}
    return {"inverse_temperature": found.inverse_temperature, "dimension": found.dimension} | matrices


def fastest_rate(simulation: Simulation) -> float:
    """λ of the fastest mode, in the simulation's own clock. Raises Failure where the closed form does not hold."""
    flow, beta = simulation.flow(), simulation.inverse_temperature
    if not flow.interaction.identity or simulation.repulsive:
        raise Failure("Growth rates are known for identity matrices, attraction and no mask: give --time.")
    softmax = simulation.attention == "softmax"
    mode = dominant_mode(beta, simulation.dimension)
    rates = growth_rates(beta, simulation.dimension, mode, softmax, simulation.noise)
    scale = math.exp(-beta) if simulation.clock == "peak" and not softmax else 1.0
    return float(rates.max() * scale)


def counting_time(simulation: Simulation) -> float:
    """2.2 ln N/(2λ): when the clusters of a random start are counted."""
    return COUNTED_AT * math.log(simulation.particles) / (2 * fastest_rate(simulation))


def random_start(simulation: Simulation, states: int = 60) -> Simulation:
    """The simulation as a member of an ensemble: from uniform tokens to the time of counting, by RK4."""
    rate = fastest_rate(simulation)
    end = counting_time(simulation) if "end" not in simulation.model_fields_set else simulation.end
    step = min(PACE / rate, 0.9 * simulation.flow().largest_step("rk4"))
    steps = math.ceil(end / step / states) * states
    return simulation.model_copy(
        update={"method": "rk4", "step": end / steps, "end": end, "saves": states, "start": "uniform"}
    )


def member_settings(simulation: Simulation) -> dict[str, Any]:
    """What decides a member besides its seed."""
    told = {name: str(value) for name, value in simulation.settings().items() if name not in ("run", "seed")}
    return told | {"version": f"{VERSION}.1"}


def measure_member(simulation: Simulation) -> dict[str, float | None]:
    """What one random start shows: its clock, its clusters, and how close it came to periodic.

    `saturation_time` is that of the largest amplitude reaching 0.3, `linear_time` what linear theory makes of the same
    start; `periodicity_defect` the smallest on the way; `angle_error` the root mean square distance of the clusters from
    their predicted angles, where there are k_max of them on a circle; `leading_degree` that of most power at GROWN.
    """
    beta, d = simulation.inverse_temperature, simulation.dimension
    mode = dominant_mode(beta, d)
    times, powers, first, last = [], [], None, None
    for snapshot in ParticleSource(simulation).snapshots():
        last = snapshot.state.points
        first = last if first is None else first
        times.append(snapshot.time)
        powers.append(harmonic_power(last, MODES)[1:])
    amplitudes, at = np.sqrt(np.array(powers)), np.array(times)
    softmax = simulation.attention == "softmax"
    clock = math.exp(-beta) if simulation.clock == "peak" and not softmax else 1.0
    rates = clock * growth_rates(beta, d, MODES, softmax, simulation.noise)
    counts = ClusterCount(inverse_temperature=beta).measure(last, np.random.default_rng(simulation.seed))
    found: dict[str, float | None] = {name: reading.value for name, reading in counts.items()}
    found |= {
        "inverse_temperature": beta,
        "n": float(simulation.particles),
        "d": float(d),
        "time": float(at[-1]),
        "saturation_time": saturation_time(at, amplitudes),
        "linear_time": linear_time(amplitudes[0], rates),
    }
    if d == 2:
        defects = [periodicity_defect(row, mode) for row in amplitudes[1:]]
        return found | {"periodicity_defect": min(defects)} | _angles(first, last, mode, beta)
    grown = np.flatnonzero(np.array(powers).max(axis=1) >= GROWN)
    row = powers[grown[0]] if len(grown) else None
    return found | {
        "leading_degree": None if row is None else float(leading_degree(row, d)),
        "leading_degree_per_component": None if row is None else float(leading_degree(row, d, per_component=True)),
    }


def _angles(first: np.ndarray, last: np.ndarray, mode: int, beta: float) -> dict[str, float | None]:
    """The error of the predicted angles, and what another run needs to be held against them: the phase and one angle."""
    start = fourier_modes(np.arctan2(first[:, 1], first[:, 0]), mode)[-1]
    centres = centres_of(np.arctan2(last[:, 1], last[:, 0]), beta)
    error = angle_error(centres, predicted_angles(start, mode)) if len(centres) == mode else None
    placed = {f"cluster_angle_{i}": float(centres[i]) if len(centres) == mode else None for i in range(mode)}
    return {"angle_error": error, "mode_phase": float(np.angle(start))} | placed


def ensemble(
    lab: Lab, simulation: Simulation, seeds: Iterable[int], progress: Callable[[int], None] | None = None
) -> pl.DataFrame:
    """One row per seed of what `measure_member` finds; kept in the lab as one run."""
    start = random_start(simulation)

    def measure(seed: int) -> dict[str, float | None]:
        return measure_member(start.model_copy(update={"seed": seed}))

    return members(lab, simulation.run, member_settings(start), seeds, measure, progress)


def default_run(simulation: Simulation) -> str:
    """`usa-beta5-n2000-d2-seed0`: what tells simulations apart at a glance."""
    model = "sa" if simulation.attention == "softmax" else "usa"
    beta = f"{simulation.inverse_temperature:g}"
    return f"{model}-beta{beta}-n{simulation.particles}-d{simulation.dimension}-seed{simulation.seed}"


def log_spaced(end: float, count: int) -> tuple[float, ...]:
    """Times at which successive logarithms are evenly spaced, over four decades up to the end."""
    return tuple(float(time) for time in np.geomspace(end * 1e-4, end, count))


def cost(simulation: Simulation, seeds: int | None) -> dict[str, Any]:
    """Velocities to evaluate, and the seconds they take here: one is timed."""
    flow = simulation.flow()
    state = simulation.initial(np.random.default_rng(simulation.seed))
    flow.velocity(state)
    begun = time.perf_counter()
    flow.velocity(state)
    each = time.perf_counter() - begun
    if seeds:
        simulation = random_start(simulation)
    stages = {"euler": 1, "rk4": 4}.get(simulation.method, 1)
    # the adaptive method settles near λ dt ≈ 0.3, with six stages
    steps = simulation.end / (simulation.step or 0.3 / flow.rate) * (6 if simulation.step is None else stages)
    return {"velocities": math.ceil(steps * (seeds or 1)), "seconds": math.ceil(steps * (seeds or 1) * each)}
