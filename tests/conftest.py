"""Shapes are types: the annotations of every numeric module are checked while the tests run. And one made-up lab."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# The hook takes its checker by name; ours lets an int pass for a float, as PEP 484 does.
checker = ModuleType("shape_checker")
checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))
sys.modules["shape_checker"] = checker
NUMERIC = ["gedanken.kinds", "gedanken.theory", "gedanken.captures", "gedanken.instruments"]
install_import_hook(NUMERIC, "shape_checker.check")


@pytest.fixture(scope="session")
def synthetic():
    """The module that makes the lab up: two models and a ladder, in a moment."""
    spec = importlib.util.spec_from_file_location("synthetic", Path(__file__).parent / "report" / "synthetic.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["synthetic"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def lab(synthetic):
    return synthetic.lab()
