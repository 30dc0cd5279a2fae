"""Shapes are types: the annotations of every numeric module are checked while the tests run."""

import sys
from types import ModuleType

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# The hook takes its checker by name; ours lets an int pass for a float, as PEP 484 does.
checker = ModuleType("shape_checker")
checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))
sys.modules["shape_checker"] = checker
NUMERIC = ["gedanken.kinds", "gedanken.theory", "gedanken.captures", "gedanken.instruments"]
install_import_hook(NUMERIC, "shape_checker.check")
