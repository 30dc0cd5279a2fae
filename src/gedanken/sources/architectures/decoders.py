"""Decoder-only language models, dense."""

from gedanken.sources.architectures.family import Family, Rule, under

_QKV = ("W_Q", "W_K", "W_V")
_CAUSAL = {"lm_head.weight": "unembed.W_U", "score.weight": "unembed.W_class"}
_THIRDS = {"parts": _QKV, "whole": "W_QKV"}
_STACKED = {"parts": _QKV, "widths": ("q", "kv", "kv"), "whole": "W_QKV"}
# One period per key-value head: its queries, then its key, then its value. With as many key-value heads as query heads
# this is GPT-NeoX's and BLOOM's layout, with one key-value head it is Falcon-7B's.
_BY_KV_HEAD = {"parts": _QKV, "widths": ("q_group", "head", "head"), "groups": "kv_heads", "whole": "W_QKV"}

QKVO = {
    "self_attn.q_proj.weight": "attn.W_Q",
    "self_attn.k_proj.weight": "attn.W_K",
    "self_attn.v_proj.weight": "attn.W_V",
    "self_attn.o_proj.weight": "attn.W_O",
}
GATED = {
    "mlp.gate_proj.weight": "mlp.W_gate",
    "mlp.up_proj.weight": "mlp.W_in",
    "mlp.down_proj.weight": "mlp.W_out",
}
EMBEDDED = {"embed_tokens.weight": "embed.W_E", **_CAUSAL}

LLAMA = Family(
    "llama",
    {**EMBEDDED, **under("layers.L", {**QKVO, **GATED})},
    model_types=(
        "llama", "mistral", "ministral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gemma3_text", "smollm3",
        "olmo", "olmo2", "olmo3", "cohere", "cohere2", "stablelm", "granite", "helium", "exaone4", "seed_oss", "arcee",
    ),
    tied_if="embed.W_E",
)  # fmt: skip

PHI3 = Family(
    "phi3",
    {
        **EMBEDDED,
        **under(
            "layers.L",
            {
                "self_attn.qkv_proj.weight": Rule("attn", **_STACKED),
                "self_attn.o_proj.weight": "attn.W_O",
                "mlp.gate_up_proj.weight": Rule("mlp", ("W_gate", "W_in"), whole="W_gate_in"),
                "mlp.down_proj.weight": "mlp.W_out",
            },
        ),
    },
    model_types=("phi3", "phi4"),
    tied_if="embed.W_E",
)

PHI = Family(
    "phi",
    {
        **EMBEDDED,
        **under(
            "layers.L",
            {
                **QKVO,
                "self_attn.dense.weight": "attn.W_O",
                "mlp.fc1.weight": "mlp.W_in",
                "mlp.fc2.weight": "mlp.W_out",
            },
        ),
    },
    model_types=("phi",),
    tied_if="embed.W_E",
)

STARCODER2 = Family(
    "starcoder2",
    {
        **EMBEDDED,
        **under("layers.L", {**QKVO, "mlp.c_fc.weight": "mlp.W_in", "mlp.c_proj.weight": "mlp.W_out"}),
    },
    model_types=("starcoder2",),
    tied_if="embed.W_E",
)


def _gpt2(transposed: bool, fused: dict) -> dict[str, str | Rule]:
    """GPT-2's names: OpenAI's layers store in × out, later code of the same names out × in."""
    return {
        "wte.weight": "embed.W_E",
        "wpe.weight": "embed.W_pos",
        **_CAUSAL,
        **under(
            "h.L",
            {
                "attn.c_attn.weight": Rule("attn", **fused, transposed=transposed),
                "attn.c_proj.weight": Rule("attn.W_O", transposed=transposed),
                "crossattention.q_attn.weight": Rule("cross_attn.W_Q", transposed=transposed),
                "crossattention.c_attn.weight": Rule("cross_attn", ("W_K", "W_V"), transposed=transposed, whole="W_KV"),
                "crossattention.c_proj.weight": Rule("cross_attn.W_O", transposed=transposed),
                "mlp.c_fc.weight": Rule("mlp.W_in", transposed=transposed),
                "mlp.c_proj.weight": Rule("mlp.W_out", transposed=transposed),
            },
        ),
    }


GPT2 = Family(
    "gpt2",
    _gpt2(True, _THIRDS),
    model_types=("gpt2",),
    tall=("attn.c_attn.weight", False),
    tied_if="embed.W_E",
)

NANOGPT = Family("nanogpt", _gpt2(False, _THIRDS), tall=("attn.c_attn.weight", True), tied_if="embed.W_E")

