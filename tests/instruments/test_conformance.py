"""Every instrument of the catalogue satisfies every check; planted faults fail the check that is meant for them."""

import importlib
import sys
from functools import cache
from pathlib import Path

import pytest

from gedanken.instruments import catalogue, conformance
from gedanken.instruments.base import Instrument
from gedanken.kinds import Kind
from gedanken.status import Failure

REFERENCES = conformance.bibliography(Path(__file__).parents[2] / "src" / "gedanken" / "references.bib")


SLOW = ("parallel_edge",)
"""Half a minute each: they draw hundreds of surrogates."""


@cache
def outcomes(name: str) -> dict[str, conformance.Check]:
    return {check.name: check for check in conformance.conformance(catalogue.get(name), REFERENCES)}


def cases():
    for name in catalogue.names():
        for number, standard in enumerate(catalogue.get(name).standard()):
            for check in conformance.CHECKS:
                if not (number and check in conformance.OF_THE_CLASS):
                    marks = [pytest.mark.slow] if name in SLOW else []
                    yield pytest.param(name, check + (f" ({standard.fields})" if number else ""), marks=marks)


@pytest.mark.parametrize("name, check", list(cases()))
def test_instrument(name, check):
    found = outcomes(name)[check]
    assert found.ok, found.sentence


# The catalogue.


def test_names_are_those_of_the_files():
    folder = Path(conformance.__file__).parent
    files = {path.stem for kind in folder.iterdir() if kind.is_dir() for path in kind.glob("[a-z]*.py")}
    assert set(catalogue.names()) == files
    assert all(catalogue.get(name).name() == name for name in catalogue.names())


def test_listing_names_imports_no_instrument():
    for name in [name for name in sys.modules if name.startswith("gedanken.instruments.spectrum")]:
        del sys.modules[name]
    fresh = importlib.reload(catalogue)
    assert "stable_rank" in fresh.names()
    assert "gedanken.instruments.spectrum.stable_rank" not in sys.modules


@pytest.mark.parametrize("kind", [Kind.spectrum, Kind.moments, Kind.matrix, Kind.points, Kind.pair])
def test_instruments_by_kind(kind):
    found = catalogue.of_kind(kind)
    assert found and all(instrument.reads == kind for instrument in found)


def test_variables_and_aliases_lead_to_their_instrument():
    instrument, variable = catalogue.of_variable("ks_distance")
    assert (instrument.name(), variable.name) == ("tail_exponent", "ks_distance")
    assert catalogue.of_variable("alpha")[1].name == "tail_exponent"
    assert catalogue.of_variable("mp_softrank")[1].name == "soft_rank"


def test_no_alias_is_shared_or_shadows_a_variable():
    aliases = [alias for _, variable in catalogue.variables().values() for alias in variable.aliases]
    assert len(aliases) == len(set(aliases))
    assert not {a for a in aliases if a in catalogue.variables() and a not in catalogue.of_variable(a)[1].aliases}


@pytest.mark.parametrize(
    "look, word, near",
    [(catalogue.get, "stabel_rank", "stable_rank"), (catalogue.of_variable, "ks_distanc", "ks_distance")],
)
def test_a_misspelt_name_is_answered_with_the_nearest(look, word, near):
    with pytest.raises(Failure, match=f"called {word}; did you mean {near}\\?") as caught:
        look(word)
    assert caught.value.try_next == catalogue.LIST_COMMAND


def test_a_name_like_no_other_gets_no_guess():
    with pytest.raises(Failure, match="there is no instrument called zzzz$"):
        catalogue.get("zzzz")


# A stranger's file: a good one, and one fault planted at a time.

GOOD = '''"""Mean of the squared singular values.

What. mean_energy = Σσ²/r ≥ 0, unit weight².

Reads. spectrum.

Null. None: it is fixed by the norm.

Fails when. Never.

Reference. [@golub2013, §2.3].
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Instrument, KnownCase, Symmetry, Value, Variable
from gedanken.kinds import Kind, Spectrum
from gedanken.status import Flag, Refusal


@final
@dataclass(frozen=True)
class MeanEnergy(Instrument):
    power: float = 2.0

    reads = Kind.spectrum
    variables = (
        Variable("mean_energy", "E", "weight²", "mean of σ²", (0, None), degree=2, no_null="the norm fixes it"),
    )
    symmetries = frozenset({Symmetry.scale, Symmetry.transpose})

    def measure(self, array, rng):
        return {"mean_energy": Value(float(np.mean(array.singular_values**self.power)))}

    def known(self, rng):
        yield KnownCase("ones", Spectrum(np.ones(4), 4, 4), {"mean_energy": (1.0, 0.0)}, "exact")
'''

