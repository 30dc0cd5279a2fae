"""The panels of the report, in the order of the page."""

from gedanken.report.data import Data
from gedanken.report.panels import (
    approximations,
    asymmetry,
    bridge,
    circle,
    compare,
    critical_depths,
    curves,
    density,
    depth,
    embedding,
    gradient,
    growth,
    heads,
    heatmap,
    importance,
    packing,
    phases,
    pruning,
    relations,
    sparsity_parts,
    spectra,
    sphere,
    staircase,
    steps,
    temperature,
    timescales,
    unusual,
    wave,
)
from gedanken.report.panels.base import Panel


def panels(data: Data) -> list[Panel]:
    """The panels that have something to show."""
    made = [
        module.panel(data)
        for module in (
            unusual,
            depth,
            heatmap,
            heads,
            temperature,
            approximations,
            spectra,
            density,
            embedding,
            relations,
            steps,
            compare,
        )
    ]
    of_curves = [panel for panel in made if panel.table == "curves"]
    shown = {quantity for panel in of_curves for quantity in (*panel.quantities, *panel.rivals.values())}
    made.insert(10, curves.panel(data, shown))
    made = [module.panel(data) for module in (circle, sphere, growth, staircase, phases, bridge, packing)] + made
    made = [module.panel(data) for module in (sparsity_parts, critical_depths)] + made
    made = [module.panel(data) for module in (wave, gradient, asymmetry, timescales, importance, pruning)] + made
    stepped = data.values["step"].n_unique() > 1
    several = len(data.runs) > 1
    return [p for p in made if p.quantities and (stepped or not p.stepped) and (several or not p.across_runs)]
