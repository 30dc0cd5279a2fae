"""What claims share: the gate, nulls of a step, and differences between shallow and deep states."""

import numpy as np
from scipy import stats

from gedanken.analysis.depth.locate import LEVEL
from gedanken.analysis.depth.rule import BEATEN, Shape
from gedanken.status import Refusal
from gedanken.studies.base import Judgement, Verdict, not_testable
from gedanken.studies.latent_object_permanence.evidence import DEPTH, ROWS, Model, Profile


def gate(model: Model, part: str, *needed: str) -> Judgement | None:
    """The judgement where a claim about depth cannot be tested on a model."""
    if model.blocks < DEPTH:
        said = f"{model.blocks} blocks, where a depth needs {DEPTH}: half a layer is too coarse. {model.footing}"
    elif model.rows < ROWS:
        said = f"{model.rows} tokens after exclusions, where {ROWS:,} are needed. {model.footing}"
    elif why := model.missing(*needed):
        said = f"A variable that is needed was refused ({why})."
    elif model.failed_controls:
        said = f"Positive controls failed ({', '.join(model.failed_controls)}): the rule cannot be trusted with this noise."
    else:
        return None
    return not_testable(said, part, "gate")


def corrected(p: dict[str, float]) -> dict[str, float]:
    """Benjamini–Hochberg within a claim [@benjamini1995controlling]."""
    names = list(p)
    return dict(zip(names, map(float, stats.false_discovery_control([p[n] for n in names])), strict=True)) if p else {}


def step_nulls(model: Model, name: str, sign: int = 0) -> dict[str, float]:
    """p of every null of a profile's step, by `N1 run`, `N8` …

    Of a null run: the share of resamplings of prompts in which its step (of the given sign, if any) is at least as
    large, so that two seeds suffice to say that random weights do not do it; of N8, the smooth twin.
    """
    own = model.get(name)
    found = {}
    if not isinstance(own.judged, Refusal):
        found[f"N8 smooth twin, {name}"] = own.judged.nulls["smooth_twin"]
    for run, kind in model.kinds.items():
        other = model.nulls[run].get(name)
        if isinstance(other, Profile):
            found[f"{kind} {run.rpartition('~')[2]}, {name}"] = exceeding(_steps(own), _steps(other), sign)
    return found


def _steps(profile: Profile) -> np.ndarray:
    """Largest increment with its sign, of every replicate, over the states that are fitted."""
    moves = np.diff(profile.series.replicates[:, 1 : profile.series.blocks - 1], axis=1)
    largest = np.abs(moves).argmax(axis=1)
    return moves[np.arange(len(moves)), largest]


def exceeding(own: np.ndarray, null: np.ndarray, sign: int) -> float:
    """p of a null: the share of replicates in which it goes at least as far in the direction of `sign` (0: in either)."""
    own, null = (np.abs(values) if not sign else sign * values for values in (own, null))
    return float((1 + np.count_nonzero(null >= own)) / (1 + len(own)))


def lost_to(p: dict[str, float]) -> list[str]:
    """Numbers of the nulls that are not beaten, ascending."""
    return sorted({name.split()[0] for name, value in p.items() if value > BEATEN}, key=lambda n: int(n[1:]))


def difference(model: Model, profile: Profile) -> tuple[float, float, float]:
    """Δ = mean over solid − mean over liquid states, with the interval of its replicates."""
    liquid, solid = model.sides
    every = np.concatenate([profile.series.values[None], profile.series.replicates])
    found = every[:, solid].mean(axis=1) - every[:, liquid].mean(axis=1)
    low, high = np.quantile(found[1:], LEVEL)
    return float(found[0]), float(low), float(high)


def difference_nulls(model: Model, name: str, sign: int) -> dict[str, float]:
    """p of every null run: the share of resamplings in which its Δ is at least as far in the claimed direction."""
    liquid, solid = model.sides

    def of(profile: Profile) -> np.ndarray:
        return profile.series.replicates[:, solid].mean(axis=1) - profile.series.replicates[:, liquid].mean(axis=1)

    return {
        f"{kind} {run.rpartition('~')[2]}, {name}": exceeding(of(model.get(name)), of(other), sign)
        for run, kind in model.kinds.items()
        if isinstance(other := model.nulls[run].get(name), Profile)
    }


def needed_nulls(model: Model, *kinds: str) -> str:
    """Which null runs are missing, as a sentence, or empty."""
    lacking = [kind for kind in kinds if kind not in model.kinds.values()]
    told = f"The null runs {', '.join(lacking)} are missing: gedanken scan MODEL --text stdlib --nulls."
    return told if lacking else ""


def is_step(profile: Profile) -> bool:
    return not isinstance(profile.judged, Refusal) and profile.judged.shape == Shape.step


def is_crossover(profile: Profile) -> bool:
    return not isinstance(profile.judged, Refusal) and profile.judged.shape == Shape.crossover


def told(p: dict[str, float]) -> str:
    """Nulls and their corrected p, for the `against` of a judgement."""
    return "; ".join(f"{name} p = {value:.3g}" for name, value in p.items())


def step_of(profile: Profile) -> tuple[float, float, float]:
    """B of the logistic with its interval; zero width if there is none."""
    return (np.nan, -np.inf, np.inf) if isinstance(profile.judged, Refusal) else profile.judged.step


def unresolved(sentence: str, part: str, **figures) -> Judgement:
    return Judgement(Verdict.inconclusive, sentence, "unresolved", part=part, **figures)


def other_sign(half: tuple[float, float, float], whole: tuple[float, float, float]) -> bool:
    """Whether two effects differ in sign or in whether their interval excludes 0."""
    significant = [step[1] > 0 or step[2] < 0 for step in (half, whole)]
    return significant[0] != significant[1] or (all(significant) and np.sign(half[0]) != np.sign(whole[0]))


def interval(effect: tuple[float, float, float]) -> str:
    """`0.13 (0.1 to 0.16)`, for a sentence."""
    value, low, high = (f"{x:.3g}".replace("-", "−") for x in effect)
    return f"{value} ({low} to {high})"
