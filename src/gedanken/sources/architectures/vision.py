"""Vision transformers."""

from gedanken.sources.architectures.family import Family, under

_LAYER = {
    "attention.attention.query.weight": "attn.W_Q",
    "attention.attention.key.weight": "attn.W_K",
    "attention.attention.value.weight": "attn.W_V",
    "attention.output.dense.weight": "attn.W_O",
    "intermediate.dense.weight": "mlp.W_in",
    "output.dense.weight": "mlp.W_out",
    "mlp.fc1.weight": "mlp.W_in",
    "mlp.fc2.weight": "mlp.W_out",
}
_IN_MEMORY = {
    "attention.q_proj.weight": "attn.W_Q",
    "attention.k_proj.weight": "attn.W_K",
    "attention.v_proj.weight": "attn.W_V",
    "attention.o_proj.weight": "attn.W_O",
    "mlp.fc1.weight": "mlp.W_in",
    "mlp.fc2.weight": "mlp.W_out",
}

VIT = Family(
    "vit",
    {
        "embeddings.patch_embeddings.projection.weight": "embed.W_patch",
        "embeddings.position_embeddings": "embed.W_pos",
        "pooler.dense.weight": "unembed.W_pool",
        "classifier.weight": "unembed.W_class",
        **under("layer.L", _LAYER),
        **under("layers.L", _IN_MEMORY),
    },
    model_types=("vit", "deit", "dinov2", "ijepa"),
)

FAMILIES = (VIT,)
