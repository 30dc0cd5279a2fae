"""The made-up lab, once a session."""

import importlib.util
import sys
from pathlib import Path

import pytest


def load_synthetic():
    spec = importlib.util.spec_from_file_location("synthetic", Path(__file__).parents[1] / "report" / "synthetic.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["synthetic"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def synthetic():
    return load_synthetic()


@pytest.fixture(scope="session")
def lab(synthetic):
    return synthetic.lab()
