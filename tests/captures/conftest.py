"""The tiny models of running_models.py, to be imported by the tests of this folder."""

import importlib.util
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("running_models", Path(__file__).parent / "running_models.py")
module = importlib.util.module_from_spec(spec)
sys.modules["running_models"] = module
spec.loader.exec_module(module)
