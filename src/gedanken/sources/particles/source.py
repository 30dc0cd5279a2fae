"""ParticleSource: a simulation as a run of snapshots, that goes on where it was killed, bit for bit.

Every saved state is written, with the generator of random numbers and the pace of the integrator, to its own file by an
atomic rename. A resumed run continues from the last one exactly as the first would have: increments never span a save.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from gedanken.sources.base import Snapshot, Source
from gedanken.sources.particles import adaptive, integrators, layers
from gedanken.sources.particles.configuration import Configuration, trajectory
from gedanken.sources.particles.flow import Flow, points_of
from gedanken.sources.particles.simulation import Simulation
from gedanken.status import Failure


@dataclass(frozen=True)
class Stop:
    """A moment to save at: the increments (or layers) up to it for a fixed step, and the time."""

    step: int
    time: float


@dataclass(frozen=True, eq=False)
class Running:
    """All that decides how a run goes on."""

    state: np.ndarray
    rng: np.random.Generator
    pace: adaptive.Pace | None = None


class ParticleSource(Source):
    """Particles over time: one snapshot at the start and one at every saved time, the last with the whole path.

    A snapshot's `step` is the number of increments (for the adaptive method, of saves) and its state a Configuration.
    Without a folder all saved states stay in memory. `progress` is called with the time reached and the end.
    """

    def __init__(
        self,
        simulation: Simulation,
        folder: str | Path | None = None,
        progress: Callable[[float, float], None] | None = None,
    ):
        self.simulation = simulation
        self.progress = progress
        self.folder = Path(folder) if folder is not None else None
        self.run = simulation.run

    def describe(self) -> dict[str, Any]:
        return {
            "source": "simulation",
            "revision": self.simulation.fingerprint,
            "architecture": "particles",
            "configuration": json.dumps(self.simulation.settings()),
            "dtype": "float64",
            "device": self.simulation.device,
        }

    def snapshots(self) -> Iterator[Snapshot]:
        """Raises Failure if the start is not possible, or the folder holds another simulation or cannot be written."""
        self._claim_folder()
        flow, stops = self.simulation.flow(), self.stops
        running, done = self._resumed()
        configurations = []
        for index, stop in enumerate(stops):
            if index >= done:
                running = self._advanced(flow, running, stops[index - 1], stop) if index else self._started()
                self._save(index, stop, running)
                if self.progress:
                    self.progress(stop.time, stops[-1].time)
            configurations.append(self._configuration(index, stop, running))
            state = configurations[-1]
            if index == len(stops) - 1:
                state = replace(state, path=trajectory(configurations))
            yield Snapshot(self.run, state, self.simulation.fingerprint, step=stop.step, time=stop.time)

    @property
    def stops(self) -> list[Stop]:
        """When states are saved, the start first. A fixed step saves at the nearest whole increments."""
        request = self.simulation
        times = request.times or tuple(request.end * (i + 1) / request.saves for i in range(request.saves))
        if request.method == "adaptive":
            return [Stop(i, time) for i, time in enumerate((0.0, *times))]
        counts = sorted({max(1, round(time / request.step)) for time in times})
        return [Stop(count, count * request.step) for count in (0, *counts)]

    def _started(self) -> Running:
        rng = np.random.default_rng(self.simulation.seed)
        state = self.simulation.initial(rng)
        return Running(points_of(state) if self.simulation.method in layers.LAYERS else state, rng)

    def _advanced(self, flow: Flow, running: Running, before: Stop, stop: Stop) -> Running:
        # Its matrix products are thin: a second thread gains nothing, and one always adds in the same order.
        with threadpool_limits(1, user_api="blas"):
            advance = self._adaptive if self.simulation.method == "adaptive" else self._fixed
            after = advance(flow, running, before, stop)
        if not np.isfinite(after.state).all():
            raise Failure(f"The tokens are no longer finite at time {stop.time:g}: take a smaller step.")
        return after

    def _adaptive(self, flow: Flow, running: Running, before: Stop, stop: Stop) -> Running:
        tolerance = self.simulation.tolerance
        arrival = adaptive.integrate(flow, running.state, before.time, stop.time, tolerance, running.pace)
        return Running(arrival.state, running.rng, arrival.pace)

    def _fixed(self, flow: Flow, running: Running, before: Stop, stop: Stop) -> Running:
        request, state = self.simulation, running.state
        scheme = (integrators.SCHEMES | layers.LAYERS)[request.method]
        for _ in range(stop.step - before.step):
            if request.noise:
                state = integrators.maruyama(flow, state, request.step, request.noise, running.rng)
            else:
                state = scheme(flow, state, request.step)
        return Running(state, running.rng)

    def _configuration(self, index: int, stop: Stop, running: Running) -> Configuration:
        kept = self._file(index) if self.folder else running.state
        return Configuration(
            stop.time, kept, self.simulation.particles, self.simulation.dimension, self.simulation.masses
        )

    def _file(self, index: int) -> Path:
        return self.folder / f"{index:06d}.npz"

    def _claim_folder(self) -> None:
        if self.folder is None:
            return
        mark = self.folder / "simulation.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not mark.exists():
                written = {"fingerprint": self.simulation.fingerprint, "settings": self.simulation.settings()}
                _write(mark, json.dumps(written, indent=1).encode())
            held = json.loads(mark.read_text("utf-8"))["fingerprint"]
        except OSError as broken:
            raise Failure(f"{self.folder} cannot hold a simulation: {broken.strerror or broken}.") from broken
        except (ValueError, KeyError) as error:
            raise Failure(f"{mark} does not describe a simulation: {error}.") from error
        if held != self.simulation.fingerprint:
            raise Failure(f"{self.folder} holds another simulation: name another folder, or remove it.")

    def _save(self, index: int, stop: Stop, running: Running) -> None:
        if self.folder is None:
            return
        memory = {
            "rng": running.rng.bit_generator.state,
            "pace": asdict(running.pace) if running.pace else None,
            "time": stop.time,
        }
        file, waiting = self._file(index), self.folder / f".{index:06d}.npz"
        try:
            np.savez(waiting, state=running.state, memory=np.array(json.dumps(memory)))
            os.replace(waiting, file)
        except OSError as broken:
            waiting.unlink(missing_ok=True)
            raise Failure(
                f"The state at time {stop.time:g} cannot be written to {self.folder}: {broken.strerror or broken}. Those "
                "before it are kept, and the same command goes on from there."
            ) from broken

    def _resumed(self) -> tuple[Running | None, int]:
        """The last saved moment and how many are saved."""
        done = 0
        while self.folder is not None and done < len(self.stops) and self._file(done).exists():
            done += 1
        if done == 0:
            return None, 0
        with np.load(self._file(done - 1)) as file:
            state, memory = file["state"], json.loads(str(file["memory"]))
        rng = np.random.default_rng()
        rng.bit_generator.state = memory["rng"]
        return Running(state, rng, adaptive.Pace(**memory["pace"]) if memory["pace"] else None), done


def _write(path: Path, content: bytes) -> None:
    waiting = path.with_name("." + path.name)
    waiting.write_bytes(content)
    os.replace(waiting, path)
