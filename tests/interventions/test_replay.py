"""Replay: blocks applied again give the model's own states; what is changed for a while is put back."""

import numpy as np
import pytest
import torch
import transformers as tf

from gedanken.interventions.replay import Replay
from gedanken.status import Failure

SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
POST = {
    "albert": lambda: tf.AlbertForMaskedLM(tf.AlbertConfig(**SMALL, embedding_size=8)),
    "bert": lambda: tf.BertForMaskedLM(tf.BertConfig(**SMALL)),
}
PRE = {
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**SMALL, num_key_value_heads=1, head_dim=8)),
    "gpt2": lambda: tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=50, n_embd=16, n_layer=3, n_head=2, n_positions=64)),
}
TOKENS = np.random.default_rng(0).integers(3, 50, 11)


def made(family: str) -> Replay:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        model = (POST | PRE)[family]()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return Replay(model.eval(), model.config.to_dict())


@pytest.mark.parametrize("family", [*POST, *PRE])
def test_a_replay_is_the_model(family):
    replay = made(family)
    states = replay.record(TOKENS)
    assert replay.norm == ("post" if family in POST else "pre")
    assert replay.causal(states[0]) == (family in PRE)
    hidden = replay.model(torch.from_numpy(TOKENS)[None], output_hidden_states=True).hidden_states
    for ours, theirs in zip(states[:3], hidden[:3], strict=True):  # transformers tells the last behind the final norm
        np.testing.assert_array_equal(ours, theirs[0].detach().numpy())
    points = states[0]
    for layer in range(3):
        points = replay.step(layer, points)
        np.testing.assert_array_equal(points, states[layer + 1])


@pytest.mark.parametrize("family", [*POST, *PRE])
def test_changes_last_for_a_while_only(family):
    replay = made(family)
    start = replay.record(TOKENS)[0]
    whole = replay.step(0, start)
    rng = np.random.default_rng(1)
    changes = [replay.without_mlp(), replay.uniform(), replay.without_biases(), replay.twin("rotated", rng),
               replay.twin("gaussian", rng), replay.symmetric()]  # fmt: skip
    for change in changes:
        with change:
            # llama has no biases, so nothing is taken from it
            same = np.array_equal(replay.step(0, start), whole)
            assert same == (family == "llama" and change is changes[2])
        np.testing.assert_array_equal(replay.step(0, start), whole)


def test_attention_alone_is_what_the_layer_computes():
    replay = made("llama")
    start = replay.record(TOKENS)[0]
    layer = replay.model.model.layers[0]
    rotary = replay.model.model.rotary_emb(torch.zeros(1, 11, 16), torch.arange(11)[None])
    hidden = torch.from_numpy(start).float()[None]
    mask = torch.full((11, 11), -torch.inf).triu(1)[None, None]
    added = layer.self_attn(layer.input_layernorm(hidden), rotary, attention_mask=mask)[0]
    with replay.without_mlp():
        # float32, sums of 16 terms of order one
        np.testing.assert_allclose(replay.step(0, start), (hidden + added)[0].detach().numpy(), atol=1e-5)


def test_uniform_attention_adds_the_mean_of_what_is_visible():
    replay = made("llama")
    start = replay.record(TOKENS)[0]
    layer = replay.model.model.layers[0]
    normed = layer.input_layernorm(torch.from_numpy(start).float())
    value = layer.self_attn.v_proj(normed).repeat(1, 2)  # one head of keys and values for two of queries
    mean = value.cumsum(dim=0) / torch.arange(1, 12)[:, None]
    with replay.without_mlp(), replay.uniform():
        moved = replay.step(0, start)
    np.testing.assert_allclose(moved - start, layer.self_attn.o_proj(mean).detach().numpy(), atol=1e-5)


