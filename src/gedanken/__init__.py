"""gedanken: a physics laboratory for transformers.

    import gedanken as gd
    lab = gd.Lab("lab")
    gd.scan("model-folder", lab)
    lab.measurements.collect()
    gd.report(lab, "report.html")

The names below are imported when first used, so that importing the package costs nothing.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "Lab": "gedanken.measurements.store",
    "Monitor": "gedanken.monitor",
    "Plan": "gedanken.experiment",
    "run": "gedanken.experiment",
    "measure": "gedanken.experiment",
    "scan": "gedanken.experiment.scan",
    "compare": "gedanken.experiment.scan",
    "open_model": "gedanken.sources.models",
    "report": "gedanken.report.build",
    "Site": "gedanken.site",
    "Failure": "gedanken.status",
    "Refusal": "gedanken.status",
}

_NAME_THERE = {"report": "build"}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'gedanken' has no attribute {name!r}")
    found = getattr(import_module(_HOME[name]), _NAME_THERE.get(name, name))
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
