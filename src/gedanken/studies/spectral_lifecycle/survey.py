"""SL16, SL17: whether the findings hold in several families of models, and whether spectra make a training monitor."""

from collections import Counter, defaultdict

import numpy as np
from scipy import stats

from gedanken.analysis.intervals import Estimate, wilson
from gedanken.studies.base import Judgement
from gedanken.studies.spectral_lifecycle.evidence import Evidence
from gedanken.studies.spectral_lifecycle.importance import predicted
from gedanken.studies.spectral_lifecycle.profile import bent, persistent
from gedanken.studies.spectral_lifecycle.pruning import pruned_better
from gedanken.studies.spectral_lifecycle.verdicts import LEAST_SEEDS, UnitVerdict, Word, holm, single, untestable
from gedanken.studies.spectral_lifecycle.watched import Watched

FIRST = 2 / 3
"""Share of planted failures in which the alarm must come before the loss shows them."""
MONITOR = (
    "gedanken train --preset cpu8 with three seeds, then --control rate-jump, --control frozen-layer and "
    "--control rank-one."
)


def general(evidence: Evidence) -> Judgement:
    """SL16."""
    surveyed = {
        "SL3": [persistent(unit, evidence) for unit in evidence.units if unit.ladder],
        "SL4": [bent(unit, evidence) for unit in evidence.units],
        "SL11": [predicted(model) for model in evidence.pruned],
        "SL12": [pruned_better(model) for model in evidence.pruned],
    }
    words: dict[str, dict[str, set[Word]]] = {claim: defaultdict(set) for claim in surveyed}
    for claim, found in surveyed.items():
        for verdict in holm(found):
            if verdict.word != Word.untestable:
                words[claim][verdict.family].add(verdict.word)
    families = {family for found in words.values() for family in found}
    if len(families) < 2:
        return single(
            untestable(
                "",
                f"{len(families)} family of models is testable, and two are needed: gedanken prune MODEL --every of "
                "models of another family.",
            )
        )
    positive = {claim: sum(Word.positive in w for w in found.values()) for claim, found in words.items()}
    negative = {claim: sum(w == {Word.negative} for w in found.values()) for claim, found in words.items()}
    told = ", ".join(f"{claim} in {positive[claim]} of {len(words[claim])}" for claim in surveyed)
    said = f"Families with a positive unit: {told}."
    if min(positive.values()) >= 2:
        word = Word.positive
    else:
        word = Word.negative if max(negative.values()) >= 2 else Word.undecided
    n = len(families)
    least = min(positive.values())
    low, high = stats.binomtest(min(least, n), n).proportion_ci(0.95, "exact")
    return single(
        UnitVerdict(
            "",
            word,
            said,
            "least share of families with a positive unit",
            Estimate(least / n, float(low), float(high)),
            n,
            None,
            "verdicts of SL3, SL4, SL11, SL12",
        )
    )


def monitors(evidence: Evidence) -> Judgement:
    """SL17."""
    healthy = [run for run in evidence.watched if not run.planted]
    planted = [run for run in evidence.watched if run.planted]
    if len(healthy) < LEAST_SEEDS:
        return single(
            untestable("", f"{len(healthy)} healthy runs were watched to their end, and three are needed: {MONITOR}")
        )
    false = [alarm for run in healthy for alarm in run.alarms]
    crying = wilson(sum(bool(run.alarms) for run in healthy), len(healthy))
    kinds = ", ".join(
        f"{count} {name.replace('_', ' ')}" for name, count in Counter(a for _, a, _ in false).most_common()
    )
    cost = "What the spectra cost in time is measured by benchmarks/, not here."
    said = f"False alarms in {sum(bool(run.alarms) for run in healthy)} of {len(healthy)} healthy runs"
    said += f" ({crying.low:.2f} to {crying.high:.2f}{': ' * bool(kinds)}{kinds})."
    if false:
        return single(
            UnitVerdict(
                "", Word.negative, f"{said} {cost}", "share of healthy runs with an alarm", crying, len(healthy), None,
                "healthy seeds",
            )
        )  # fmt: skip
    if not planted:
        return single(untestable("", f"{said} No failure was planted: {MONITOR}"))
    limit = max(float(run.rises.max()) for run in healthy)
    ahead = [run.first_alarm < _seen_by_loss(run, limit) for run in planted]
    share = wilson(sum(ahead), len(ahead))
    trace = "; ".join(_trace(run, limit) for run in sorted(planted, key=lambda run: run.run))
    said += f" Before a loss detector with no false alarm either in {sum(ahead)} of {len(planted)} planted failures: {trace}."
    word = Word.positive if share.value >= FIRST else Word.undecided
    return single(
        UnitVerdict(
            "",
            word,
            f"{said} {cost}",
            "planted failures seen before the loss shows them",
            share,
            len(planted),
            None,
            "a detector of rising loss",
        )
    )


def _trace(run: Watched, limit: float) -> str:
    """What was planted when, and when which alarm and the loss showed it."""
    name = next((alarm.replace("_", " ") for step, alarm, _ in run.alarms if step == run.first_alarm), "")
    alarm = f"{name} at step {run.first_alarm:.0f}" if name else "no alarm"
    seen = _seen_by_loss(run, limit)
    return f"{run.recipe['control']} from step {run.fails_at}, {alarm}, loss {f'at {seen:.0f}' if seen < np.inf else 'never'}"


def _seen_by_loss(run: Watched, limit: float) -> float:
    """First step after the failure at which the loss has risen further than in any healthy run; infinite for none."""
    at = run.steps[(run.rises > limit) & (run.steps > run.fails_at)]
    return float(at[0]) if len(at) else np.inf
