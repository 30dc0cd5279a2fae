"""The conformance suite: what every instrument must satisfy, ours and a stranger's alike.

`conformance(instrument)` yields one named Check after another; pytest asserts them, `gedanken instruments check FILE`
prints them. A check is a function that yields a sentence for each thing wrong.
"""

import dataclasses
import math
import re
import warnings
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gedanken.instruments import examples
from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Symmetry, Value
from gedanken.status import Flag, Refusal

PARAGRAPHS = ("What", "Reads", "Null", "Fails when", "Reference")

CRASHES = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, Warning)
"""What a faulty `measure` may raise instead of a Refusal; numpy's warnings count."""

SYMMETRY_TOLERANCE = 1e-6
"""Relative. Decompositions of the 96 × 64 examples agree to about 1e-12·σ₁, their condition is below 1e4, and a
logarithm or a ratio of two such values costs no more than two digits."""

SEED = 20260116
"""Of the examples, so that a check gives the same answer each time (any number would do)."""


@dataclass(frozen=True, slots=True)
class Check:
    """One requirement: its name, whether it holds, and one sentence (what is required, or what is wrong)."""

    name: str
    ok: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Subject:
    """One instrument at one setting, and the reference keys that its Reference paragraph may cite."""

    instrument: Instrument
    references: Set[str] | None

    @property
    def variables(self):
        return {variable.name: variable for variable in self.instrument.variables}

    def measure(self, array: Any) -> Reading:
        """A reading with a fixed generator and with warnings as errors. Raises Refusal, or one of CRASHES."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return self.instrument.measure(array, np.random.default_rng(SEED))

    def example(self, raw: examples.Raw) -> Any:
        return examples.reduced(self.instrument.reads, raw, self.instrument.preparation)

    def known(self) -> list[KnownCase]:
        return list(self.instrument.known(np.random.default_rng(SEED)))


def conformance(instrument: type[Instrument], references: Set[str] | None = None) -> Iterator[Check]:
    """Every check on every standard setting of an instrument class. With `references` None, keys are not resolved.

    Checks come in order; those after "declarations" are left out if it fails, because they would make no sense.
    """
    try:
        settings = instrument.standard()
    except CRASHES as error:
        yield Check("class", False, f"it cannot be made without arguments: {error}")
        return
    for number, standard in enumerate(settings):
        subject = Subject(standard, references)
        label = f" ({standard.fields})" if number else ""
        for name, rule in CHECKS.items():
            if number and name in OF_THE_CLASS:
                continue
            check = _outcome(name + label, rule, subject)
            yield check
            if name == "declarations" and not check.ok:
                return


def bibliography(path: Path) -> frozenset[str]:
    """The keys of a BibTeX file."""
    return frozenset(re.findall(r"^@\w+\{\s*([^,\s]+)", path.read_text(encoding="utf-8"), re.MULTILINE))


def _outcome(name: str, rule: Callable[[Subject], Iterator[str]], subject: Subject) -> Check:
    try:
        wrong = list(rule(subject))
    except Refusal as refusal:
        wrong = [f"refused a case it should read: {refusal.sentence}"]
    except CRASHES as error:
        wrong = [f"{type(error).__name__}: {error}"]
    requirement = " ".join((rule.__doc__ or "").split())
    return Check(name, not wrong, "; ".join(wrong) if wrong else requirement)


def _documentation(subject: Subject) -> Iterator[str]:
    """The module's docstring has the five labelled paragraphs, in order."""
    found = tuple(subject.instrument.paragraphs())
    if found != PARAGRAPHS:
        yield f"the docstring has {', '.join(found) or 'no labelled paragraph'}; expected {', '.join(PARAGRAPHS)}"


def _references(subject: Subject) -> Iterator[str]:
    """The Reference paragraph cites at least one key, and every key is in the bibliography."""
    keys = re.findall(r"@([A-Za-z][\w:-]*)", subject.instrument.paragraphs().get("Reference", ""))
    if not keys:
        yield "the Reference paragraph cites no reference key"
    if subject.references is not None:
        yield from (f"no entry {key} in the bibliography" for key in keys if key not in subject.references)


def _class(subject: Subject) -> Iterator[str]:
    """The class is final and a frozen dataclass that can be made without arguments."""
    cls = type(subject.instrument)
    if "__final__" not in vars(cls):
        yield "the class is not marked @final"
    if "__dataclass_params__" not in vars(cls) or not vars(cls)["__dataclass_params__"].frozen:
        yield "the class is not a frozen dataclass"


