"""What torch.nn itself builds (MultiheadAttention, TransformerEncoder, TransformerDecoder), and small models on top."""

from gedanken.sources.architectures.family import Family, Rule, under


def _attention(name: str, block: str) -> dict[str, str | Rule]:
    return {
        f"{name}.in_proj_weight": Rule(block, ("W_Q", "W_K", "W_V"), whole="W_QKV"),
        f"{name}.q_proj_weight": f"{block}.W_Q",
        f"{name}.k_proj_weight": f"{block}.W_K",
        f"{name}.v_proj_weight": f"{block}.W_V",
        f"{name}.out_proj.weight": f"{block}.W_O",
    }


_LAYER = {
    **_attention("self_attn", "attn"),
    **_attention("multihead_attn", "cross_attn"),
    "linear1.weight": "mlp.W_in",
    "linear2.weight": "mlp.W_out",
}
_ONE_MODULE = {
    "^.in_proj_weight": Rule("layers.0.attn", ("W_Q", "W_K", "W_V"), whole="W_QKV"),
    "^.q_proj_weight": "layers.0.attn.W_Q",
    "^.k_proj_weight": "layers.0.attn.W_K",
    "^.v_proj_weight": "layers.0.attn.W_V",
    "^.out_proj.weight": "layers.0.attn.W_O",
}

TORCH = Family(
    "torch",
    {
        **_ONE_MODULE,
        **under("L", _attention("attn", "attn")),
        **under("layers.L", _LAYER),
        **under("encoder.layers.L", _LAYER, "encoder.layers.L"),
        **under("decoder.layers.L", _LAYER, "decoder.layers.L"),
    },
)

SCEPTR = Family(
    "sceptr",
    {
        "_token_embedding._token_embeddings": "embed.W_E",
        "_compartment_embedding._token_embeddings": "embed.W_type",
        "_initial_projector.weight": "embed.W_proj",
        "_mlm_token_prediction_projector.projector.weight": "unembed.W_U",
        **under("layers.L", _LAYER),
    },
)

GLASSLLM = Family(
    "glassllm",
    {
        "^.E": "embed.W_E",
        **under(
            "blocks.L",
            {
                raw: Rule(site, transposed=True)
                for raw, site in {
                    "attn.W_Q": "attn.W_Q",
                    "attn.W_K": "attn.W_K",
                    "attn.W_V": "attn.W_V",
                    "attn.W_O": "attn.W_O",
                    "ffn.W1": "mlp.W_gate",
                    "ffn.W3": "mlp.W_in",
                    "ffn.W2": "mlp.W_out",
                }.items()
            },
        ),
    },
    tied_if="embed.W_E",
)

STATIC = Family("static", {"^.embedding.weight": "embed.W_E", "^.embeddings": "embed.W_E"})

FAMILIES = (TORCH, SCEPTR, GLASSLLM, STATIC)
