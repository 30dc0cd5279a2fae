"""Queries, keys and masks as seen from outside give the model's own attention weights, in every family."""

from functools import partial

import numpy as np
import pytest
import torch
import transformers as tf
from packaging.version import Version

from gedanken.captures.attention import AttentionObserver, Place, attentions, places_of
from gedanken.captures.attention.rows import pattern
from gedanken.captures.forward import Batch, outputs, run_forward
from gedanken.kinds import Attention
from gedanken.sources.prompts import Prompts
from gedanken.status import Refusal
from gedanken.theory.row_sums import MODEL

SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}
GROUPED = SMALL | {"num_key_value_heads": 2, "head_dim": 6}
DECODER = {"n_embd": 16, "n_layer": 2, "n_head": 4, "vocab_size": 50}
POSITIONS = {"max_position_embeddings": 32}

MODELS = {
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**GROUPED)),
    "gemma2": lambda: tf.Gemma2ForCausalLM(
        tf.Gemma2Config(**GROUPED, sliding_window=4, attn_logit_softcapping=2.0, query_pre_attn_scalar=5)
    ),
    "qwen3": lambda: tf.Qwen3ForCausalLM(tf.Qwen3Config(**GROUPED)),
    "mistral": lambda: tf.MistralForCausalLM(tf.MistralConfig(**GROUPED, sliding_window=3)),
    "gpt_oss": lambda: tf.GptOssForCausalLM(tf.GptOssConfig(**GROUPED, num_local_experts=2, num_experts_per_tok=1)),
    "neox": lambda: tf.GPTNeoXForCausalLM(tf.GPTNeoXConfig(**SMALL, rotary_pct=0.5)),
    "gpt2": lambda: tf.GPT2LMHeadModel(tf.GPT2Config(**DECODER, n_positions=32, scale_attn_by_inverse_layer_idx=True)),
    "bert": lambda: tf.BertForMaskedLM(tf.BertConfig(**SMALL)),
    "albert": lambda: tf.AlbertForMaskedLM(tf.AlbertConfig(**SMALL, embedding_size=8)),
    "t5": lambda: tf.T5ForConditionalGeneration(
        tf.T5Config(vocab_size=50, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=4, decoder_start_token_id=0)
    ),
    "bart": lambda: tf.BartForConditionalGeneration(
        tf.BartConfig(
            vocab_size=50, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
            decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=24, **POSITIONS,
        )
    ),
    "bloom": lambda: tf.BloomForCausalLM(tf.BloomConfig(vocab_size=50, hidden_size=16, n_layer=2, n_head=4)),
    "mpt": lambda: tf.MptForCausalLM(tf.MptConfig(vocab_size=50, d_model=16, n_layers=2, n_heads=4)),
    "gptj": lambda: tf.GPTJForCausalLM(tf.GPTJConfig(**DECODER, rotary_dim=2, n_positions=32)),
}  # fmt: skip

ONLY_LOGITS = {"bloom", "mpt"} | ({"gptj"} if Version(tf.__version__) < Version("5.24") else set())
"""Families that use no common attention function: their logits are seen at the softmax. GPT-J has used it since 5.24."""


def made(family: str, implementation: str) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        model = MODELS[family]()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    if family not in ONLY_LOGITS:
        model.set_attn_implementation(implementation)
    return model.eval()


def padded(side: str) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.from_numpy(np.random.default_rng(1).integers(3, 50, (2, 9)))
    mask = torch.ones(2, 9, dtype=torch.bool)
    if side == "right":
        mask[0, 6:] = False
    if side == "left":
        mask[0, :3] = False
    return tokens, mask


def own_weights(model, tokens, mask) -> dict[tuple[str | None, str], tuple]:
    with torch.no_grad():
        model.forward = partial(model.forward, output_attentions=True)
        found = outputs(model, tokens, mask)
    if "encoder_attentions" in found:
        return {
            ("encoder", "attn"): found.encoder_attentions,
            ("decoder", "attn"): found.decoder_attentions,
            ("decoder", "cross_attn"): found.cross_attentions,
        }
    return {(None, "attn"): found.attentions}


@pytest.mark.parametrize("side", ["none", "right", "left"])
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("family", [name for name in MODELS if name not in ONLY_LOGITS])
def test_patterns_are_the_models_own(family, implementation, side):
    if implementation == "sdpa" and family in ("gemma2", "gpt_oss"):
        pytest.skip("its soft cap or sinks have no such kernel")
    tokens, mask = padded(side)
    model = made(family, implementation)
    found = attentions(model, model.config.to_dict(), tokens, mask)
    weights = own_weights(made(family, "eager"), tokens, mask)
    assert len(found) == sum(len(layers) * 4 for layers in weights.values())
    for site, attention in found.items():
        assert isinstance(attention, Attention), attention
        expected = weights[site.stack, site.block][site.layer][0, site.head][mask[0]].numpy()
        # single precision on both sides, of logits of some tens: 50 · 6e-8, in p and in its sum
        np.testing.assert_allclose(pattern(attention), expected, atol=6e-6)


