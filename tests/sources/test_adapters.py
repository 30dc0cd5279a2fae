"""LoRA adapters: ΔW as factors, at the base model's sites, against the dense product."""

import json

import numpy as np
import pytest

from gedanken.kinds import Factors
from gedanken.sources.adapters import adapter
from gedanken.sources.models import open_model
from gedanken.sources.tensor_files.arrays import Arrays
from gedanken.status import Failure

LLAMA = {"model_type": "llama", "num_attention_heads": 2, "hidden_size": 6}
GPT2 = {"model_type": "gpt2", "n_head": 2, "n_embd": 6}


def factors(rng, module: str, out: int, into: int, rank: int = 2) -> dict[str, np.ndarray]:
    return {
        f"base_model.model.{module}.lora_A.weight": rng.normal(size=(rank, into)).astype(np.float32),
        f"base_model.model.{module}.lora_B.weight": rng.normal(size=(out, rank)).astype(np.float32),
    }


def dense(checkpoint) -> dict[str, np.ndarray]:
    found = {str(piece.site): (piece, checkpoint.read(piece)) for piece in checkpoint.pieces}
    assert all(isinstance(read, Factors) and piece.factored for piece, read in found.values())
    assert all(read.shape == (piece.rows, piece.cols) for piece, read in found.values())
    return {site: read.left @ read.right for site, (_, read) in found.items()}


@pytest.mark.parametrize(("rslora", "scale"), [(False, 16 / 2), (True, 16 / np.sqrt(2))])
def test_the_change_is_scale_times_b_times_a(rslora, scale):
    arrays = factors(np.random.default_rng(0), "model.layers.1.self_attn.q_proj", 6, 4)
    a, b = (array.astype(np.float64) for array in arrays.values())
    told = {"peft_type": "LORA", "lora_alpha": 16, "r": 2, "use_rslora": rslora}
    checkpoint = adapter(Arrays(arrays), told, LLAMA)
    changes = dense(checkpoint)
    np.testing.assert_allclose(changes["layers.1.attn.W_Q"], scale * b @ a, rtol=1e-14)
    assert checkpoint.pieces[0].notes == ("factors",)
    assert [skip.tensor for skip in checkpoint.skipped] == [next(iter(arrays))]


