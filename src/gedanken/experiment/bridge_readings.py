"""Readings of a bridge: token states by the instruments, and simulated ones against measured, in every view of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from gedanken.analysis.bridge import DEPTH, VIEWS
from gedanken.captures.reduce import reduced
from gedanken.instruments.base import Value
from gedanken.instruments.moments.polarization import Polarization
from gedanken.instruments.points.cluster_count import ClusterCount
from gedanken.instruments.points.interaction_energy import InteractionEnergy
from gedanken.status import Refusal

READ = (Polarization(), InteractionEnergy(), ClusterCount())
"""The instruments that read measured and simulated states alike, at their standard β."""
COMPARED = ("arc_distance", "displacement_cosine", "gram_correlation")
HEAVY = 0.05
"""Share of the variance above which a coordinate is left out of the trimmed view. A convention."""

States = Mapping[int, Float[np.ndarray, "n d"]]
"""By the number of passes behind them."""
Found = dict[str, Float[np.ndarray, " place"]]
"""By name: one number at each place over depth; `pass` says which."""


@dataclass(frozen=True)
class Look:
    """One way to look at states. `heavy`: by place, the coordinates that are left out; beyond the last, the last's."""

    view: str
    heavy: Sequence[Bool[np.ndarray, " d"]] = ()

    def __call__(self, points: Float[np.ndarray, "n d"], place: int) -> Float[np.ndarray, "n kept"]:
        """Directions of the tokens in this view; a zero row where there is none."""
        if self.view == "trimmed":
            points = points[:, ~self.heavy[min(place, len(self.heavy) - 1)]]
        directions = _directions(points)
        return _directions(directions - directions.mean(axis=0)) if self.view == "centred" else directions


def looks(paths: Iterable[Sequence[Float[np.ndarray, "n d"]]]) -> list[Look]:
    """Every view, its heavy coordinates from the measured states of all prompts; no trimmed one where none is heavy."""
    heavy = _heavy(paths)
    made = [Look(view, heavy if view == "trimmed" else ()) for view in VIEWS]
    return made if np.any(heavy) else [look for look in made if not look.heavy]


def _heavy(paths: Iterable[Sequence[np.ndarray]]) -> list[Bool[np.ndarray, " d"]]:
    """By place: the coordinates that carry more than HEAVY of the variance of all tokens."""
    variances = [np.concatenate(states).var(axis=0) for states in zip(*paths, strict=True)]
    return [variance > HEAVY * variance.sum() for variance in variances]


def readings(states: States, look: Look) -> Found:
    """What the instruments find of the states, over depth; NaN where one refuses."""
    found: dict[str, list[float]] = {"pass": [float(place) for place in states]}
    for place, points in states.items():
        for name, value in _read(look(points, place)):
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def _read(points: Float[np.ndarray, "n d"]) -> Iterator[tuple[str, float]]:
    for instrument in READ:
        names = [variable.name for variable in instrument.variables if variable.name in DEPTH]
        try:
            reading = instrument.measure(reduced(points, instrument.reads, "unit"), np.random.default_rng(0))
        except Refusal:
            reading = {}
        for name in names:
            value = reading.get(name)
            yield name, value.value if isinstance(value, Value) else np.nan


def compared(simulated: States, measured: Sequence[np.ndarray], look: Look) -> Found:
    """Simulated against measured states over the trained depth: the mean angle between them, the cosine of their
    displacements from the input, and the correlation of their Gram entries off the diagonal."""
    found: dict[str, list[float]] = {name: [] for name in COMPARED}
    off = ~np.eye(len(measured[0]), dtype=bool)
    for place, state in enumerate(measured):
        ours, theirs, start = (look(points, place) for points in (simulated[place], state, measured[0]))
        found["arc_distance"].append(_arc_distance(ours, theirs))
        found["displacement_cosine"].append(_mean_cosine(ours - start, theirs - start))
        found["gram_correlation"].append(_correlation((ours @ ours.T)[off], (theirs @ theirs.T)[off]))
    return {name: np.array(values) for name, values in found.items()}


def mean_distance(found: Found) -> float:
    """D: the mean angle to the measured tokens over all layers."""
    return float(found["arc_distance"][1:].mean())


def _directions(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    return np.divide(points, norms, out=np.zeros_like(points), where=norms > 0)


def _arc_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean angle between unit rows, from their distance on the sphere; a right angle where one has no direction."""
    live = a.any(axis=1) & b.any(axis=1)
    gap = np.linalg.norm(a - b, axis=1)
    return float(np.where(live, 2 * np.arcsin(np.minimum(gap / 2, 1)), np.pi / 2).mean())


def _mean_cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of the rows that both have a direction; NaN if there is none."""
    sizes = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    live = sizes > 0
    return float((np.einsum("nd,nd->n", a, b)[live] / sizes[live]).mean()) if live.any() else float("nan")


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 0 else float("nan")