def observed(model, tokens, mask) -> AttentionObserver:
    observer = AttentionObserver(places_of(model, model.config.to_dict()))
    prompts = Prompts.given([row[kept].numpy() for row, kept in zip(tokens, mask, strict=True)] * 2)
    run_forward(model, prompts, [observer])
    return observer


@pytest.mark.parametrize("family", sorted(MODELS))
def test_ensembles_are_those_of_the_models_own_weights(family):
    """S, C and sink mass of every head from output_attentions, by the definitions."""
    tokens, mask = padded("right")
    model = made(family, "eager")
    captures = observed(model, tokens, mask).captures()
    weights = own_weights(made(family, "eager"), tokens, mask)
    assert len(captures) == sum(len(layers) * 4 for layers in weights.values())
    for capture in captures:
        site, ensemble = capture.site, capture.read()
        p = weights[site.stack, site.block][site.layer][:, site.head][mask].double().numpy()
        if family == "gpt_oss":
            p = np.concatenate([p, 1 - p.sum(axis=1, keepdims=True)], axis=1)
        several = (p > 0).sum(axis=1) > 1
        assert ensemble.counts["rows"].sum() == several.sum()
        log = np.log(np.where(p > 0, p, 1.0))
        entropy = -np.sum(p * log, axis=1)
        capacity = np.sum(p * (log + entropy[:, None]) ** 2, axis=1)
        # p in single precision: relative errors of 1e-7 in each of a few terms of order one
        np.testing.assert_allclose(ensemble.sums["entropy"][:, MODEL].sum(), entropy[several].sum(), atol=2e-5)
        np.testing.assert_allclose(ensemble.sums["heat_capacity"][:, MODEL].sum(), capacity[several].sum(), atol=5e-5)
        assert (
            bool(ensemble.no_dipoles) == (family in ("gemma2", "gpt_oss", "t5", *ONLY_LOGITS)) or "cross" in site.block
        )


@pytest.mark.parametrize("family", sorted(MODELS))
def test_watching_leaves_outputs_bit_identical(family):
    tokens, mask = padded("right")
    model = made(family, "eager")
    with torch.no_grad():
        before = outputs(model, tokens, mask).logits
        observer = AttentionObserver(places_of(model, model.config.to_dict()))
        observer.attach(model)
        during = outputs(model, tokens, mask).logits
        observer.detach()
        after = outputs(model, tokens, mask).logits
    assert torch.equal(before, during) and torch.equal(before, after)


@pytest.mark.parametrize("family", sorted(ONLY_LOGITS))
def test_logits_seen_at_the_softmax_refuse_queries_and_keys(family):
    tokens, mask = padded("right")
    model = made(family, "eager")
    found = attentions(model, model.config.to_dict(), tokens, mask)
    assert len(found) == 8 and all(isinstance(value, Refusal) for value in found.values())


def test_a_layer_without_attention_is_refused_and_the_rest_measured():
    place = Place(None, None, 1, "attn", None)
    model = made("llama", "sdpa")
    tokens, mask = padded("none")
    observer = AttentionObserver([*places_of(model, model.config.to_dict()), place])
    observer.attach(model)
    with torch.no_grad():
        output = outputs(model, tokens, mask)
    observer.batch(Batch(tokens, mask, np.arange(2), "report", output))
    observer.detach()
    *seen, unseen = observer.captures()
    assert str(unseen.site) == "layers.1.attn.attention_pattern"
    with pytest.raises(Refusal, match="no softmax attention"):
        unseen.read()
    assert all(capture.read().counts["rows"].sum() == 16 for capture in seen)


def test_attention_of_our_own_models_is_seen_at_the_kernel():
    class Attention(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.heads = 2
            for name in ("W_Q", "W_K", "W_V", "W_O"):
                setattr(self, name, torch.nn.Linear(8, 8, bias=False))

        def forward(self, x):
            q, k, v = (W(x).view(2, 9, 2, 4).transpose(1, 2) for W in (self.W_Q, self.W_K, self.W_V))
            mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.W_O(mixed.transpose(1, 2).reshape(2, 9, 8))

    model = Attention()
    observer = AttentionObserver([Place("", None, 0, "attn", 2)])
    observer.attach(model)
    x = torch.randn(2, 9, 8)
    with torch.no_grad():
        output = model(x)
    observer.batch(Batch(x, torch.ones(2, 9, dtype=torch.bool), np.arange(2), "report", output))
    observer.detach()
    for capture in observer.captures():
        ensemble = capture.read()
        assert ensemble.counts["rows"].sum() == 16 and ensemble.temperature == 2.0 and not ensemble.no_dipoles


def test_a_logit_that_is_nan_refuses_its_head_module():
    model = made("llama", "sdpa")
    with torch.no_grad():
        model.model.layers[1].self_attn.q_proj.weight[0, 0] = torch.nan
    captures = observed(model, *padded("none")).captures()
    for capture in captures:
        if capture.site.layer == 0:
            assert capture.read().counts["rows"].sum() == 16
        else:
            with pytest.raises(Refusal, match="NaN"):
                capture.read()
