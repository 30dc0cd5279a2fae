"""The catalogue of studies: a folder here is a study, and its package says which (`STUDY`)."""

import difflib
import importlib
import pkgutil

from gedanken import studies
from gedanken.status import Failure
from gedanken.studies.base import Study


def names() -> tuple[str, ...]:
    """The names of all studies, in alphabetical order. Imports none of them."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(studies.__path__) if found.ispkg))


def get(name: str) -> Study:
    """The study called `name`. Raises Failure, with the nearest name, if there is none."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(names()) or 'none'}."
        raise Failure(f"There is no study called {name}{hint}", "gedanken study")
    return importlib.import_module(f"{studies.__name__}.{name}").STUDY