BIGCODE = Family(
    "gpt_bigcode",
    # With one key-value head for all, the rows are all queries, then the key, then the value; else as in GPT-NeoX.
    _gpt2(False, _BY_KV_HEAD),
    model_types=("gpt_bigcode",),
    tall=("attn.c_attn.weight", True),
    tied_if="embed.W_E",
)

GPT_NEO = Family(
    "gpt_neo",
    {
        "wte.weight": "embed.W_E",
        "wpe.weight": "embed.W_pos",
        **_CAUSAL,
        **under(
            "h.L",
            {
                "attn.attention.q_proj.weight": "attn.W_Q",
                "attn.attention.k_proj.weight": "attn.W_K",
                "attn.attention.v_proj.weight": "attn.W_V",
                "attn.attention.out_proj.weight": "attn.W_O",
                "mlp.c_fc.weight": "mlp.W_in",
                "mlp.c_proj.weight": "mlp.W_out",
            },
        ),
    },
    model_types=("gpt_neo",),
    tied_if="embed.W_E",
)

GPTJ = Family(
    "gptj",
    {
        "wte.weight": "embed.W_E",
        **_CAUSAL,
        **under(
            "h.L",
            {
                "attn.q_proj.weight": "attn.W_Q",
                "attn.k_proj.weight": "attn.W_K",
                "attn.v_proj.weight": "attn.W_V",
                "attn.out_proj.weight": "attn.W_O",
                "mlp.fc_in.weight": "mlp.W_in",
                "mlp.fc_out.weight": "mlp.W_out",
            },
        ),
    },
    model_types=("gptj",),
    tied_if="embed.W_E",
)

_DENSE_4H = {"mlp.dense_h_to_4h.weight": "mlp.W_in", "mlp.dense_4h_to_h.weight": "mlp.W_out"}

GPT_NEOX = Family(
    "gpt_neox",
    {
        "embed_in.weight": "embed.W_E",
        "embed_out.weight": "unembed.W_U",
        **_CAUSAL,
        **under(
            "layers.L",
            {
                "attention.query_key_value.weight": Rule("attn", **_BY_KV_HEAD),
                "attention.dense.weight": "attn.W_O",
                **_DENSE_4H,
            },
        ),
    },
    model_types=("gpt_neox",),
    tied_if="embed.W_E",
)

FALCON_BLOOM = Family(
    "falcon",
    {
        "word_embeddings.weight": "embed.W_E",
        **_CAUSAL,
        **under(
            "h.L",
            {
                "self_attention.query_key_value.weight": Rule("attn", **_BY_KV_HEAD),
                "self_attention.dense.weight": "attn.W_O",
                **_DENSE_4H,
            },
        ),
    },
    model_types=("falcon", "RefinedWeb", "RefinedWebModel", "bloom"),
    tied_if="embed.W_E",
)

MPT = Family(
    "mpt",
    # No positions are stored: its attention has linear biases [@press2022alibi].
    {
        "wte.weight": "embed.W_E",
        **_CAUSAL,
        **under(
            "blocks.L",
            {
                "attn.Wqkv.weight": Rule("attn", **_STACKED),
                "attn.out_proj.weight": "attn.W_O",
                "ffn.up_proj.weight": "mlp.W_in",
                "ffn.down_proj.weight": "mlp.W_out",
            },
            site="layers.L",
        ),
    },
    model_types=("mpt",),
    tied_if="embed.W_E",
)

OPT = Family(
    "opt",
    {
        "embed_positions.weight": "embed.W_pos",
        "project_in.weight": "embed.W_proj",
        "project_out.weight": "unembed.W_proj",
        **EMBEDDED,
        **under(
            "decoder.layers.L",
            {
                **QKVO,
                "self_attn.out_proj.weight": "attn.W_O",
                "fc1.weight": "mlp.W_in",
                "fc2.weight": "mlp.W_out",
            },
            site="layers.L",
        ),
    },
    model_types=("opt",),
    tied_if="embed.W_E",
)

MAMBA = Family(
    "mamba",
    # Its mixers are no attention: their matrices stay under their own names.
    {"backbone.embeddings.weight": "embed.W_E", "backbone.embedding.weight": "embed.W_E", **_CAUSAL},
    model_types=("mamba", "mamba2"),
    tied_if="embed.W_E",
)

FAMILIES = (
    LLAMA, PHI3, PHI, STARCODER2, GPT2, NANOGPT, BIGCODE, GPT_NEO, GPTJ, GPT_NEOX, FALCON_BLOOM, MPT, OPT, MAMBA,
)  # fmt: skip
