"""Panels of simulations: each exports as SVG from the lab that the page is built from, and the page holds them."""

import pytest

from gedanken.experiment import run
from gedanken.experiment.simulate import ensemble, particle_plan
from gedanken.measurements.store import Lab
from gedanken.report.build import render
from gedanken.report.export import export
from gedanken.sources.particles.simulation import Simulation
from gedanken.sources.particles.source import ParticleSource
from gedanken.status import Failure
from gedanken.studies import catalogue

PANELS = ("circle", "sphere", "growth", "staircase", "phases")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    found = Lab(tmp_path_factory.mktemp("lab"))
    circle = Simulation(run="circle", particles=80, attention="unnormalised", end=0.5, saves=12, tolerance=1e-5)
    sphere = Simulation(run="sphere", particles=60, dimension=3, end=4.0, saves=6, tolerance=1e-5)
    for simulation in (circle, sphere):
        run(ParticleSource(simulation), particle_plan(simulation), found, threads=1)
    ensemble(found, Simulation(run="many", particles=100, attention="unnormalised"), range(3))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("panel", "run_name"), [(panel, "sphere" if panel == "sphere" else "circle") for panel in PANELS]
)
def test_a_panel_exports_as_svg(lab, tmp_path, panel, run_name):
    for theme in ("light", "dark"):
        written = export(lab, panel, tmp_path / f"{panel}.svg", theme, run=run_name)
        text = written.read_text()
        assert text.startswith("<svg") and "NaN" not in text and "undefined" not in text
        assert text.count("<path") > (50 if panel in ("circle", "sphere") else 5)


def test_the_page_holds_every_panel(lab):
    page = render(lab)
    for panel in PANELS:
        assert f'id="{panel}"' in page


@pytest.mark.slow
def test_a_lab_of_ensembles_and_verdicts_alone_has_a_page(tmp_path):
    """What `gedanken study metastable_clustering` leaves in an empty lab."""
    alone = Lab(tmp_path)
    with pytest.raises(Failure, match="no measurements"):
        render(alone)
    for beta in (3.0, 5.0):
        wanted = Simulation(run=f"beta{beta:g}", particles=60, attention="unnormalised", inverse_temperature=beta)
        ensemble(alone, wanted, range(3))
    page = render(alone)
    assert 'id="phases"' in page and "of 6 members of 2 ensembles" in page
    assert 'id="refusals"' not in page and 'id="words"' not in page and "structureless" not in page
    study = catalogue.get("metastable_clustering")
    study.record(alone, study.judge(alone, claims=["MC18"]))
    page = render(alone)
    assert "<h1><span>Metastable clustering</span></h1>" in page and "ensembles of its own" in page
    text = export(alone, "phases", tmp_path / "phases.svg", "light").read_text()
    assert text.count("<path") > 5 and "NaN" not in text
