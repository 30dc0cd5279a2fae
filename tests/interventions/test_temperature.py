"""Heated attention: logits divided by τ, seen from outside; loss against τ."""

import numpy as np
import pytest
import torch
import transformers as tf

from gedanken.captures.attention import attentions
from gedanken.captures.attention.rows import logits
from gedanken.interventions.temperature import best_temperature, heated, loss_against_temperature
from gedanken.site import Site
from gedanken.status import Failure

TOKENS = torch.from_numpy(np.random.default_rng(0).integers(3, 50, (2, 9)))
MASK = torch.ones(2, 9, dtype=torch.bool)


def model(kind: str = "llama") -> torch.nn.Module:
    shape = {
        "vocab_size": 50,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 24,
    }
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        if kind == "albert":
            return tf.AlbertForMaskedLM(tf.AlbertConfig(**shape, embedding_size=8, initializer_range=0.5)).eval()
        if kind == "gemma2":
            return tf.Gemma2ForCausalLM(tf.Gemma2Config(**shape, num_key_value_heads=2, head_dim=4)).eval()
        if kind == "bloom":
            return tf.BloomForCausalLM(tf.BloomConfig(vocab_size=50, hidden_size=16, n_layer=2, n_head=4)).eval()
        return tf.LlamaForCausalLM(tf.LlamaConfig(**shape, num_key_value_heads=2, initializer_range=0.5)).eval()


def z_of(made) -> dict[Site, np.ndarray]:
    return {site: logits(found) for site, found in attentions(made, made.config.to_dict(), TOKENS, MASK).items()}


@pytest.mark.parametrize("kind", ["llama", "albert"])
def test_logits_of_the_first_layer_are_divided(kind):
    made = model(kind)
    before = z_of(made)
    with heated(made, 2.5, made.config.to_dict()):
        hot = z_of(made)
    for site, z in before.items():
        if site.layer == 0:
            np.testing.assert_allclose(hot[site], z / 2.5, rtol=1e-5, atol=1e-6)
    np.testing.assert_equal(z_of(made), before)


@pytest.mark.parametrize("kind", ["llama", "albert"])
def test_one_head_alone(kind):
    made, chosen = model(kind), Site("attn", "attention_pattern", 0, head=1)
    before = z_of(made)
    with heated(made, 0.5, made.config.to_dict(), [chosen]):
        hot = z_of(made)
    for head in range(4):
        site = Site("attn", "attention_pattern", 0, head=head)
        factor = 2.0 if head == 1 else 1.0
        np.testing.assert_allclose(hot[site], factor * before[site], rtol=1e-5, atol=1e-6)


def test_loss_is_the_models_own_at_one_and_changes_elsewhere():
    made = model()

    def loss(m):
        return m(input_ids=TOKENS, labels=TOKENS).loss.item()

    with torch.no_grad():
        own = loss(made)
    found = loss_against_temperature(made, loss, [0.5, 1.0, 2.0], made.config.to_dict())
    assert found[1] == own and abs(found[0] - own) > 1e-4 and abs(found[2] - own) > 1e-4


def test_the_best_temperature_is_the_vertex():
    tau = np.geomspace(0.25, 4, 9)
    np.testing.assert_allclose(best_temperature(tau, 3 + (np.log(tau) - 0.11) ** 2), np.exp(0.11), rtol=1e-10)
    with pytest.raises(Failure, match="end of the temperatures"):
        best_temperature(tau, tau)


@pytest.mark.parametrize(("kind", "sentence"), [("gemma2", "soft cap"), ("bloom", "do not pass")])
def test_attention_that_cannot_be_heated_fails_with_a_sentence(kind, sentence):
    made = model(kind)
    with pytest.raises(Failure, match=sentence), heated(made, 2.0, made.config.to_dict()), torch.no_grad():
        made(input_ids=TOKENS)


def test_bad_requests():
    made = model()
    with pytest.raises(Failure, match="above zero"), heated(made, 0.0, {}):
        pass
    unknown = Site("attn", "attention_pattern", 7, head=0)
    with pytest.raises(Failure, match="no attention head"), heated(made, 2.0, made.config.to_dict(), [unknown]):
        pass
