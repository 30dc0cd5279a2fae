"""Presets: one name from which a recipe follows. Sizes and rates are those of the lifecycle study.

The published runs [@liu2026lifecycle] state the depths, the vocabulary of 8192, the 10,000 steps and 30 to 285 million
parameters; widths, rates, contexts and the recipe are ours. Their batch is not known: 64 sequences of 512 tokens.
D16 with `style=llama tied=false` has the published 285,212,672 parameters in its matrices; with D8 as it stands the
29,360,128 of the smallest.
"""

import difflib
from typing import Any

from gedanken.sources.training.controls import controlled
from gedanken.sources.training.recipe import Recipe, recipe
from gedanken.status import Failure

_CPU = {"vocabulary": 2048, "context": 128, "batch": 8, "learning_rate": 1e-3, "warmup": 100, "steps": 1000}
_GPU = {
    "vocabulary": 8192, "context": 512, "batch": 64, "warmup": 300, "steps": 10_000, "text_limit": 1 << 33,
    "device": "cuda", "precision": "bfloat16", "compile": True,
}  # fmt: skip

PRESETS: dict[str, dict[str, Any]] = {
    "cpu8": {"layers": 8, "width": 128, "heads": 4, **_CPU},
    "cpu12": {"layers": 12, "width": 160, "heads": 4, **_CPU},
    "cpu16": {"layers": 16, "width": 192, "heads": 4, **_CPU},
    "D8": {"layers": 8, "width": 512, "heads": 8, "learning_rate": 6e-4, **_GPU},
    "D12": {"layers": 12, "width": 768, "heads": 12, "learning_rate": 4e-4, **_GPU},
    "D16": {"layers": 16, "width": 1024, "heads": 16, "learning_rate": 3e-4, **_GPU},
    "depth-ladder": {"width": 128, "heads": 4, **_CPU},
    "smoke": {
        "layers": 4, "width": 64, "heads": 4, "vocabulary": 256, "tokens": "bytes", "context": 64, "batch": 8,
        "learning_rate": 1e-3, "warmup": 20, "steps": 100, "text_limit": 1 << 20,
    },
}  # fmt: skip

LADDER = (6, 8, 12, 16, 24, 32)
"""Depths of `depth-ladder`: the width stays, so that depth alone changes."""


def preset(name: str, **fields: Any) -> Recipe:
    """The recipe of a preset, with fields replaced, and its control applied.

    Raises Failure for an unknown preset or field, an impossible value, or a `depth-ladder` without its `layers`.
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.3)
        raise Failure(
            f"There is no preset {name!r}; there are {', '.join(PRESETS)}.", f"--preset {near[0]}" if near else ""
        )
    if name == "depth-ladder" and "layers" not in fields:
        raise Failure(
            f"depth-ladder is a family of depths; name one of {', '.join(map(str, LADDER))}.", "--set layers=12"
        )
    return controlled(recipe({"preset": name} | PRESETS[name] | fields))
