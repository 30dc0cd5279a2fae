"""SL14, SL15: whether training from trained spectra harms, and whether directions matter more than magnitudes."""

from collections import defaultdict

import numpy as np

from gedanken.analysis.intervals import Estimate, t_interval
from gedanken.studies.base import Judgement
from gedanken.studies.spectral_lifecycle.arms import REFERENCE, Arm
from gedanken.studies.spectral_lifecycle.evidence import Evidence
from gedanken.studies.spectral_lifecycle.verdicts import UnitVerdict, Word, single, untestable

COMMAND = (
    "for arm in C0 to C7, three seeds and learning rates of ⅓, 1 and 3 times the preset's: gedanken train --preset cpu8 "
    "--arm C1 --from CHECKPOINT --set learning_rate=0.001."
)
RATES = 3
"""Learning rates that must be tried for each arm, so that none is judged at a rate that suits another."""


def harms(evidence: Evidence) -> Judgement:
    """SL14."""
    best, why = _best(evidence, "C1", REFERENCE)
    if why:
        return single(untestable("", why))
    excess = _difference(best["C1"], best[REFERENCE])
    said = (
        f"After {best['C1'].recipe['steps']} steps the loss from trained spectra with random vectors is "
        f"{best['C1'].loss:.3f}, from the "
        f"standard start {best[REFERENCE].loss:.3f} nat."
    )
    if "C7" in best:
        same = _difference(best["C7"], best[REFERENCE])
        said += (
            f" The control C7, equal to C0 in distribution, differs by {same.value:+.3f} ({same.low:.3f} to "
            f"{same.high:.3f})."
        )
    word = Word.positive if excess.low > 0 else Word.negative if excess.high < 0 else Word.undecided
    if word != Word.undecided and _few_rates(evidence, "C1", REFERENCE):
        word, said = Word.undecided, f"{said} Fewer than {RATES} learning rates were tried: {COMMAND}"
    return single(
        UnitVerdict(
            "",
            word,
            said,
            "loss(C1) − loss(C0) [nat/token]",
            excess,
            len(best["C1"].losses),
            None,
            "C7; learning-rate grid",
        )
    )


def directions(evidence: Evidence) -> Judgement:
    """SL15."""
    needed = ("C1", "C2", "C3", REFERENCE)
    best, why = _best(evidence, *needed)
    if why:
        return single(untestable("", why))
    gain = {name: _difference(best[REFERENCE], best[name]) for name in needed[:3]}
    strongest = max(("C1", "C2"), key=lambda name: gain[name].value)
    more = _difference(best[strongest], best["C3"])
    said = f"Trained directions gain {gain['C3']:+.3f} nat on the standard start, trained magnitudes "
    said += f"{gain[strongest].value:+.3f} ({strongest}).{_attribution(best)}"
    if gain["C3"].low > 0 and more.low > 0:
        word = Word.positive
    elif gain["C3"].high <= 0 or more.high < 0:
        word = Word.negative
    else:
        word = Word.undecided
    if _few_rates(evidence, *needed) or _at_edge(evidence, best):
        word, said = Word.undecided, f"{said} The best rates are not enclosed by rates that were tried: {COMMAND}"
    return single(
        UnitVerdict(
            "",
            word,
            said,
            "gain of C3 over the best of C1, C2 [nat/token]",
            more,
            len(best["C3"].losses),
            None,
            "scale (C5); another layer (C4); C7; learning-rate grid",
        )
    )


def _best(evidence: Evidence, *needed: str) -> tuple[dict[str, Arm], str]:
    """Each arm at its best learning rate, of the experiment with most arms; else why it cannot be judged."""
    experiments: dict[str, list[Arm]] = defaultdict(list)
    for arm in evidence.arms:
        if len(arm.losses) >= evidence.least_seeds:
            experiments[arm.experiment].append(arm)
    found = max(experiments.values(), key=lambda group: len({arm.name for arm in group}), default=[])
    best = {name: min((a for a in found if a.name == name), key=lambda a: a.loss) for name in {a.name for a in found}}
    missing = [name for name in needed if name not in best]
    return (
        best,
        f"The arms {', '.join(missing)} were not trained with {evidence.least_seeds} seeds: {COMMAND}"
        if missing
        else "",
    )


def _difference(one: Arm, other: Arm) -> Estimate:
    """loss(one) − loss(other) over the seeds that both have: the same data in the same order."""
    seeds = sorted(set(one.losses) & set(other.losses))
    return t_interval(np.array([one.losses[s] - other.losses[s] for s in seeds]))


def _rates(evidence: Evidence, arm: str) -> list[float]:
    return sorted({a.learning_rate for a in evidence.arms if a.name == arm})


def _few_rates(evidence: Evidence, *names: str) -> bool:
    return any(len(_rates(evidence, name)) < RATES for name in names)


def _at_edge(evidence: Evidence, best: dict[str, Arm]) -> bool:
    return any(
        arm.learning_rate in (_rates(evidence, name)[0], _rates(evidence, name)[-1]) for name, arm in best.items()
    )


def _attribution(best: dict[str, Arm]) -> str:
    if "C5" not in best:
        return " The arm C5 (scale alone) was not trained."
    harm, scale = _difference(best["C1"], best[REFERENCE]).value, _difference(best["C5"], best[REFERENCE]).value
    return f" Scale alone explains at least half of the harm: {'yes' if harm > 0 and scale >= harm / 2 else 'no'}."
