"""Panels of attention: which curves stand beside which, and that points are named after their approximations."""

import numpy as np
import pytest
import torch
import transformers as tf

from gedanken.captures.attention.approximated import APPROXIMATIONS
from gedanken.experiment.scan import scan
from gedanken.measurements.store import Lab
from gedanken.report.build import build
from gedanken.report.data import collect
from gedanken.report.panels import approximations, panels

SHAPE = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        model = tf.LlamaForCausalLM(tf.LlamaConfig(**SHAPE, num_key_value_heads=2, initializer_range=0.5)).eval()
    made = Lab(tmp_path_factory.mktemp("lab"))
    rows = np.random.default_rng(0).integers(3, 50, (6, 10))
    scan(model, made, text=rows, run_name="tiny", instruments=["temperature_curves", "approximation_rank", "sink_mass"])
    return made


def test_measured_curves_stand_beside_two_levels(lab):
    data = collect(lab)
    made = {panel.id: panel for panel in panels(data)}
    of_two = {
        f"temperature_{name}": f"two_levels_{name}" for name in ("heat_capacity", "entropy", "energy", "free_energy")
    }
    assert made["temperature"].rivals == of_two
    assert set(of_two) < set(made["temperature"].quantities) and not set(of_two.values()) & set(
        made["temperature"].quantities
    )
    # what is drawn beside another is not offered once more among the other curves
    assert "curves" not in made
    assert made["approximations"].quantities[0] == "approximation_loss_by_excess_free_energy"
    assert made["heads"].quantities == ("sink_mass",)


def test_points_are_named_in_the_order_they_are_measured():
    kinds = [approximation.kind for approximation in APPROXIMATIONS]
    assert kinds == [kind for kind in approximations.KINDS for _ in range(approximations.STRENGTHS)]


def test_the_page_is_made(lab, tmp_path):
    page = build(lab, tmp_path / "report.html")
    text = page.read_text(encoding="utf-8")
    assert "two_levels_heat_capacity" in text and "Approximated attention" in text