MEASURE = 'return {"mean_energy": Value(float(np.mean(array.singular_values**self.power)))}'

NULL = """    def null(self, array, reading):
        from gedanken.instruments.base import NullBand

        return {{"{}": NullBand("x", {}, 0.0, 2.0, 0.5, 0)}}

"""

FAULTS = {
    "no paragraph on the null": ("Null. None: it is fixed by the norm.\n\n", "", "documentation", "expected What"),
    "paragraphs out of order": ("Reads. spectrum.\n\nNull. None: it is fixed by the norm.",
                                "Null. None: it is fixed by the norm.\n\nReads. spectrum.", "documentation", "Null, Reads"),
    "no reference": ("[@golub2013, §2.3]", "A book", "references", "cites no"),
    "unknown reference": ("@golub2013", "@nobody1900", "references", "no entry nobody1900"),
    "not final": ("@final\n@dataclass", "@dataclass", "class", "not marked @final"),
    "no default": ("power: float = 2.0", "power: float", "class", "cannot be made without arguments"),
    "no unit": ('"weight²"', '""', "declarations", "lacks a unit"),
    "camel case": ('"mean_energy"', '"meanEnergy"', "declarations", "not snake_case"),
    "bounds in the wrong order": ("(0, None)", "(1, 0)", "declarations", "not in order"),
    "unknown axis": ("degree=2,", 'degree=2, scale="cubic",', "declarations", "not linear or log"),
    "no variable": ('Variable("mean_energy", "E", "weight²", "mean of σ²", (0, None), degree=2, no_null="the norm fixes it"),',
                    "", "declarations", "no variable"),
    "a setting that ignores a field": ("    def known", '    fields = "{}"\n\n    def known', "settings", "another power"),
    "a reading under another name": ('return {"mean_energy"', 'return {"energy"', "reading", "instead of mean_energy"),
    "outside its bounds": (MEASURE, 'return {"mean_energy": Value(-1.0)}', "reading", "outside its bounds"),
    "not a number": (MEASURE, 'return {"mean_energy": Value(float("nan"))}', "reading", "not finite"),
    "an infinite error": (MEASURE, 'return {"mean_energy": Value(1.0, stderr=float("inf"))}', "reading", "not finite"),
    "a curve for a number": (MEASURE, 'from gedanken.instruments.base import Curve; '
                             'return {"mean_energy": Curve(np.zeros(2), np.zeros(2))}', "reading", "is a Curve"),
    "a warning": (MEASURE, 'np.log(np.zeros(1)); return {"mean_energy": Value(1.0)}', "reading", "divide by zero"),
    "a generic input refused": (MEASURE, "raise Refusal(Flag.too_small)", "reading", "refused a case"),
    "a wrong value": ("np.mean(", "1.1 * np.mean(", "known cases", "not 1 ± 0"),
    "no known case": ('{"mean_energy": (1.0, 0.0)}', "{}", "known cases", "no known case has mean_energy"),
    "a refusal that does not come": ('(1.0, 0.0)}, "exact"', 'Flag.constant}, "exact"', "known cases", "should be refused"),
    "a symmetry it has not": ("Symmetry.transpose}", "Symmetry.transpose, Symmetry.row_scale}", "symmetries", "changes from"),
    "a wrong degree": ("degree=2", "degree=1", "symmetries", "every entry multiplied by c"),
    "a crash on a degenerate input": (MEASURE, f"array.singular_values[9]; {MEASURE}", "refusals", "IndexError"),
    "a NaN on a degenerate input": (
        MEASURE, f'norm = array.singular_values[0]; {MEASURE.replace("float(", "float(norm and ")} if norm else '
        '{"mean_energy": Value(float("nan"))}', "refusals", "all zero: mean_energy is not finite",
    ),
    "writing to its input": (MEASURE, f"array.singular_values[0] = 0; {MEASURE}", "purity", "read-only"),
    "a memory": (MEASURE, 'MeanEnergy.calls = getattr(MeanEnergy, "calls", 0) + 1; '
                 'return {"mean_energy": Value(float(MeanEnergy.calls))}', "purity", "differ"),
    "no null and no reason": (', no_null="the norm fixes it"', "", "nulls", "no null and no reason"),
    "a null for no variable": ("    def known", NULL.format("other", 1.0) + "    def known", "nulls", "which is no variable"),
    "a null and a reason against it": (
        "    def known", NULL.format("mean_energy", 1.0) + "    def known", "nulls", "a null and a reason"
    ),
    "a null band out of order": (
        "    def known", NULL.format("mean_energy", 3.0) + "    def known", "nulls", "not in order"
    ),
    "an abstract method left out": ("    def known(self, rng):\n        yield", "    def other(self, rng):\n        yield",
                                    "class", "abstract"),
}  # fmt: skip


