"""GGUF: llama.cpp's own names, the same for every model, and its header in a configuration's words.

Its converter has already transposed and de-interleaved what models store fused; where q, k and v stay together they
are stacked. For Llama it permutes the rows of W_Q and W_K within each head, from rotated halves to rotated pairs, the
same in both: spectra and W_Qᵀ W_K per head are untouched, and the note `permuted` says so.
"""

from collections.abc import Mapping
from typing import Any

from gedanken.sources.architectures.family import Family, Rule, under

_PERMUTED = {f"attn_{letter}.weight": Rule(f"attn.W_{letter.upper()}", notes=("permuted",)) for letter in "qk"}
_LAYER = {
    "attn_q.weight": "attn.W_Q",
    "attn_k.weight": "attn.W_K",
    "attn_v.weight": "attn.W_V",
    "attn_output.weight": "attn.W_O",
    "attn_qkv.weight": Rule("attn", ("W_Q", "W_K", "W_V"), ("q", "kv", "kv"), whole="W_QKV"),
    "ffn_gate.weight": "mlp.W_gate",
    "ffn_up.weight": "mlp.W_in",
    "ffn_down.weight": "mlp.W_out",
    "ffn_gate_inp.weight": "mlp.W_router",
    "ffn_gate_inp_shexp.weight": "mlp.W_shared_router",
    "ffn_gate_shexp.weight": "mlp.W_shared_gate",
    "ffn_up_shexp.weight": "mlp.W_shared_in",
    "ffn_down_shexp.weight": "mlp.W_shared_out",
    "ffn_gate_exps.weight": Rule("mlp.experts.E.W_gate", stacked=True),
    "ffn_up_exps.weight": Rule("mlp.experts.E.W_in", stacked=True),
    "ffn_down_exps.weight": Rule("mlp.experts.E.W_out", stacked=True),
    "ffn_gate.E.weight": "mlp.experts.E.W_gate",
    "ffn_up.E.weight": "mlp.experts.E.W_in",
    "ffn_down.E.weight": "mlp.experts.E.W_out",
    "attn_q_a.weight": "attn.W_Q_down",
    "attn_q_b.weight": "attn.W_Q_up",
    "attn_kv_a_mqa.weight": Rule("attn", ("W_KV_down", "W_K_rope"), ("kv_rank", "rope"), whole="W_KV_down_rope"),
    "attn_kv_b.weight": Rule("attn", ("W_K_up", "W_V_up"), ("nope", "value"), groups="heads", whole="W_KV_up"),
}
_ENDS = {
    "token_embd.weight": "embed.W_E",
    "position_embd.weight": "embed.W_pos",
    "token_types.weight": "embed.W_type",
    "output.weight": "unembed.W_U",
    "cls.weight": "unembed.W_pool",
    "cls.output.weight": "unembed.W_class",
}
_FUSED_GATE = {"ffn_up.weight": Rule("mlp", ("W_gate", "W_in"), whole="W_gate_in")}

GGUF = Family("gguf", {**_ENDS, **under("blk.L", _LAYER)}, tied_if="embed.W_E")
GGUF_PERMUTED = Family(
    "gguf_llama",
    {**_ENDS, **under("blk.L", {**_LAYER, **_PERMUTED})},
    model_types=("llama", "granite", "smollm3", "deci", "minicpm"),
    tied_if="embed.W_E",
)
GGUF_FUSED_GATE = Family(
    "gguf_phi3",
    {**_ENDS, **under("blk.L", {**_LAYER, **_FUSED_GATE})},
    model_types=("phi3",),
    tied_if="embed.W_E",
)
GGUF_ENCODER = Family(
    "gguf_bert",
    {**_ENDS, **under("blk.L", _LAYER)},
    model_types=("bert", "nomic-bert", "modern-bert", "jina-bert-v2", "neo-bert"),
)

FAMILIES = (GGUF, GGUF_PERMUTED, GGUF_FUSED_GATE, GGUF_ENCODER)

_KEYS = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "kv_lora_rank": "attention.kv_lora_rank",
    "v_head_dim": "attention.value_length",
}


def configuration(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration in a checkpoint's usual words from a GGUF header; empty if it is none."""
    name = metadata.get("general.architecture")
    if not isinstance(name, str):
        return {}
    config = {word: metadata.get(f"{name}.{key}") for word, key in _KEYS.items()}
    config = {word: value for word, value in config.items() if value is not None}
    head, rope = config.get("head_dim"), metadata.get(f"{name}.rope.dimension_count")
    if "kv_lora_rank" in config and type(head) is type(rope) is int:
        config |= {"qk_rope_head_dim": rope, "qk_nope_head_dim": head - rope}
    return {"model_type": name, **config}
