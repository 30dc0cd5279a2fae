"""Products of weights: the spectra of W_QK, W_OV and W_UE equal those of the dense products, head by head."""

import json

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from gedanken.captures import weights
from gedanken.captures.reduce import reduced
from gedanken.experiment.scan import scan
from gedanken.kinds import Kind
from gedanken.measurements.store import Lab
from gedanken.sources.base import Snapshot
from gedanken.sources.checkpoints import Checkpoint
from gedanken.sources.tensor_files.arrays import Arrays

D, HEADS, KV, HEAD, V = 24, 6, 2, 4, 50
CONFIG = {
    "model_type": "llama",
    "hidden_size": D,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV,
    "head_dim": HEAD,
}
SHAPES = {"q": (HEADS * HEAD, D), "k": (KV * HEAD, D), "v": (KV * HEAD, D), "o": (D, HEADS * HEAD)}


@pytest.fixture(params=["tied", "untied"])
def tensors(request):
    rng = np.random.default_rng(0)
    found = {f"model.layers.0.self_attn.{p}_proj.weight": rng.standard_normal(shape) for p, shape in SHAPES.items()}
    found["model.embed_tokens.weight"] = rng.standard_normal((V, D))
    if request.param == "untied":
        found["lm_head.weight"] = rng.standard_normal((V, D))
    return found


def captures(tensors, *products):
    checkpoint = Checkpoint.of(Arrays(tensors, "toy"), CONFIG)
    found = weights.captures(Snapshot("toy", checkpoint, "f"), products)
    return {str(capture.site): capture for capture in found}


def spectrum(capture):
    return reduced(capture.read(), Kind.spectrum).singular_values


def dense(matrix):
    return np.linalg.svd(matrix, compute_uv=False)


def test_query_key_and_output_value_products_per_head_with_shared_keys(tensors):
    found = captures(tensors, "W_QK", "W_OV")
    q, k, v, o = (tensors[f"model.layers.0.self_attn.{p}_proj.weight"] for p in "qkvo")
    for head in range(HEADS):
        own, shared = slice(HEAD * head, HEAD * (head + 1)), slice(HEAD * (head // 3), HEAD * (head // 3 + 1))
        qk, ov = (found[f"layers.0.attn.{part}.heads.{head}"] for part in ("W_QK", "W_OV"))
        assert (qk.rows, qk.cols, qk.rank_bound) == (ov.rows, ov.cols, ov.rank_bound) == (D, D, HEAD)
        assert np.allclose(spectrum(qk), dense(q[own].T @ k[shared])[:HEAD], rtol=1e-10)
        assert np.allclose(spectrum(ov), dense(o[:, own] @ v[shared])[:HEAD], rtol=1e-10)


def test_embedding_to_logits(tensors):
    found = captures(tensors, "W_UE")["unembed.W_UE"]
    embedding = tensors["model.embed_tokens.weight"]
    unembedding = tensors.get("lm_head.weight", embedding)
    assert (found.rows, found.cols, found.rank_bound) == (V, V, D)
    assert np.allclose(spectrum(found), dense(unembedding @ embedding.T)[:D], rtol=1e-9)


def test_products_do_not_depend_on_the_basis_of_a_head(tensors):
    """W_Q → A W_Q, W_K → A⁻ᵀ W_K within a head changes both matrices and not their product."""
    before = captures(tensors, "W_QK")["layers.0.attn.W_QK.heads.0"]
    turned = dict(tensors)
    basis = np.random.default_rng(1).standard_normal((HEAD, HEAD)) + 3 * np.eye(HEAD)
    q, k = (tensors[f"model.layers.0.self_attn.{p}_proj.weight"].copy() for p in "qk")
    q[:HEAD], k[:HEAD] = basis @ q[:HEAD], np.linalg.inv(basis).T @ k[:HEAD]
    turned |= {"model.layers.0.self_attn.q_proj.weight": q, "model.layers.0.self_attn.k_proj.weight": k}
    after = captures(turned, "W_QK")["layers.0.attn.W_QK.heads.0"]
    assert np.allclose(spectrum(before), spectrum(after), rtol=1e-10)


def test_without_head_counts_there_are_no_products(tensors):
    found = captures({name: t for name, t in tensors.items() if "self_attn" not in name}, "W_QK", "W_OV")
    assert not any("heads" in site for site in found)


def test_two_tables_share_the_directions_where_they_are_not_tied(tensors):
    capture = captures(tensors)["embed.W_E"]
    moments = reduced(capture.read(), Kind.moments, "unit", capture.notes)
    assert moments.tables == (2 if "lm_head.weight" in tensors else 1)


def test_the_union_of_both_tables_has_the_moments_of_both(tensors):
    found = captures(tensors, "W_EU")
    if "lm_head.weight" not in tensors:
        assert "embed.W_EU" not in found
        return
    union = reduced(found["embed.W_EU"].read(), Kind.moments, "unit", found["embed.W_EU"].notes)
    one, two = (reduced(found[site].read(), Kind.moments, "unit") for site in ("embed.W_E", "unembed.W_U"))
    assert union.n == 2 * V and union.tables == 1
    assert np.allclose(union.second, one.second + two.second, atol=1e-12)


def test_every_kind_is_offered_only_where_it_means_something(tensors):
    found = captures(tensors, "W_QK")
    assert Kind.moments in found["embed.W_E"].kinds and Kind.matrix in found["embed.W_E"].kinds
    assert Kind.moments not in found["layers.0.attn.W_Q"].kinds
    assert found["layers.0.attn.W_QK.heads.0"].kinds == {Kind.spectrum}


def test_products_of_random_factors_lie_in_the_null_of_products(tmp_path):
    """The Gaussian twin of a product is a product of Gaussian factors, whose stable rank is far from a full matrix's."""
    rng = np.random.default_rng(3)
    tensors = {
        f"model.layers.{i}.self_attn.{p}_proj.weight": rng.standard_normal(SHAPES[p]) for i in range(5) for p in "qkvo"
    }
    (tmp_path / "model").mkdir()
    save_file(tensors, tmp_path / "model" / "model.safetensors")
    (tmp_path / "model" / "config.json").write_text(json.dumps(CONFIG))
    lab = Lab(tmp_path / "lab")
    scan(str(tmp_path / "model"), lab, products=["W_QK"], sites=["*.W_QK.*"], instruments=["stable_rank"])
    p = lab.nulls.filter(pl.col("variable") == "stable_rank").collect()["p"]
    # Binomial(30, 0.1): more than nine below 0.1 has probability 5e-4.
    assert p.len() == 30 and (p <= 0.1).sum() <= 9
