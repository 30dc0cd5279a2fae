"""holds: whether premises of the generated logic text entail what is asked."""

from collections.abc import Iterable

Premise = tuple
"""("more", a, b) a > b · ("in" | "out", x, A) · ("all" | "none", A, B) · ("value", x, bool) ·
("gate", kind, name, first, second)."""

_GATES = {
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "xor": lambda a, b: a != b,
    "and_not": lambda a, b: a and not b,
    "or_not": lambda a, b: a or not b,
}


def holds(premises: Iterable[Premise], question: Premise) -> bool:
    """Whether the question follows: by transitivity, by inclusion of sets, or by evaluating the circuit."""
    premises = list(premises)
    kind, first, second = question
    if kind == "more":
        return second in _reached(first, premises, "more")
    if kind == "value":
        return _value(first, premises) == second
    inside = {place for start in _direct(first, premises) for place in (start, *_reached(start, premises, "all"))}
    if kind == "in":
        return second in inside
    # Exclusion is mutual, and whatever is inside the excluded set's parts is excluded too.
    apart = {pair for _, *ends in (p for p in premises if p[0] == "none") for pair in (tuple(ends), tuple(ends[::-1]))}
    above = {second, *_reached(second, premises, "all")}
    return any((a, b) in apart for a in inside for b in above)


def _direct(member: str, premises: list[Premise]) -> list[str]:
    return [premise[2] for premise in premises if premise[0] == "in" and premise[1] == member]


def _reached(start: str, premises: list[Premise], kind: str) -> set[str]:
    links = [premise[1:] for premise in premises if premise[0] == kind]
    found, edge = set(), {start}
    while edge:
        edge = {b for a, b in links if a in edge} - found
        found |= edge
    return found


def _value(name: str, premises: list[Premise]) -> bool:
    for premise in premises:
        if premise[0] == "value" and premise[1] == name:
            return premise[2]
        if premise[0] == "gate" and premise[2] == name:
            return _GATES[premise[1]](_value(premise[3], premises), _value(premise[4], premises))
    raise ValueError(f"nothing is said of {name}")
