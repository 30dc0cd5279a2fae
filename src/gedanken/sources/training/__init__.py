"""Training: a small GPT whose training run is a source of snapshots.

from gedanken.sources.training import TrainingSource, preset
for snapshot in TrainingSource(preset("cpu8", seed=0), every=25).snapshots(): …
"""

from importlib import import_module

_HOME = {"Recipe": "recipe", "preset": "presets", "TrainingSource": "source", "Trainer": "trainer", "GPT": "model"}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    """The names above when they are first used: the recipe needs no torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'gedanken.sources.training' has no attribute {name!r}")
    return getattr(import_module(f"gedanken.sources.training.{_HOME[name]}"), name)
