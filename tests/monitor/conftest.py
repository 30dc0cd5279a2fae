import importlib.util
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")


@pytest.fixture(scope="session")
def models():
    """The small GPT and its loop."""
    spec = importlib.util.spec_from_file_location("monitored_models", Path(__file__).with_name("models.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["monitored_models"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small(models):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.Small()
