"""Files of the tests: real weights shipped in installable packages, and small ones with known content."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def real_file():
    """real_file(package, path inside it) → path; skips where the package is not installed."""

    def locate(package: str, relative: str) -> Path:
        try:
            return Path(distribution(package).locate_file(relative))
        except PackageNotFoundError:
            pytest.skip(f"the package {package}, which ships {relative}, is not installed")

    return locate