def _declarations(subject: Subject) -> Iterator[str]:
    """Variables have snake_case names, symbols, units, definitions and ordered bounds; the kind has examples."""
    if not subject.instrument.variables:
        yield "no variable is declared"
    if len(subject.variables) != len(subject.instrument.variables):
        yield "a variable is declared twice"
    for variable in subject.instrument.variables:
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", variable.name):
            yield f"{variable.name} is not snake_case"
        if not (variable.unit and variable.symbol and variable.definition):
            yield f"{variable.name} lacks a unit, a symbol or a definition"
        low, high = variable.bounds
        if low is not None and high is not None and not low < high:
            yield f"the bounds of {variable.name} are not in order"
        if variable.scale not in ("linear", "log"):
            yield f"the scale of {variable.name} is {variable.scale!r}, not linear or log"
    if subject.instrument.reads not in examples.KINDS:
        yield f"there are no examples of kind {subject.instrument.reads}"


def _settings(subject: Subject) -> Iterator[str]:
    """The setting changes whenever a field does."""
    for field in dataclasses.fields(subject.instrument):
        changed = object.__new__(type(subject.instrument))
        for other in dataclasses.fields(subject.instrument):
            object.__setattr__(changed, other.name, vars(subject.instrument)[other.name])
        object.__setattr__(changed, field.name, _another(vars(subject.instrument)[field.name]))
        if changed.setting == subject.instrument.setting:
            yield f"another {field.name} gives the same setting"


def _another(value: Any) -> Any:
    """A value of the same type, but not this one."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case tuple():
            return (*value, 1)
        case _:
            return "x"


def _reading(subject: Subject) -> Iterator[str]:
    """A generic input gives exactly the declared variables, all of them finite and within bounds."""
    array = subject.example(examples.raw(subject.instrument.reads, np.random.default_rng(SEED)))
    reading = subject.measure(array)
    yield from _faults(subject, reading)
    yield from (f"{name} is refused: {v.sentence}" for name, v in reading.items() if isinstance(v, Refusal))


def _known(subject: Subject) -> Iterator[str]:
    """Every known case has its known answer, within its derived tolerance, and every variable occurs in one."""
    cases = subject.known()
    named = {name for case in cases for name in case.expected}
    yield from (f"no known case has {name}" for name in subject.variables if name not in named)
    for case in cases:
        try:
            reading = subject.measure(case.array)
        except Refusal as refusal:
            reading = dict.fromkeys(subject.variables, refusal)
        yield from (f"{case.name}: {fault}" for fault in _faults(subject, reading))
        yield from (f"{case.name}: {fault}" for fault in _differences(case, reading))


def _differences(case: KnownCase, reading: Reading) -> Iterator[str]:
    for name, expected in case.expected.items():
        found = reading.get(name)
        if isinstance(expected, Flag):
            if not (isinstance(found, Refusal) and found.flag == expected):
                yield f"{name} should be refused as {expected}, and is {_shown(found)}"
        elif isinstance(found, Curve):
            # A curve's known y: one number, or one for each x.
            if not np.all(np.abs(found.y - expected[0]) <= expected[1]):
                yield f"{name} is {found.y}, not {expected[0]} ± {expected[1]:.1g}"
        elif not isinstance(found, Value):
            yield f"{name} should be {expected[0]}, and is {_shown(found)}"
        elif not abs(found.value - expected[0]) <= expected[1]:
            yield f"{name} is {found.value:.9g}, not {expected[0]:.9g} ± {expected[1]:.1g}"


def _symmetries(subject: Subject) -> Iterator[str]:
    """The declared symmetries hold on generic input; under scale, a value goes with its variable's degree."""
    rng = np.random.default_rng(SEED)
    raw = examples.raw(subject.instrument.reads, rng)
    before = subject.measure(subject.example(raw))
    for symmetry in sorted(subject.instrument.symmetries):
        after = subject.measure(subject.example(examples.TRANSFORMS[symmetry](raw, rng)))
        for name, variable in subject.variables.items():
            if symmetry is Symmetry.scale and variable.degree is None:
                continue
            factor = examples.SCALE**variable.degree if symmetry is Symmetry.scale else 1.0
            if not _close(before[name], after[name], factor):
                yield f"{name} changes from {_shown(before[name])} to {_shown(after[name])} under: {symmetry.value}"


def _close(before: Value | Curve | Refusal, after: Value | Curve | Refusal, factor: float) -> bool:
    match before, after:
        case Value(), Value():
            return math.isclose(before.value * factor, after.value, rel_tol=SYMMETRY_TOLERANCE, abs_tol=1e-9)
        case Curve(), Curve():
            scale = np.abs(after.y).max(initial=1e-9)
            return len(before.y) == len(after.y) and bool(
                np.all(np.abs(before.y * factor - after.y) <= SYMMETRY_TOLERANCE * scale)
            )
        case Refusal(), Refusal():
            return before.flag == after.flag
    return False


