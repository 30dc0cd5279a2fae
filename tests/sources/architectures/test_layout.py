"""What a layout does with names and shapes alone: unknown models, two towers, integers, scales, fused without sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.kinds import Kind
from gedanken.sources.architectures import Heads, Rule, heads, layout
from gedanken.sources.architectures.gguf_names import configuration
from gedanken.sources.architectures.layout import FAMILIES
from gedanken.sources.tensor_files.base import TensorInfo


def tensors(shapes: dict[str, tuple[int, ...]], dtype: str = "F32") -> dict[str, TensorInfo]:
    return {name: TensorInfo(name, shape, dtype, 4 * int(np.prod(shape))) for name, shape in shapes.items()}


def sites(plan) -> dict[str, str]:
    return {str(piece.site): piece.tensor for piece in plan.pieces}


def test_an_unknown_model_keeps_its_names_and_says_so():
    plan = layout(
        tensors({"net.0.weight": (4, 3), "net.0.bias": (4,), "conv": (4, 3, 2, 2), "t": (), "table_bias": (2, 2)}), {}
    )
    assert plan.architecture == "unknown"
    assert {str(p.site): (p.rows, p.cols, p.notes) for p in plan.pieces} == {
        "other.net.0.weight": (4, 3, ("generic",)),
        "other.conv": (4, 12, ("generic", "kernel")),
    }
    assert {(s.tensor, s.reason) for s in plan.skipped} == {
        ("net.0.bias", "vector"), ("t", "scalar"), ("table_bias", "bias or mask")
    }  # fmt: skip


def test_a_stack_of_unknown_experts_is_one_matrix_each():
    plan = layout(tensors({"ffn.experts.w": (3, 5, 4)}), {})
    assert [(str(p.site), p.rows, p.cols, p.cut.expert) for p in plan.pieces] == [
        (f"other.ffn.experts.w[{expert}]", 5, 4, expert) for expert in range(3)
    ]


def test_integer_matrices_are_listed_so_that_they_can_be_refused():
    plan = layout(tensors({"layers.0.self_attn.q_proj.qweight": (4, 4)}, "I32"), {})
    assert sites(plan) == {"other.layers.0.self_attn.q_proj.qweight": "layers.0.self_attn.q_proj.qweight"}


def test_of_two_towers_the_larger_has_the_sites():
    text = {f"text.layers.{i}.self_attn.q_proj.weight": (8, 8) for i in range(2)}
    vision = {"vision.layers.0.self_attn.q_proj.weight": (4, 4)}
    plan = layout(tensors({**vision, **text}), {"model_type": "llama"})
    assert sites(plan) == {
        "layers.0.attn.W_Q": "text.layers.0.self_attn.q_proj.weight",
        "layers.1.attn.W_Q": "text.layers.1.self_attn.q_proj.weight",
        "other.vision.layers.0.self_attn.q_proj.weight": "vision.layers.0.self_attn.q_proj.weight",
    }
    assert plan.pieces[-1].notes == ("generic", "namesake")


def test_interleaved_heads_without_a_configuration_stay_whole():
    plan = layout(tensors({"gpt_neox.layers.0.attention.query_key_value.weight": (24, 8)}), {})
    assert sites(plan) == {"layers.0.attn.W_QKV": "gpt_neox.layers.0.attention.query_key_value.weight"}
    assert plan.pieces[0].notes == ("fused", "unsplit")


def test_sizes_that_contradict_the_tensor_leave_it_whole():
    shapes = {"h.0.self_attention.query_key_value.weight": (25, 8)}
    plan = layout(tensors(shapes), {"model_type": "bloom", "n_head": 2, "hidden_size": 8})
    assert [p.notes for p in plan.pieces] == [("fused", "unsplit")]


@pytest.mark.parametrize(("shape", "family"), [((8, 24), "gpt2"), ((24, 8), "nanogpt")])
def test_shapes_tell_gpt2_from_its_successors(shape, family):
    names = {"h.0.attn.c_attn.weight": shape, "h.0.attn.c_proj.weight": (8, 8), "wte.weight": (11, 8)}
    plan = layout(tensors(names), {})
    assert plan.architecture == family
    query = next(p for p in plan.pieces if p.site.part == "W_Q")
    assert (query.rows, query.cols, query.cut.transposed) == (8, 8, family == "gpt2")


def test_a_wrong_model_type_does_not_hide_the_names():
    plan = layout(tensors({"encoder.layer.0.attention.self.query.weight": (4, 4)}), {"model_type": "llama"})
    assert sites(plan) == {"layers.0.attn.W_Q": "encoder.layer.0.attention.self.query.weight"}


def test_tied_means_that_a_head_is_missing_not_that_a_flag_says_so():
    embedding = {"model.embed_tokens.weight": (9, 4)}
    layer = {"model.layers.0.self_attn.q_proj.weight": (4, 4)}
    head = {"lm_head.weight": (9, 4)}
    config = {"model_type": "llama", "tie_word_embeddings": True}
    notes = {p.site.part: p.notes for p in layout(tensors(embedding | layer), config).pieces}
    assert notes["W_E"] == ("tied",)
    notes = {p.site.part: p.notes for p in layout(tensors(embedding | layer | head), config).pieces}
    assert notes["W_E"] == () and notes["W_U"] == ()
    bare = layout(tensors(embedding | layer), config | {"architectures": ["LlamaModel"]})
    assert bare.pieces[0].notes == ()
    classifier = layout(tensors(embedding | layer | {"score.weight": (2, 4)}), config)
    assert classifier.pieces[0].notes == ()


def test_only_token_tables_are_points():
    shapes = {"wte.weight": (9, 4), "wpe.weight": (9, 4), "lm_head.weight": (9, 4), "h.0.attn.c_attn.weight": (4, 12)}
    plan = layout(tensors(shapes), {"model_type": "gpt2", "n_head": 2, "n_embd": 4})
    assert {str(p.site) for p in plan.pieces if p.kind == Kind.points} == {"embed.W_E", "unembed.W_U"}


def test_scales_of_8_bit_floats_belong_to_their_weights():
    name = "model.layers.0.self_attn.q_proj.weight"
    header = tensors({name: (4, 4)}, "F8_E4M3") | tensors({f"{name}_scale_inv": (1, 1), "other_scale": (2, 2)})
    plan = layout(header, {"model_type": "llama"})
    assert plan.pieces[0].notes == ("scaled",)
    assert [(s.tensor, s.reason) for s in plan.skipped] == [(f"{name}_scale_inv", f"scale of {name}")]
    assert "other.other_scale" in sites(plan)


def test_gguf_names_of_dense_fused_and_expert_models():
    shapes = {
        "token_embd.weight": (10, 8), "blk.0.attn_q.weight": (8, 8), "blk.0.ffn_gate_inp.weight": (3, 8),
        "blk.0.ffn_gate_exps.weight": (3, 6, 8), "blk.0.ffn_down.1.weight": (8, 6), "blk.1.attn_qkv.weight": (16, 8),
        "output.weight": (10, 8),
    }  # fmt: skip
    header = {"general.architecture": "llama", "llama.embedding_length": 8, "llama.attention.head_count": 4,
              "llama.attention.head_count_kv": 2}  # fmt: skip
    plan = layout(tensors(shapes), configuration(header))
    assert {str(p.site): (p.rows, p.cols) for p in plan.pieces} == {
        "embed.W_E": (10, 8), "unembed.W_U": (10, 8), "layers.0.attn.W_Q": (8, 8), "layers.0.mlp.W_router": (3, 8),
        "layers.0.mlp.experts.0.W_gate": (6, 8), "layers.0.mlp.experts.1.W_gate": (6, 8),
        "layers.0.mlp.experts.2.W_gate": (6, 8), "layers.0.mlp.experts.1.W_out": (8, 6),
        "layers.1.attn.W_Q": (8, 8), "layers.1.attn.W_K": (4, 8), "layers.1.attn.W_V": (4, 8),
    }  # fmt: skip
    assert plan.heads == Heads(4, 2, 2)
    assert "permuted" in next(p.notes for p in plan.pieces if str(p.site) == "layers.0.attn.W_Q")


def test_gguf_of_phi3_has_gate_and_in_in_one_tensor():
    plan = layout(tensors({"blk.0.ffn_up.weight": (12, 8), "blk.0.ffn_down.weight": (8, 6)}), {"model_type": "phi3"})
    assert {str(p.site) for p in plan.pieces} == {"layers.0.mlp.W_gate", "layers.0.mlp.W_in", "layers.0.mlp.W_out"}


def test_pieces_come_in_the_order_of_the_network():
    names = [f"model.layers.{i}.self_attn.{p}_proj.weight" for i in (10, 2) for p in "ovkq"]
    plan = layout(tensors(dict.fromkeys(["lm_head.weight", *names, "model.embed_tokens.weight"], (4, 4))), {})
    parts = ("W_Q", "W_K", "W_V", "W_O")
    layers = [f"layers.{i}.attn.{part}" for i in (2, 10) for part in parts]
    assert [str(p.site) for p in plan.pieces] == ["embed.W_E", *layers, "unembed.W_U"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"num_attention_heads": 8, "hidden_size": 64}, Heads(8, 8, 8)),
        ({"n_head": 71, "hidden_size": 4544, "multi_query": True, "num_kv_heads": 71}, Heads(71, 1, 64)),
        ({"num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16, "hidden_size": 64}, Heads(8, 2, 16)),
        ({"model_type": "x", "text_config": {"num_attention_heads": 4, "hidden_size": 32}}, Heads(4, 4, 8)),
        ({"num_attention_heads": 7, "hidden_size": 64}, None),
        ({"num_attention_heads": 4, "num_key_value_heads": 3, "hidden_size": 64}, None),
        ({"encoder_attention_heads": 4, "decoder_attention_heads": 8, "d_model": 32}, None),
        ({"num_attention_heads": [4, 8], "hidden_size": 32}, None),
        ({"num_attention_heads": "4", "hidden_size": True}, None),
        ({}, None),
    ],
)
def test_heads_from_the_words_of_configurations(config, expected):
    assert heads(config) == expected


def test_heads_that_a_matrix_contradicts_are_not_known():
    names = {f"model.layers.{i}.self_attn.q_proj.weight": (8 * (i + 1), 8) for i in range(2)}
    config = {"model_type": "llama", "num_attention_heads": 2, "hidden_size": 8}
    assert layout(tensors({next(iter(names)): (8, 8)}), config).heads == Heads(2, 2, 4)
    assert layout(tensors(names), config).heads is None


def test_families_are_told_apart_by_name_and_every_site_template_is_a_site():
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        for pattern, rule in family.rules.items():
            *words, last = pattern.removeprefix("^.").split(".")
            name = ".".join([*({"L": "1", "E": "0", "J": "0"}.get(word, word) for word in words), last])
            known = {"inner_group": 1}
            found = {n: family.pieces(TensorInfo(name, (8,) * n, "F32", 4 * 8**n), known) for n in (1, 2, 3)}
            stacked = isinstance(rule, Rule) and rule.stacked
            assert (found[1], bool(found[2]), bool(found[3])) == (None, not stacked, True), pattern


WORDS = sorted({word for family in FAMILIES for pattern in family.rules for word in pattern.split(".")} - {"^"})
ENDS = sorted({pattern.removeprefix("^.") for family in FAMILIES for pattern in family.rules})
NUMBERS = ["0", "1", "12", "007", "9" * 5000, "\u0663", "-1", ""]
NAMES = st.one_of(
    st.lists(st.sampled_from(WORDS + NUMBERS), min_size=1, max_size=6).map(".".join),
    st.tuples(st.sampled_from(ENDS), st.sampled_from(NUMBERS)).map(
        lambda pair: ".".join(pair[1] if word in ("L", "E", "J") else word for word in pair[0].split("."))
    ),
    st.text(max_size=8),
)
SHAPES = st.lists(st.integers(0, 6), max_size=4).map(tuple)
VALUES = st.integers(-2, 8) | st.none() | st.text(max_size=2) | st.lists(st.integers(), max_size=2) | st.booleans()
KEYS = ["num_attention_heads", "num_key_value_heads", "hidden_size", "head_dim", "kv_lora_rank", "qk_nope_head_dim",
        "qk_rope_head_dim", "v_head_dim", "inner_group_num", "multi_query", "text_config", "architectures",
        "decoder_attention_heads"]  # fmt: skip
TYPES = sorted({word for family in FAMILIES for word in family.model_types})


@settings(deadline=None, max_examples=400)
@given(
    st.dictionaries(NAMES, st.tuples(SHAPES, st.sampled_from(["F32", "F8_E4M3", "I64"])), max_size=6),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6),
    st.none() | st.sampled_from(TYPES),
    st.booleans(),
)
def test_whatever_a_header_says_every_tensor_is_accounted_for(held, config, model_type, oriented):
    header = {name: TensorInfo(name, shape, dtype, 0) for name, (shape, dtype) in held.items()}
    plan = layout(header, config | ({"model_type": model_type} if model_type else {}), oriented)
    assert {p.tensor for p in plan.pieces} | {s.tensor for s in plan.skipped} == set(header)
    assert len({p.site for p in plan.pieces}) == len(plan.pieces)
    for p in plan.pieces:
        stored = np.zeros(header[p.tensor].shape)
        cut = p.cut.apply(lambda start, stop, stored=stored: stored[start:stop], stored.shape)
        assert cut.shape == (p.rows, p.cols)
