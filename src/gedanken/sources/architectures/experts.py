"""Decoders with experts: one matrix per expert in files; in memory they may be stacked, gate and up fused."""

from gedanken.sources.architectures.decoders import EMBEDDED, GATED, QKVO
from gedanken.sources.architectures.family import Family, Rule, under

_PER_EXPERT = {
    "mlp.experts.E.gate_proj.weight": "mlp.experts.E.W_gate",
    "mlp.experts.E.up_proj.weight": "mlp.experts.E.W_in",
    "mlp.experts.E.down_proj.weight": "mlp.experts.E.W_out",
}
_STACKED = {
    "mlp.experts.gate_up_proj": Rule("mlp.experts.E", ("W_gate", "W_in"), stacked=True, whole="W_gate_in"),
    "mlp.experts.down_proj": Rule("mlp.experts.E.W_out", stacked=True),
}
_SHARED_EXPERT = {
    "gate_proj.weight": "mlp.W_shared_gate",
    "up_proj.weight": "mlp.W_shared_in",
    "down_proj.weight": "mlp.W_shared_out",
}
_ROUTER = {"mlp.gate.weight": "mlp.W_router", "mlp.shared_expert_gate.weight": "mlp.W_shared_router"}

_EXPERTS = {
    **_PER_EXPERT,
    **_STACKED,
    **_ROUTER,
    **{f"mlp.shared_expert.{name}": site for name, site in _SHARED_EXPERT.items()},
    **{f"mlp.shared_experts.{name}": site for name, site in _SHARED_EXPERT.items()},
}

QWEN_MOE = Family(
    "qwen_moe",
    {**EMBEDDED, **under("layers.L", {**QKVO, **GATED, **_EXPERTS})},
    model_types=("qwen2_moe", "qwen3_moe", "olmoe", "flex_olmo"),
    tied_if="embed.W_E",
)

MIXTRAL = Family(
    "mixtral",
    {
        **EMBEDDED,
        **under(
            "layers.L",
            {
                **QKVO,
                **_STACKED,
                **_ROUTER,
                "block_sparse_moe.gate.weight": "mlp.W_router",
                "block_sparse_moe.experts.E.w1.weight": "mlp.experts.E.W_gate",
                "block_sparse_moe.experts.E.w2.weight": "mlp.experts.E.W_out",
                "block_sparse_moe.experts.E.w3.weight": "mlp.experts.E.W_in",
            },
        ),
    },
    model_types=("mixtral", "phimoe"),
    tied_if="embed.W_E",
)

DEEPSEEK = Family(
    "deepseek",
    {
        **EMBEDDED,
        **under(
            "layers.L",
            {
                **QKVO,
                **GATED,
                **_EXPERTS,
                # Multi-head latent attention: queries, and keys with values, pass through a narrow latent; a small part
                # of the key carries the rotation and is shared by all heads [@deepseek2024v2, § 2.1].
                "self_attn.q_a_proj.weight": "attn.W_Q_down",
                "self_attn.q_b_proj.weight": "attn.W_Q_up",
                "self_attn.kv_a_proj_with_mqa.weight": Rule(
                    "attn", ("W_KV_down", "W_K_rope"), ("kv_rank", "rope"), whole="W_KV_down_rope"
                ),
                "self_attn.kv_b_proj.weight": Rule(
                    "attn", ("W_K_up", "W_V_up"), ("nope", "value"), groups="heads", whole="W_KV_up"
                ),
            },
        ),
    },
    model_types=("deepseek_v2", "deepseek_v3"),
    tied_if="embed.W_E",
)

GPT_OSS = Family(
    "gpt_oss",
    {
        **EMBEDDED,
        **under(
            "layers.L",
            {
                **QKVO,
                "mlp.router.weight": "mlp.W_router",
                # Stored in × out, gate and up in alternate columns.
                "mlp.experts.gate_up_proj": Rule(
                    "mlp.experts.E",
                    ("W_gate", "W_in"),
                    groups="pairs",
                    transposed=True,
                    stacked=True,
                    whole="W_gate_in",
                ),
                "mlp.experts.down_proj": Rule("mlp.experts.E.W_out", transposed=True, stacked=True),
            },
        ),
    },
    model_types=("gpt_oss",),
    tied_if="embed.W_E",
)

FAMILIES = (QWEN_MOE, MIXTRAL, DEEPSEEK, GPT_OSS)
