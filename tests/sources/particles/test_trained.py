"""Attention taken from a trained ALBERT, against the layer as torch computes it."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from gedanken.sources.models import open_checkpoint
from gedanken.sources.particles import layers, pairwise
from gedanken.sources.particles.flow import Flow, normalised
from gedanken.sources.particles.trained import identity_twin, trained_attention
from gedanken.status import Failure

SPEC = importlib.util.find_spec("rxnmapper")
pytestmark = pytest.mark.skipif(SPEC is None, reason="the package rxnmapper, whose weights are read, is not installed")


@pytest.fixture(scope="module")
def checkpoint():
    return open_checkpoint(next(Path(SPEC.origin).parent.rglob("albert*") if SPEC else iter(())))


def test_heads_equal_multi_head_attention(checkpoint):
    interaction = trained_attention(checkpoint, 0)
    heads, inner, d = interaction.W_Q.shape
    x = normalised(np.random.default_rng(0).standard_normal((30, d)))
    whole = {p.site.part: np.float64(checkpoint.read(p)) for p in checkpoint.pieces if p.site.block == "attn"}
    tokens = np.sqrt(d) * x  # what a layer sees
    q, k, v = ((tokens @ whole[name].T).reshape(30, heads, inner) for name in ("W_Q", "W_K", "W_V"))
    scores = np.einsum("ihc,jhc->hij", q, k) / np.sqrt(inner)
    pattern = np.exp(scores - scores.max(axis=2, keepdims=True))
    pattern /= pattern.sum(axis=2, keepdims=True)
    wanted = np.einsum("hij,jhc->ihc", pattern, v).reshape(30, -1) @ whole["W_O"].T / np.sqrt(d)
    assert np.abs(pairwise.attention(interaction, x) - wanted).max() < 1e-12
    assert np.abs(Flow(interaction, d).attention(x) - wanted).max() < 1e-12


def test_shared_layer_can_be_iterated_far_beyond_its_depth(checkpoint):
    interaction = trained_attention(checkpoint, 0)
    flow = Flow(interaction, interaction.dimension)
    x = normalised(np.random.default_rng(1).standard_normal((20, interaction.dimension)))
    for _ in range(60):
        x = layers.post_norm(flow, x, 1.0)
    assert np.isfinite(x).all()
    # Attention alone collapses: all tokens end in one direction.
    assert (x @ x.T).mean() > 0.99


def test_identity_twin_keeps_the_trace(checkpoint):
    interaction = trained_attention(checkpoint, 0)
    twin = identity_twin(interaction, 3.0)
    assert twin.W_Q is None
    assert np.trace(twin.W_V[0]) == pytest.approx(np.trace(interaction.W_V.sum(axis=0)))


def test_missing_layer_is_a_sentence(checkpoint):
    with pytest.raises(Failure, match="has no layers.99.attn.W_Q"):
        trained_attention(checkpoint, 99)