@pytest.fixture
def load(tmp_path):
    def loaded(source: str) -> type[Instrument]:
        path = tmp_path / "mean_energy.py"
        path.write_text(source, encoding="utf-8")
        return catalogue.load_file(path)

    return loaded


def test_a_good_file_passes_every_check(load):
    checks = list(conformance.conformance(load(GOOD), {"golub2013"}))
    assert [check.name for check in checks] == list(conformance.CHECKS)
    assert not [check.sentence for check in checks if not check.ok]
    assert all(check.sentence for check in checks)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(load, fault):
    old, new, name, words = FAULTS[fault]
    assert GOOD.count(old) >= 1
    checks = {check.name: check for check in conformance.conformance(load(GOOD.replace(old, new)), {"golub2013"})}
    assert not checks[name].ok
    assert words in checks[name].sentence


def test_an_unfrozen_class_cannot_even_be_defined(load):
    # A dataclass of a frozen base must be frozen: Python says so when the file is loaded.
    with pytest.raises(Failure, match="cannot inherit non-frozen dataclass from a frozen one"):
        load(GOOD.replace("@dataclass(frozen=True)", "@dataclass"))


def test_a_class_that_is_no_dataclass_of_its_own_is_found(load):
    checks = {c.name: c for c in conformance.conformance(load(GOOD.replace("@dataclass(frozen=True)\n", "")))}
    assert "not a frozen dataclass" in checks["class"].sentence


def test_wrong_declarations_end_the_checks(load):
    checks = list(conformance.conformance(load(GOOD.replace('"weight²"', '""'))))
    assert checks[-1].name == "declarations"


def test_without_a_bibliography_keys_are_not_resolved(load):
    checks = {c.name: c for c in conformance.conformance(load(GOOD.replace("@golub2013", "@nobody1900")))}
    assert checks["references"].ok


@pytest.mark.parametrize(
    "source, words",
    [
        ("import nothing_of_that_name\n", "cannot be imported: ModuleNotFoundError"),
        ("def broken(:\n", "cannot be imported: SyntaxError"),
        ("1 / undefined\n", "cannot be imported: NameError"),
        (
            "from gedanken.instruments.spectrum.stable_rank import StableRank\n",
            "exactly one instrument, and defines none",
        ),
        (
            GOOD + GOOD.partition('"""\n\nfrom')[2].join(["\nfrom", ""]).replace("MeanEnergy", "Other"),
            "MeanEnergy, Other",
        ),
    ],
)
def test_a_file_that_defines_no_instrument(load, source, words):
    with pytest.raises(Failure, match=words):
        load(source)


def test_a_file_that_does_not_exist(tmp_path):
    with pytest.raises(Failure, match="there is no file"):
        catalogue.load_file(tmp_path / "nowhere.py")


def test_a_loaded_file_replaces_no_module_of_ours(tmp_path):
    path = tmp_path / "stable_rank.py"
    path.write_text(GOOD, encoding="utf-8")
    loaded = catalogue.load_file(path)
    assert loaded.name() == "stable_rank"
    assert catalogue.get("stable_rank") is not loaded
