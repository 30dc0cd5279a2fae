"""The gates: power as the specification gives it, and Holm's correction."""

import pytest

from gedanken.studies.spectral_lifecycle import power
from gedanken.studies.spectral_lifecycle.importance import interval
from gedanken.studies.spectral_lifecycle.verdicts import UnitVerdict, Word, combined, holm


@pytest.mark.parametrize(("count", "expected"), [(6, 0.27), (8, 0.52), (10, 0.69), (14, 0.87), (22, 0.98)])
def test_power_of_a_rank_correlation(count, expected):
    """Spectral-lifecycle, §6.1: ± 0.01 there, 4,000 simulations here (0.008 each way), and how ρ is planted."""
    assert power.correlation(count, two_sided=True) == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize(("layers", "expected"), [(8, 0.30), (12, 0.69), (16, 0.89), (24, 0.99)])
def test_power_of_an_inverted_u(layers, expected):
    """Spectral-lifecycle, §3.5; 400 simulations: two standard errors are 0.05."""
    assert power.bumped(layers) == pytest.approx(expected, abs=0.06)


def test_permutations_of_three_layers_decide_nothing():
    assert power.order(3) == 0.0
    assert power.order(8) > 0.8


def verdict(unit, word, p=None, opposite=False):
    return UnitVerdict(unit, word, "", p=p, opposite=opposite)


def test_holm():
    found = holm(
        [verdict("a", Word.positive, 0.04), verdict("b", Word.positive, 0.01), verdict("c", Word.undecided, 0.5)]
    )
    assert [v.word for v in found] == [Word.undecided, Word.positive, Word.undecided]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("++", "supported"),
        ("++-", "supported"),
        ("+-", "inconclusive"),
        ("--", "not_supported"),
        ("-?", "inconclusive"),
        ("+", "not_testable"),
        ("++!", "not_supported"),
        ("", "not_testable"),
    ],
)
def test_units_together(given, expected):
    kinds = {
        "+": (Word.positive, 1e-4, False),
        "-": (Word.negative, 0.9, False),
        "?": (Word.undecided, 0.5, False),
        "!": (Word.negative, 0.99, True),
    }
    units = [verdict(str(i), *kinds[kind]) for i, kind in enumerate(given)]
    assert next(combined(units, "nothing")).verdict == expected


def test_interval_of_a_rank_correlation():
    found = interval(0.0, 28)
    assert found.high == pytest.approx(-found.low) == pytest.approx(0.373, abs=0.001)  # tanh(1.96/5)
    assert interval(0.5, 28).low > 0