@pytest.mark.parametrize("flag", [True, False])
def test_a_fused_matrix_stored_in_by_out_gives_three_changes(flag):
    """B·A is out × in whatever is stored: W_Q's change is the first third of its rows; lm_head is a plain module."""
    rng = np.random.default_rng(0)
    arrays = factors(rng, "transformer.h.0.attn.c_attn", 18, 6) | factors(rng, "lm_head", 11, 6)
    a, b, head_a, head_b = arrays.values()
    told = {"peft_type": "LORA", "lora_alpha": 2, "fan_in_fan_out": flag}
    changes = dense(adapter(Arrays(arrays), told, GPT2))
    for i, part in enumerate(("W_Q", "W_K", "W_V")):
        np.testing.assert_allclose(changes[f"layers.0.attn.{part}"], (b @ a)[6 * i : 6 * i + 6], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(changes["unembed.W_U"], head_b @ head_a, rtol=1e-5, atol=1e-6)


def test_heads_that_lie_interleaved_are_cut_out_of_b():
    arrays = factors(np.random.default_rng(0), "gpt_neox.layers.0.attention.query_key_value", 12, 4)
    a, b = arrays.values()
    told, config = {"peft_type": "LORA", "lora_alpha": 2}, {"model_type": "gpt_neox", "num_attention_heads": 2}
    changes = dense(adapter(Arrays(arrays), told, config | {"hidden_size": 4}))
    expected = (b @ a).reshape(2, 3, 2, 4)[:, 1].reshape(4, 4)
    np.testing.assert_allclose(changes["layers.0.attn.W_K"], expected, rtol=1e-5, atol=1e-6)


def test_embeddings_dora_patterns_and_saved_modules():
    rng = np.random.default_rng(0)
    arrays = factors(rng, "model.layers.0.self_attn.v_proj", 6, 6) | {
        "base_model.model.model.embed_tokens.lora_embedding_A": rng.normal(size=(2, 11)),
        "base_model.model.model.embed_tokens.lora_embedding_B": rng.normal(size=(6, 2)),
        "base_model.model.model.layers.0.self_attn.v_proj.lora_magnitude_vector": rng.normal(size=6),
        "base_model.model.lm_head.modules_to_save.default.weight": rng.normal(size=(11, 6)),
    }
    told = {"peft_type": "LORA", "lora_alpha": 4, "alpha_pattern": {"v_proj": 1}}
    checkpoint = adapter(Arrays(arrays), told, LLAMA)
    pieces = {str(piece.site): piece for piece in checkpoint.pieces}
    assert set(pieces) == {"embed.W_E", "layers.0.attn.W_V", "unembed.W_U"}
    embedding = checkpoint.read(pieces["embed.W_E"])
    a, b = (arrays[f"base_model.model.model.embed_tokens.lora_embedding_{which}"] for which in "AB")
    np.testing.assert_allclose(embedding.left @ embedding.right, 2 * (b @ a).T, rtol=1e-12)
    value = checkpoint.read(pieces["layers.0.attn.W_V"])
    a, b = list(arrays.values())[:2]
    np.testing.assert_allclose(value.left @ value.right, 0.5 * b.astype(float) @ a.astype(float), rtol=1e-14)
    assert pieces["layers.0.attn.W_V"].notes == ("factors", "dora")
    assert pieces["unembed.W_U"].notes == ("saved",) and not pieces["unembed.W_U"].factored
    head = "base_model.model.lm_head.modules_to_save.default.weight"
    np.testing.assert_allclose(checkpoint.read(pieces["unembed.W_U"]), arrays[head], rtol=1e-6)
    named = {piece.tensor for piece in checkpoint.pieces} | {skip.tensor for skip in checkpoint.skipped}
    assert named == set(arrays)


def save(folder, arrays, told):
    safetensors = pytest.importorskip("safetensors.numpy")
    folder.mkdir()
    if arrays is not None:
        safetensors.save_file(arrays, folder / "adapter_model.safetensors")
    if told is not None:
        (folder / "adapter_config.json").write_text(json.dumps(told))
    return folder


def test_a_folder_with_an_adapter_alone_opens_as_one(tmp_path):
    arrays = factors(np.random.default_rng(0), "model.layers.0.mlp.up_proj", 8, 6)
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text(json.dumps(LLAMA))
    told = {"peft_type": "LORA", "lora_alpha": 2, "base_model_name_or_path": str(base)}
    folder = save(tmp_path / "tuned", arrays, told)
    for path in (folder, folder / "adapter_model.safetensors"):
        source = open_model(path)
        assert source.run == "tuned"
        assert source.checkpoint.architecture == "llama"
        assert [str(piece.site) for piece in source.checkpoint.pieces] == ["layers.0.mlp.W_in"]


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"peft_type": "IA3"}, "type IA3"),
        ({"peft_type": "LORA"}, "no lora_alpha"),
        ({"peft_type": "LORA", "lora_alpha": 1, "target_parameters": ["experts"]}, "bare parameters"),
        (None, "no adapter_config.json"),
    ],
)
def test_what_is_no_lora_is_a_sentence(tmp_path, told, sentence):
    folder = save(tmp_path / "x", factors(np.random.default_rng(0), "model.layers.0.mlp.up_proj", 8, 6), told)
    with pytest.raises(Failure, match=sentence):
        open_model(folder)


def test_missing_halves_unfitting_shapes_and_second_adapters_are_sentences():
    arrays = factors(np.random.default_rng(0), "model.layers.0.mlp.up_proj", 8, 6)
    told = {"peft_type": "LORA", "lora_alpha": 2}
    (a_name, a), (b_name, b) = arrays.items()
    with pytest.raises(Failure, match="only one of the two factors"):
        adapter(Arrays({a_name: a}), told, LLAMA)
    with pytest.raises(Failure, match="do not fit"):
        adapter(Arrays({a_name: a, b_name: b[:, :1]}), told, LLAMA)
    with pytest.raises(Failure, match="more than one adapter"):
        adapter(Arrays(arrays | {a_name.replace(".weight", ".other.weight"): a}), told, LLAMA)
    with pytest.raises(Failure, match="regular expression"):
        adapter(Arrays(arrays), told | {"alpha_pattern": {"(up|down)_proj": 1}}, LLAMA)


def test_kernels_and_whole_matrices_stored_in_by_out_keep_their_orientation():
    arrays = {
        "base_model.model.transformer.h.0.mlp.c_fc.modules_to_save.weight": np.ones((6, 24)),
        "base_model.model.conv.lora_A.weight": np.ones((2, 3, 3, 3)),
        "base_model.model.conv.lora_B.weight": np.ones((4, 2, 1, 1)),
    }
    checkpoint = adapter(Arrays(arrays), {"peft_type": "LORA", "lora_alpha": 2}, GPT2)
    assert {str(p.site): (p.rows, p.cols) for p in checkpoint.pieces} == {
        "layers.0.mlp.W_in": (24, 6), "other.conv.lora_A.weight": (2, 27), "other.conv.lora_B.weight": (4, 2),
    }  # fmt: skip
    assert all(checkpoint.read(p).shape == (p.rows, p.cols) for p in checkpoint.pieces)
