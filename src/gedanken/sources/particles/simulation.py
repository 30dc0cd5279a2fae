"""Simulation: the request, as read from TOML, flags or Python, and what it means as objects."""

import difflib
import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gedanken.sources.particles import integrators, mean_field, start
from gedanken.sources.particles.flow import Flow
from gedanken.sources.particles.interaction import Interaction
from gedanken.status import Failure


def _array(value: Any) -> np.ndarray | None:
    """From an array, nested lists or the name of a .npy file."""
    if value is None or isinstance(value, np.ndarray):
        return value
    if isinstance(value, str | Path):
        if not Path(value).is_file():
            raise Failure(f"There is no array file {value}.")
        return np.load(value, allow_pickle=False)
    return np.asarray(value, dtype=float)


Array = Annotated[Any, BeforeValidator(_array)]

VERSION = 1
"""Of the dynamics: it enters the fingerprint, and changes when the same request would give other tokens."""

SYMBOLS = {"beta": "inverse_temperature", "n": "particles", "d": "dimension", "dt": "step", "h": "step", "T": "end"}
"""Settings by the symbols of the literature, for suggestions."""

EQUILIBRIUM = 1e-14
"""Speed in units of the peak below which a start does not move: rounding of the velocity."""


class Simulation(BaseModel):
    """Tokens that attend to one another on a sphere, from a start to an end. Times are in units of the `clock`.

    `read` and `of` raise Failure with one sentence for whatever is wrong.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    run: str = Field("particles", description="name of the run in the lab")
    particles: int = Field(1000, ge=2, description="number of tokens")
    dimension: int = Field(2, ge=2, description="coordinates of a token: the sphere has one less")
    inverse_temperature: float = Field(5.0, ge=0, description="multiplies the scores of unit vectors; inf is hardmax")
    attention: Literal["softmax", "unnormalised"] = "softmax"
    repulsive: bool = Field(False, description="values of the opposite sign")
    causal: bool = Field(False, description="a token sees itself and those before it")
    W_Q: Array = Field(None, description="query matrix, or one per head; identity if absent")
    W_K: Array = Field(None, description="key matrix, or one per head; identity if absent")
    W_V: Array = Field(None, description="value matrix W_O W_V, or one per head; identity if absent")
    noise: float = Field(0.0, ge=0, description="diffusion constant D of Brownian motion on the sphere")

    start: Literal["uniform", "equispaced", "quantiles", "periodic", "clusters", "equiangular", "points"] = "uniform"
    mode: int = Field(1, ge=1, description="of equispaced, quantiles and periodic starts")
    amplitude: float = Field(0.0, description="of the mode: displacement (equispaced), relative density (quantiles)")
    phase: float = 0.0
    clusters: int = Field(2, ge=1, description="of a clusters start")
    spread: float = Field(0.01, ge=0, description="width of each cluster, radian")
    angle: float | None = Field(None, description="between neighbouring clusters; equally spaced if absent")
    cosine: float = Field(0.0, description="of an equiangular start")
    points: Array = Field(None, description="of a points start: vectors, or angles in two dimensions")
    masses: Array = Field(None, description="of the tokens; equal if absent")
    seed: int = Field(0, ge=0)

    method: Literal["adaptive", "euler", "rk4", "post_norm", "pre_norm"] = "adaptive"
    step: float | None = Field(None, gt=0, description="increment, or h of a layer; adaptive needs none")
    tolerance: float = Field(1e-8, gt=0, description="error per increment of the adaptive method")
    clock: Literal["true", "peak"] = Field("true", description="peak counts time of unnormalised attention in e^−β")
    end: float = Field(10.0, gt=0, description="time of the end; h times the number of layers")
    saves: int = Field(100, ge=1, description="states saved after the start, evenly in time")
    times: tuple[float, ...] | None = Field(None, description="the times to save at, in place of saves and end")
    device: str = Field("cpu", description="torch's device for sums over pairs")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        for name in given if isinstance(given, dict) else ():
            if name not in cls.model_fields:
                near = SYMBOLS.get(name) or difflib.get_close_matches(name, cls.model_fields, n=1, cutoff=0.0)[0]
                raise Failure(f"A simulation has no setting {name!r}; the nearest is {near!r}.")
        return given

    @model_validator(mode="after")
    def _fitting(self) -> "Simulation":
        if self.start in ("equispaced", "quantiles", "periodic") and self.dimension != 2:
            raise Failure(f"A start that is {self.start} lies on the circle: dimension must be 2.")
        if (self.points is not None) != (self.start == "points"):
            raise Failure('Points are given with start = "points", and only then.')
        if self.method != "adaptive" and self.step is None:
            raise Failure(f"The method {self.method} needs a step.")
        if self.noise and self.method != "euler":
            raise Failure('Noise needs method = "euler" and a step: Euler–Maruyama is the scheme for it.')
        times = self.times or ()
        if any(b <= a for a, b in zip((0.0, *times), times, strict=False)):
            raise Failure("The times to save at must be positive and increase.")
        self._check_step()
        return self

    def _check_step(self) -> None:
        flow = self.flow()
        if self.method in integrators.SCHEMES:
            integrators.check_step(flow, self.method, self.step)

    @classmethod
    def of(cls, **settings: Any) -> "Simulation":
        """From settings by name. Raises Failure: an unknown name with the nearest valid one, or a value with its reason."""
        try:
            return cls(**settings)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise Failure(f"The setting {name} = {first['input']!r} is not valid: {first['msg'].lower()}.") from None

    @classmethod
    def read(cls, path: str | Path, **settings: Any) -> "Simulation":
        """From a TOML file, with `settings` in place of what stands there. Raises Failure as `of` does."""
        try:
            with open(path, "rb") as file:
                written = tomllib.load(file)
        except FileNotFoundError:
            raise Failure(f"There is no file {path}.") from None
        except tomllib.TOMLDecodeError as error:
            raise Failure(f"{path} is not valid TOML: {error}.") from None
        return cls.of(**(written | settings))

    def interaction(self) -> Interaction:
        return Interaction(
            self.inverse_temperature, self.attention, self.repulsive, self.causal, self.W_Q, self.W_K, self.W_V
        )

    def flow(self) -> Flow:
        return Flow(self.interaction(), self.dimension, self.masses, self.clock, device=self.device)

    def initial(self, rng: np.random.Generator) -> np.ndarray:
        """The starting state: angles for dimension 2, else points. Raises Failure, also for a start that never moves."""
        state = self._placed(rng)
        flow = self.flow()
        if len(state) != self.particles:
            raise Failure(f"{len(state)} points are given for {self.particles} particles.")
        if self.masses is not None and len(self.masses) != len(state):
            raise Failure(f"{len(self.masses)} masses are given for {len(state)} particles.")
        still = not self.noise and np.abs(flow.velocity(state)).max() <= EQUILIBRIUM * flow.rate
        if still and self.inverse_temperature > 0 and self.method not in ("post_norm", "pre_norm"):
            raise Failure("The start is an equilibrium, where no token moves: perturb it.")
        return state

    def _placed(self, rng: np.random.Generator) -> np.ndarray:
        n, d = self.particles, self.dimension
        match self.start:
            case "uniform":
                return start.uniform(n, d, rng)
            case "equispaced":
                return start.equispaced(n, self.mode, self.amplitude, self.phase)
            case "quantiles":
                modes = np.zeros(self.mode, complex)
                modes[-1] = self.amplitude / 2 * np.exp(-1j * self.phase)
                return mean_field.midpoint_quantiles(modes, n)
            case "periodic":
                return start.periodic(n, self.mode, rng)
            case "clusters":
                return start.clusters(n, d, self.clusters, self.spread, rng, self.angle)
            case "equiangular":
                return self.flow().state(start.equiangular(n, d, self.cosine))
        points = start.given(self.points)
        if points.shape[1] != d:
            raise Failure(f"The points have {points.shape[1]} coordinates, but dimension is {d}.")
        return self.flow().state(points)

    def settings(self) -> dict[str, Any]:
        """As plain values; arrays as their shape and hash."""
        return {name: _plain(getattr(self, name)) for name in type(self).model_fields}

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides the result."""
        decisive = {name: value for name, value in self.settings().items() if name != "run"} | {"version": VERSION}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value, dtype=float).tobytes()).hexdigest()[:16]
        return f"{' × '.join(map(str, value.shape))}, sha256 {digest}"
    if isinstance(value, float) and np.isinf(value):
        return "inf"  # JSON has no infinity
    return list(value) if isinstance(value, tuple) else value
