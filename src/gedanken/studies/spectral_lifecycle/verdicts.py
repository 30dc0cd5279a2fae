"""Verdicts of units, and what they say together (spectral-lifecycle, §4.1).

supported       at least 2 testable units, at least ⅔ positive, none significantly opposite
not supported   at least 2 testable units, fewer than ⅓ positive and the rest negative, or ⅓ and more significantly opposite
not testable    fewer than 2 testable units
inconclusive    all else
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy import stats

from gedanken.analysis import p_values
from gedanken.analysis.intervals import Estimate
from gedanken.studies.base import Judgement, Verdict, not_testable

LEVEL = 0.05
GATE, SURE = 0.5, 0.8
"""Power below which a unit is not testable, and from which on it may be negative."""
LEAST_SEEDS = 3
SETTINGS, SETTINGS_OF_PARTS = 3, 2
"""Robustness settings of a layer's rank exponent, and of a matrix's: there is no mean over all matrices."""


class Word(StrEnum):
    positive = "positive"
    negative = "negative"
    undecided = "undecided"
    untestable = "not testable"


_SAME = {
    Word.positive: Verdict.supported,
    Word.negative: Verdict.not_supported,
    Word.undecided: Verdict.inconclusive,
    Word.untestable: Verdict.not_testable,
}


@dataclass(frozen=True)
class UnitVerdict:
    """A unit's word, with the deciding quantity and its interval. `p` enters Holm's correction over the claim's units."""

    unit: str
    word: Word
    sentence: str
    quantity: str = ""
    estimate: Estimate | None = None
    n: int | None = None
    p: float | None = None
    against: str = ""
    opposite: bool = False
    family: str = ""

    @property
    def judgement(self) -> Judgement:
        """The same, as the study's part."""
        e = self.estimate
        interval = e is not None and np.isfinite([e.value, e.low, e.high]).all()
        verdict, reason = _SAME[self.word], str(self.word)
        exact = f"permutation p = {self.p:.2g}" if self.p is not None and not interval else ""
        if verdict in (Verdict.supported, Verdict.not_supported) and not interval and not exact:
            verdict, reason = Verdict.inconclusive, "no interval"
        value = e.value if e is not None and np.isfinite(e.value) else None
        ends = (e.low, e.high) if interval else (None, None)
        return Judgement(
            verdict, self.sentence, reason, self.quantity, value, *ends, self.n, self.against, self.unit, exact
        )


def untestable(unit: str, needed: str, family: str = "") -> UnitVerdict:
    return UnitVerdict(unit, Word.untestable, needed, family=family)


def holm(units: Sequence[UnitVerdict], level: float = LEVEL) -> list[UnitVerdict]:
    """Positive units whose p does not stand Holm's correction over the testable ones become undecided [@holm1979]."""
    tested = [v for v in units if v.p is not None and v.word != Word.untestable]
    adjusted = dict(zip((v.unit for v in tested), p_values.holm(np.array([v.p for v in tested])), strict=True))
    return [
        replace(
            v,
            word=Word.undecided,
            sentence=f"{v.sentence} Corrected for {len(tested)} units: p = {adjusted[v.unit]:.2g}.",
        )
        if v.word == Word.positive and v.unit in adjusted and adjusted[v.unit] >= level
        else v
        for v in units
    ]


def combined(units: Sequence[UnitVerdict], needed: str, *, part: str = "") -> Iterator[Judgement]:
    """The claim's judgement, then one for each unit. needed: the sentence for a lab that has no unit at all."""
    if not units:
        yield not_testable(needed, part, "no unit")
        return
    units = holm(units)
    yield _claim(units, part)
    for unit in units:
        yield replace(unit, unit=f"{part}: {unit.unit}" if part else unit.unit).judgement


def single(unit: UnitVerdict) -> Judgement:
    """A claim whose one unit is a whole ladder, experiment or survey."""
    found = replace(unit, unit="").judgement
    return replace(found, reason="single" if found.verdict != Verdict.not_testable else "not testable")


def _claim(units: Sequence[UnitVerdict], part: str) -> Judgement:
    testable = [u for u in units if u.word != Word.untestable]
    n, positive = len(testable), sum(u.word == Word.positive for u in testable)
    negative, opposite = (sum(u.word == Word.negative for u in testable), sum(u.opposite for u in testable))
    if n < 2:
        why = f"{n or 'No'} of {len(units)} {'unit is' if len(units) == 1 else 'units are'} testable, and a claim needs two."
        return not_testable(f"{why} {units[0].sentence if not testable else ''}".strip(), part, "too few units")
    if positive >= 2 * n / 3 and not opposite:
        word = Verdict.supported
    elif (positive < n / 3 and positive + negative == n) or opposite >= n / 3:
        word = Verdict.not_supported
    else:
        word = Verdict.inconclusive
    low, high = stats.binomtest(positive, n).proportion_ci(0.95, "exact")
    said = f"{positive} of {n} testable units positive, {negative} negative, {n - positive - negative} undecided."
    against = next((u.against for u in testable if u.against), "")
    return Judgement(word, said, "", "share of positive units", positive / n, float(low), float(high), n, against, part)


def robust(word: Word, said: str, primary: float, others: Mapping[str, float], least: int) -> tuple[Word, str]:
    """A positive unit whose quantity has the other sign in another setting, or for which fewer than `least` settings were
    measured, is undecided; with the sentence that says so."""
    flipped = [name for name, value in others.items() if np.sign(value) != np.sign(primary)]
    if word != Word.positive or not (flipped or len(others) < least):
        return word, said
    if flipped:
        return Word.undecided, f"{said} The sign changes with {', '.join(flipped)}."
    missing = "The other settings were not all measured (gedanken scan MODEL --instrument singular_values)."
    return Word.undecided, f"{said} {missing}"