def _refusals(subject: Subject) -> Iterator[str]:
    """Degenerate inputs give finite values or refusals with a flag: no crash, no warning, no NaN."""
    for name, raw in examples.degenerate(subject.instrument.reads, np.random.default_rng(SEED)):
        try:
            reading = subject.measure(subject.example(raw))
        except Refusal:
            continue
        except CRASHES as error:
            yield f"{name}: {type(error).__name__}: {error}"
            continue
        yield from (f"{name}: {fault}" for fault in _faults(subject, reading))


def _purity(subject: Subject) -> Iterator[str]:
    """The same input twice gives the same reading, and the input (read-only here) is not written to."""
    array = subject.example(examples.raw(subject.instrument.reads, np.random.default_rng(SEED)))
    if _plain(subject.measure(array)) != _plain(subject.measure(array)):
        yield "two readings of one input differ"


def _plain(reading: Reading) -> dict[str, Any]:
    """A reading in a form that compares by content."""
    return {
        name: [np.asarray(part).tolist() for part in dataclasses.astuple(value)]
        if isinstance(value, Value | Curve)
        else (value.flag, value.sentence)
        for name, value in reading.items()
    }


def _nulls(subject: Subject) -> Iterator[str]:
    """Every variable has a drawn null, a closed-form null, or one reason why there is none."""
    instrument = subject.instrument
    array = subject.example(examples.raw(instrument.reads, np.random.default_rng(SEED)))
    reading = subject.measure(array)
    closed = instrument.null(array, reading)
    yield from (f"null() gives {name}, which is no variable" for name in closed if name not in subject.variables)
    for name, variable in subject.variables.items():
        carried = isinstance(reading[name], Curve) and reading[name].null_low is not None
        has = bool(closed.get(name)) or carried or (instrument.null_model or instrument.data_null) is not None
        if variable.no_null and (closed.get(name) or carried):
            yield f"{name} has a null and a reason why it has none"
        if not variable.no_null and not has:
            yield f"{name} has no null and no reason why"
        if not variable.no_null and variable.degree is None and not closed.get(name) and not carried:
            yield f"{name} follows no power of the scale, so draws at unit norm are no null for it"
    for name, band in closed.items():
        if not (band.low <= band.median <= band.high and (band.p is None or 0 <= band.p <= 1)):
            yield f"the null band of {name} is not in order"


def _faults(subject: Subject, reading: Reading) -> Iterator[str]:
    """What is wrong with a reading whatever the input was."""
    if set(reading) != set(subject.variables):
        yield f"the reading has {', '.join(sorted(reading))} instead of {', '.join(sorted(subject.variables))}"
    for name, value in reading.items():
        if name not in subject.variables or isinstance(value, Refusal):
            continue
        variable = subject.variables[name]
        if not isinstance(value, Curve if variable.curve else Value):
            yield f"{name} is a {type(value).__name__}"
            continue
        if not all(np.all(np.isfinite(number)) for number in _numbers(value)):
            yield f"{name} is not finite: {_shown(value)}"
            continue
        low, high = variable.bounds
        least, most = (value.y.min(), value.y.max()) if isinstance(value, Curve) else (value.value, value.value)
        # One part in 1e9 for rounding at a bound that is reached exactly.
        if (low is not None and least < low - 1e-9 * abs(low)) or (high is not None and most > high + 1e-9 * abs(high)):
            yield f"{name} = {_shown(value)} is outside its bounds {variable.bounds}"


def _numbers(value: Value | Curve) -> Iterator[Any]:
    if isinstance(value, Curve):
        parts = (value.x, value.y, value.low, value.high, value.null_low, value.null_high, value.n)
    else:
        parts = (value.value, value.stderr, value.low, value.high, value.n, value.left_out)
    yield from (part for part in parts if part is not None)


def _shown(value: Value | Curve | Refusal | None) -> str:
    match value:
        case Value():
            return f"{value.value:.9g}"
        case Curve():
            return f"a curve of {len(value.y)} points"
        case Refusal():
            return f"refused as {value.flag}"
    return "missing"


CHECKS: dict[str, Callable[[Subject], Iterator[str]]] = {
    "documentation": _documentation,
    "references": _references,
    "class": _class,
    "declarations": _declarations,
    "settings": _settings,
    "reading": _reading,
    "known cases": _known,
    "symmetries": _symmetries,
    "refusals": _refusals,
    "purity": _purity,
    "nulls": _nulls,
}
"""Name → rule; the rule's docstring is the requirement."""

OF_THE_CLASS = frozenset({"documentation", "references", "class", "declarations"})
"""Checks that do not depend on the setting."""
