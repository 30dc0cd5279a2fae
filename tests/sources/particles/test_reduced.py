"""A layer in a few numbers: closed forms where B and V are known."""

import numpy as np
import pytest

from gedanken.sources.particles import pairwise
from gedanken.sources.particles.flow import normalised
from gedanken.sources.particles.interaction import Interaction
from gedanken.sources.particles.reduced import layer_facts, scalar_twin, with_gains

D = 6


def test_scalar_matrices_give_one_beta_three_times():
    # scores are d · u_i (2.5/d) u_j
    seen = Interaction(float(D), W_Q=np.eye(D)[None] * 2.5 / D, W_K=np.eye(D)[None], W_V=-0.3 * np.eye(D)[None])
    facts = layer_facts(seen).at(D)
    assert (facts.identity, facts.spectral, facts.logit) == pytest.approx((2.5,) * 3)
    assert (facts.value, facts.symmetric, facts.positive) == pytest.approx((-0.3, 1.0, 0.0))


def test_an_antisymmetric_form_has_no_identity_part():
    B = np.zeros((D, D))
    B[0, 1], B[1, 0] = 1.0, -1.0
    facts = layer_facts(
        Interaction(float(D), W_Q=np.eye(D)[None], W_K=B[None], W_V=np.diag([1.0, 1, 1, -1, -1, -1])[None])
    )
    assert (facts.identity, facts.spectral, facts.symmetric) == pytest.approx((0.0, 0.0, 0.0), abs=1e-15)
    assert facts.logit == pytest.approx(np.sqrt(2 / D))
    assert facts.positive == 0.5


def test_matched_logits_have_the_same_variance():
    rng = np.random.default_rng(0)
    seen = Interaction(4.0, W_Q=rng.standard_normal((1, 8, 64)), W_K=rng.standard_normal((1, 8, 64)),
                       W_V=np.eye(64)[None])  # fmt: skip
    x, y = (normalised(rng.standard_normal((20_000, 64))) for _ in range(2))
    scores = 4.0 * np.einsum("nd,nd->n", x @ seen.W_Q[0].T, y @ seen.W_K[0].T)
    plain = layer_facts(seen).at(64).logit * np.einsum("nd,nd->n", x, y)
    # the standard error of a variance of 20,000 normal numbers is 1 %
    assert plain.std() == pytest.approx(scores.std(), rel=0.03)


def test_a_negative_beta_turns_attention_round():
    x = normalised(np.random.default_rng(1).standard_normal((9, D)))
    seen = Interaction(1.0, causal=True, W_Q=np.eye(D)[None], W_K=np.eye(D)[None], W_V=np.eye(D)[None])
    found = pairwise.attention(scalar_twin(seen, -2.0), x)
    weights = np.where(np.tri(9, dtype=bool), np.exp(-2.0 * x @ x.T), 0.0)
    np.testing.assert_allclose(found, weights @ x / weights.sum(axis=1, keepdims=True), atol=1e-12)


def test_gains_go_into_what_reads():
    rng = np.random.default_rng(2)
    seen = Interaction(3.0, W_Q=rng.standard_normal((2, 3, D)), W_K=rng.standard_normal((2, 3, D)),
                       W_V=rng.standard_normal((2, D, D)))  # fmt: skip
    gain = rng.uniform(0.5, 2, D)
    folded = with_gains(seen, gain)
    x = normalised(rng.standard_normal((5, D)))
    np.testing.assert_allclose(
        pairwise.attention(folded, x), pairwise.attention(seen, x * gain), rtol=1e-10, atol=1e-12
    )
    assert with_gains(seen, None) is seen
