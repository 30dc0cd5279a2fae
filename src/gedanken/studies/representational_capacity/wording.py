"""The one decision of this study: an interval inside the rule supports, outside it does not, across its border leaves open."""

import math
from collections.abc import Iterable

from gedanken.analysis.wording import interval, number
from gedanken.studies.base import Verdict

WORDS = {Verdict.supported: "supported", Verdict.not_supported: "refuted", Verdict.inconclusive: "undecided"}
"""The specification's word for each verdict, where it has no finer one."""


def against_rule(low: float, high: float, least: float = -math.inf, most: float = math.inf) -> Verdict:
    """Of an interval from low to high against a rule: a value above `least` and below `most`."""
    if low > least and high < most:
        return Verdict.supported
    return Verdict.not_supported if high <= least or low >= most else Verdict.inconclusive


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Of a statement about every case: one that fails refutes it, and one that is open leaves it open."""
    found = set(verdicts)
    return next((v for v in (Verdict.not_supported, Verdict.inconclusive) if v in found), Verdict.supported)


def with_interval(value: float, low: float, high: float) -> str:
    """ "11.9 (9.1 to 14)"."""
    return f"{number(value)} ({interval(low, high)})"


def named(names: Iterable[str], most: int = 6) -> str:
    """ "a, b and c"; "a, b … and 4 more"."""
    names = list(names)
    if len(names) > most:
        return f"{', '.join(names[:most])} … and {len(names) - most} more"
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)
