"""Adaptive integration by the pair of Dormand and Prince, 5(4), with dense output and events.

Coefficients, controller and the continuous extension of order four: [@hairer1993nonstiff, tab. II.5.2, § II.4, § II.6].
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from gedanken.sources.particles.flow import Flow
from gedanken.status import Failure

STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = np.array([71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])
"""Fifth-order minus fourth-order weights."""
SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0
"""[@hairer1993nonstiff, § II.4]."""
MEMORY = 0.04
"""Weight of the previous error in the controller [@hairer1996stiff, § IV.2]."""


@dataclass(frozen=True)
class Pace:
    """What the controller remembers: the next step, and the last error over the tolerance."""

    step: float
    error: float = 1e-4


@dataclass(frozen=True)
class Stride:
    """One accepted increment, from `time` on, with its stages: `at(θ)` is the solution a fraction θ into it."""

    time: float
    step: float
    before: np.ndarray
    after: np.ndarray
    stages: list[np.ndarray]
    pace: Pace

    def at(self, fraction: float) -> np.ndarray:
        weights = _continuous(fraction)
        return self.before + self.step * sum(w * k for w, k in zip(weights, self.stages, strict=True) if w)


@dataclass(frozen=True)
class Event:
    """Stops a run where `value(time, state)` changes sign: a merge, a change of the number of clusters."""

    name: str
    value: Callable[[float, np.ndarray], float]


@dataclass(frozen=True)
class Arrival:
    """Where an integration ended: at the time asked for, or at an event."""

    time: float
    state: np.ndarray
    pace: Pace
    event: Event | None = None


def integrate(
    flow: Flow,
    state: np.ndarray,
    start: float,
    stop: float,
    tolerance: float = 1e-8,
    pace: Pace | None = None,
    events: Sequence[Event] = (),
) -> Arrival:
    """The state at `stop`, or at the first event before it, located on the dense output to 1e−12 of an increment.

    `tolerance` bounds each coordinate's (or angle's) estimated error per increment. Raises Failure as `strides` does.
    """
    values = [event.value(start, state) for event in events]
    arrival = Arrival(start, state, pace or first_pace(flow.velocity, state, tolerance))
    for stride in strides(flow.velocity, flow.retract, state, start, stop, tolerance, arrival.pace):
        end = stride.time + stride.step
        met = [
            _locate(event, stride, flow.retract)
            for event, value in zip(events, values, strict=True)
            if value * event.value(end, stride.after) < 0
        ]
        if met:
            fraction, event = min(met, key=lambda pair: pair[0])
            return Arrival(
                stride.time + fraction * stride.step, flow.retract(stride.at(fraction)), stride.pace, event
            )  # fmt: skip
        values = [event.value(end, stride.after) for event in events]
        arrival = Arrival(end, stride.after, stride.pace)
    return arrival


def strides(
    velocity: Callable[[np.ndarray], np.ndarray],
    retract: Callable[[np.ndarray], np.ndarray],
    state: np.ndarray,
    start: float,
    stop: float,
    tolerance: float,
    pace: Pace,
) -> Iterator[Stride]:
    """Accepted increments from `start` to exactly `stop`. Raises Failure if the state stops being finite."""
    time, slope = start, velocity(state)
    while time < stop:
        last = time + pace.step >= stop * (1 - 1e-15)
        step = stop - time if last else pace.step
        after, stages, error = attempt(velocity, state, slope, step)
        if not np.isfinite(error):
            raise Failure(f"The velocity is not finite at time {time:g}.")
        error /= tolerance
        proposed = step * factor(error, pace.error)
        if error > 1:
            pace = Pace(min(proposed, step), pace.error)
            if time + pace.step == time:
                raise Failure(f"The step has shrunk to {pace.step:.2g} at time {time:g}: ask for a larger tolerance.")
            continue
        # An increment cut short by `stop` says nothing against the step proposed before.
        pace = Pace(max(proposed, pace.step) if last else proposed, max(error, 1e-4))
        after = retract(after)
        yield Stride(time, step, state, after, stages, pace)
        time, state, slope = (stop if last else time + step), after, stages[-1]


def attempt(
    velocity: Callable[[np.ndarray], np.ndarray], state: np.ndarray, slope: np.ndarray, step: float
) -> tuple[np.ndarray, list[np.ndarray], float]:
    """One increment: the state after it, its seven stages (the last is the slope there) and the largest error."""
    stages, after = [slope], state
    for row in STAGES:
        after = state + step * sum(a * k for a, k in zip(row, stages, strict=True) if a)
        stages.append(velocity(after))
    error = step * sum(e * k for e, k in zip(ERROR, stages, strict=True) if e)
    return after, stages, float(np.abs(error).max())


def factor(error: float, previous: float) -> float:
    """By how much to change the step, from the last two errors over the tolerance."""
    error = max(error, 1e-10)
    return float(np.clip(SAFETY * error ** (-0.2 + 0.75 * MEMORY) * previous**MEMORY, SHRINK, GROW))


def first_pace(velocity: Callable[[np.ndarray], np.ndarray], state: np.ndarray, tolerance: float) -> Pace:
    """A first step that moves no coordinate by more than a tenth of tolerance^(1/5); the controller does the rest."""
    fastest = float(np.abs(velocity(state)).max())
    return Pace(0.1 * tolerance**0.2 / fastest if fastest > 0 else 1.0)


def _locate(event: Event, stride: Stride, retract: Callable[[np.ndarray], np.ndarray]) -> tuple[float, Event]:
    def value(fraction: float) -> float:
        return event.value(stride.time + fraction * stride.step, retract(stride.at(fraction)))

    return float(brentq(value, 0.0, 1.0, xtol=1e-12)), event


def _continuous(t: float) -> tuple[float, ...]:
    """Weights b_i(θ) of the seven stages."""
    b = STAGES[-1]
    hermite, bump = t * t * (3 - 2 * t), t * t * (t - 1) ** 2
    return (
        hermite * b[0] + t * (t - 1) ** 2 - bump * 5 * (2558722523 - 31403016 * t) / 11282082432,
        0.0,
        hermite * b[2] + bump * 100 * (882725551 - 15701508 * t) / 32700410799,
        hermite * b[3] - bump * 25 * (443332067 - 31403016 * t) / 1880347072,
        hermite * b[4] + bump * 32805 * (23143187 - 3489224 * t) / 199316789632,
        hermite * b[5] - bump * 55 * (29972135 - 7076736 * t) / 822651844,
        t * t * (t - 1) + bump * 10 * (7414447 - 829305 * t) / 29380423,
    )