def test_symmetric_scores_are_those_of_the_symmetric_matrix():
    """Without rotations and biases: attention with (B + Bᵀ)/2 of each head, B = W_QᵀW_K/√8."""
    replay = made("bert")
    start = replay.record(TOKENS)[0]
    attention = replay.model.bert.encoder.layer[0].attention
    x = torch.from_numpy(start).float()
    with replay.without_biases(), torch.no_grad():
        mixed = []
        for rows in (slice(0, 8), slice(8, 16)):
            B = attention.self.query.weight[rows].T @ attention.self.key.weight[rows] / 8**0.5
            pattern = (x @ (B + B.T) @ x.T / 2).softmax(dim=-1)
            mixed.append(pattern @ x @ attention.self.value.weight[rows].T)
        normed = attention.output.LayerNorm(x + torch.cat(mixed, dim=1) @ attention.output.dense.weight.T)
        wanted = replay.model.bert.encoder.layer[0].output.LayerNorm(normed)
        with replay.without_mlp(), replay.symmetric():
            # float32, sums of 16 terms of order one
            np.testing.assert_allclose(replay.step(0, start), wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize("kernel", ["eager", "sdpa"])
def test_symmetric_scores_with_rotations_shared_keys_and_a_mask(kernel):
    replay = made("llama")
    replay.model.set_attn_implementation(kernel)
    start = replay.record(TOKENS)[0]
    layer = replay.model.model.layers[0]
    x = layer.input_layernorm(torch.from_numpy(start).float())[None]
    cos, sin = replay.model.model.rotary_emb(x, torch.arange(11)[None])
    query, key, value = (
        projection(x).view(1, 11, -1, 8).transpose(1, 2)
        for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj)
    )
    query, key = tf.models.llama.modeling_llama.apply_rotary_pos_emb(query, key, cos, sin)
    scores = query @ key.transpose(2, 3) / 8**0.5  # one head of keys for two of queries
    scores = (scores + scores.transpose(2, 3)) / 2 + torch.full((11, 11), -torch.inf).triu(1)
    mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(1, 11, 16)
    with replay.without_mlp(), replay.symmetric():
        moved = replay.step(0, start)
    np.testing.assert_allclose(moved - start, layer.self_attn.o_proj(mixed)[0].detach().numpy(), atol=1e-5)


def test_scores_that_are_symmetric_stay_as_they_are():
    replay = made("albert")
    layer = replay.model.albert.encoder.albert_layer_groups[0].albert_layers[0].attention
    with torch.no_grad():
        layer.key.weight.copy_(layer.query.weight)
        layer.key.bias.copy_(layer.query.bias)
    start = replay.record(TOKENS)[0]
    whole = replay.step(0, start)
    with replay.symmetric():
        np.testing.assert_allclose(replay.step(0, start), whole, atol=1e-6)


def test_twins_keep_what_they_say():
    replay = made("bert")
    weight = replay.model.bert.encoder.layer[1].attention.self.query.weight
    before = torch.linalg.svdvals(weight.detach())
    with replay.twin("rotated", np.random.default_rng(0)):
        torch.testing.assert_close(torch.linalg.svdvals(weight.detach()), before, atol=1e-5, rtol=1e-5)
    with replay.twin("gaussian", np.random.default_rng(0)):
        assert float(weight.detach().norm()) == pytest.approx(float(before.norm()), rel=1e-5)


def test_gains_are_those_of_the_norm_before_attention():
    replay = made("gpt2")
    replay.record(TOKENS)
    stored = replay.model.transformer.h[2].ln_1.weight.detach().numpy()
    # the epsilon of the norm, 1e−5 beside a variance of one
    np.testing.assert_allclose(replay.gains[2], stored, rtol=1e-4, atol=1e-6)
    bert = made("bert")
    bert.record(TOKENS)
    assert bert.gains == [None] * 3


def test_a_shared_layer_goes_on_beyond_its_depth():
    replay = made("albert")
    points = replay.record(TOKENS)[-1]
    assert replay.shared and not replay.reusable and len(replay) == 3
    np.testing.assert_array_equal(replay.step(7, points), replay.step(0, points))


def test_two_stacks_are_a_sentence():
    model = tf.T5ForConditionalGeneration(
        tf.T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, decoder_start_token_id=0)
    )
    with pytest.raises(Failure, match="two stacks"):
        Replay(model, model.config.to_dict())
