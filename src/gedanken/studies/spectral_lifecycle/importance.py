"""SL11: whether the rank exponent predicts how important a layer is, beside everything else that might."""

import math
from collections.abc import Iterator

import numpy as np

from gedanken.analysis.intervals import Estimate
from gedanken.analysis.rank_correlation import partial_spearman, spearman
from gedanken.studies.base import Judgement
from gedanken.studies.spectral_lifecycle import power
from gedanken.studies.spectral_lifecycle.evidence import Evidence
from gedanken.studies.spectral_lifecycle.pruned import Pruned
from gedanken.studies.spectral_lifecycle.verdicts import (
    LEVEL,
    SETTINGS,
    SURE,
    UnitVerdict,
    Word,
    combined,
    robust,
    untestable,
)

NEEDS_IMPORTANCE = "The importance of layers is measured by gedanken prune MODEL --every."
FEWEST = 8
"""Interior layers: with six, a true ρ of 0.75 is found in 27 of 100 cases (spectral-lifecycle, §6.1)."""
CLAIMED = 0.5
"""ρ whose exclusion from above contradicts the paper's 0.69 to 0.84."""


def predicts(evidence: Evidence) -> Iterator[Judgement]:
    """SL11."""
    yield from combined([predicted(model) for model in evidence.pruned], NEEDS_IMPORTANCE)


def interval(rho: float, n: int, given: int = 0) -> Estimate:
    """ρ with its 95 % interval: Fisher's z with variance (1 + ρ²/2)/(n − 3 − given) [@bonett2000sample, eq. 3]."""
    if n - 3 - given < 1 or abs(rho) >= 1:
        return Estimate(rho, math.nan, math.nan)
    half = 1.96 * math.sqrt((1 + rho**2 / 2) / (n - 3 - given))
    return Estimate(rho, math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half))


def predicted(model: Pruned) -> UnitVerdict:
    """SL11 of one model."""
    inner = model.interior
    n = len(inner)
    if n < FEWEST:
        return untestable(
            model.run,
            f"{n} interior layers have an importance, and {FEWEST} are needed. {NEEDS_IMPORTANCE}",
            model.family,
        )
    importance, alpha = model.importance[inner], model.score("rank_exponent")[inner]
    found = spearman(alpha, importance, model.rng)
    ends = interval(found.rho, n)
    depth = (inner + 0.5) / model.layers
    given = partial_spearman(alpha, importance, depth, model.rng)
    adds = given.rho > 0 and given.p_greater < LEVEL
    said = (
        f"ρ = {found.rho:.2f} over {n} interior layers (one-sided p = {found.p_greater:.2g}, two-sided "
        f"{found.p:.2g}); given the "
        f"depth {given.rho:.2f} (p = {given.p_greater:.2g}), so the exponent "
        f"{'adds to' if adds else 'is not shown to add to'} what "
        f"position says. Rivals: {_rivals(model, inner, importance, depth)}."
    )
    if found.rho > 0 and found.p_greater < LEVEL:
        word = Word.positive
    elif ends.high < CLAIMED and power.correlation(n) >= SURE:
        word = Word.negative
    else:
        word = Word.undecided
    others = {name: spearman(values[inner], importance, model.rng).rho for name, values in model.profiles.items()}
    word, said = robust(word, said, found.rho, others, SETTINGS)
    return UnitVerdict(
        model.run,
        word,
        said,
        "Spearman ρ of α and importance [1]",
        ends,
        n,
        found.p_greater,
        "layers in random order; position, norm, stable rank, tail exponent",
        ends.high < 0,
        model.family,
    )


def _rivals(model: Pruned, inner: np.ndarray, importance: np.ndarray, depth: np.ndarray) -> str:
    others = {"depth": depth, "distance from the middle": np.abs(depth - 0.5)}
    others |= {
        name.replace("_", " "): values[inner] for name, values in model.scores.items() if name != "rank_exponent"
    }
    told = []
    for name, values in others.items():
        if np.isfinite(values).all() and np.ptp(values) > 0:
            told.append(f"{name} {spearman(values, importance, model.rng).rho:.2f}")
    return ", ".join(told)
