"""The catalogue of instruments. The folder is the registry: one file, one instrument, found under its file name.

Listing names imports nothing; an instrument's module is imported when it is first asked for. Other packages add theirs
through the entry-point group `gedanken.instruments`, where the name of the entry point is that of the module's file.
"""

import difflib
import importlib
import importlib.util
import pkgutil
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from gedanken import instruments
from gedanken.instruments.base import Instrument, Variable
from gedanken.kinds import Kind
from gedanken.status import Failure

GROUP = "gedanken.instruments"
LIST_COMMAND = "gedanken instruments list"


@cache
def _modules() -> dict[str, str | EntryPoint]:
    """Instrument name → where it is: a module of ours, or another package's entry point."""
    found: dict[str, str | EntryPoint] = {}
    for folder in pkgutil.iter_modules(instruments.__path__):
        if folder.ispkg:
            package = f"{instruments.__name__}.{folder.name}"
            path = [str(Path(root) / folder.name) for root in instruments.__path__]
            for module in pkgutil.iter_modules(path):
                if not module.name.startswith("_"):
                    found[module.name] = f"{package}.{module.name}"
    for entry in entry_points(group=GROUP):
        if entry.name in found:
            raise Failure(
                f"two instruments are called {entry.name}: {found[entry.name]} and {entry.value}",
                "uninstall one of the packages",
            )
        found[entry.name] = entry
    return found


def names() -> tuple[str, ...]:
    """The names of all instruments, in alphabetical order. Imports none of them."""
    return tuple(sorted(_modules()))


@cache
def get(name: str) -> type[Instrument]:
    """The instrument called `name`. Raises Failure, with the nearest name, if there is none."""
    place = _modules().get(name)
    if place is None:
        raise _unknown(name, names(), "instrument")
    return _the_instrument(importlib.import_module(place)) if isinstance(place, str) else place.load()


def of_kind(kind: Kind) -> tuple[type[Instrument], ...]:
    """All instruments that read `kind`, by name."""
    return tuple(found for found in map(get, names()) if found.reads == kind)


@cache
def variables() -> dict[str, tuple[type[Instrument], Variable]]:
    """Variable name → its instrument and declaration. Raises Failure if two instruments report one variable."""
    found: dict[str, tuple[type[Instrument], Variable]] = {}
    for instrument in map(get, names()):
        for variable in instrument.variables:
            if variable.name in found:
                raise Failure(
                    f"variable {variable.name} is reported by both {found[variable.name][0].name()} and "
                    f"{instrument.name()}"
                )
            found[variable.name] = instrument, variable
    return found


def of_variable(name: str) -> tuple[type[Instrument], Variable]:
    """The instrument that reports variable `name` (or has it as an alias), and its declaration.

    Raises Failure, with the nearest name, if there is none.
    """
    known = variables()
    by_alias = {alias: entry for entry in known.values() for alias in entry[1].aliases}
    entry = known.get(name) or by_alias.get(name)
    if entry is None:
        raise _unknown(name, (*known, *by_alias), "variable")
    return entry


def load_file(path: str | Path) -> type[Instrument]:
    """The instrument that a Python file defines. The file is executed: only load what you have read.

    Raises Failure if there is no such file, it does not import, or it does not define exactly one instrument.
    """
    path = Path(path)
    if not path.is_file():
        raise Failure(f"there is no file {path}")
    # Under a name of its own, so that it can neither shadow nor replace a module of ours.
    name = f"gedanken_instrument_files.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Failure(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError, NameError, TypeError, ValueError, AttributeError) as error:
        del sys.modules[name]
        raise Failure(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return _the_instrument(module)


def _the_instrument(module: ModuleType) -> type[Instrument]:
    """The one instrument class defined in a module (not those it imports). Raises Failure if there is not exactly one."""
    found = [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Instrument) and thing.__module__ == module.__name__
    ]
    if len(found) != 1:
        listed = ", ".join(thing.__name__ for thing in found) or "none"
        raise Failure(f"{module.__name__} must define exactly one instrument, and defines {listed}")
    return found[0]


def _unknown(name: str, known: tuple[str, ...], what: str) -> Failure:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return Failure(f"there is no {what} called {name}{hint}", LIST_COMMAND)
