"""Encoder-decoders of text and speech: two stacks, and attention across."""

from gedanken.sources.architectures.family import Family, Rule, under


def _t5_attention(block: str, name: str) -> dict[str, str]:
    return {
        f"{name}.q.weight": f"{block}.W_Q",
        f"{name}.k.weight": f"{block}.W_K",
        f"{name}.v.weight": f"{block}.W_V",
        f"{name}.o.weight": f"{block}.W_O",
        f"{name}.relative_attention_bias.weight": f"{block}.W_rel",
    }


def _t5_mlp(layer: int) -> dict[str, str]:
    return {
        f"layer.{layer}.DenseReluDense.wi.weight": "mlp.W_in",
        f"layer.{layer}.DenseReluDense.wi_0.weight": "mlp.W_gate",
        f"layer.{layer}.DenseReluDense.wi_1.weight": "mlp.W_in",
        f"layer.{layer}.DenseReluDense.wo.weight": "mlp.W_out",
    }


_SELF = _t5_attention("attn", "layer.0.SelfAttention")
_CROSS = _t5_attention("cross_attn", "layer.1.EncDecAttention")

T5 = Family(
    "t5",
    {
        "shared.weight": "embed.W_E",
        "encoder.embed_tokens.weight": "encoder.embed.W_E",
        "decoder.embed_tokens.weight": "decoder.embed.W_E",
        "lm_head.weight": "unembed.W_U",
        **under("encoder.block.L", {**_SELF, **_t5_mlp(1)}, "encoder.layers.L"),
        **under("decoder.block.L", {**_SELF, **_CROSS, **_t5_mlp(2)}, "decoder.layers.L"),
    },
    model_types=("t5", "mt5", "umt5", "longt5"),
    tied_if="decoder.layers.0.attn.W_Q",
)


def _attention(block: str, name: str) -> dict[str, str]:
    return {
        f"{name}.q_proj.weight": f"{block}.W_Q",
        f"{name}.k_proj.weight": f"{block}.W_K",
        f"{name}.v_proj.weight": f"{block}.W_V",
        f"{name}.out_proj.weight": f"{block}.W_O",
    }


_MLP = {"fc1.weight": "mlp.W_in", "fc2.weight": "mlp.W_out"}
_STACKS: dict[str, str | Rule] = {
    "encoder.embed_tokens.weight": "encoder.embed.W_E",
    "decoder.embed_tokens.weight": "decoder.embed.W_E",
    "encoder.embed_positions.weight": "encoder.embed.W_pos",
    "decoder.embed_positions.weight": "decoder.embed.W_pos",
    **under("encoder.layers.L", {**_attention("attn", "self_attn"), **_MLP}, "encoder.layers.L"),
    **under(
        "decoder.layers.L",
        {**_attention("attn", "self_attn"), **_attention("cross_attn", "encoder_attn"), **_MLP},
        "decoder.layers.L",
    ),
}

BART = Family(
    "bart",
    {"shared.weight": "embed.W_E", "lm_head.weight": "unembed.W_U", **_STACKS},
    model_types=("bart", "mbart", "marian", "pegasus", "m2m_100", "blenderbot", "plbart"),
    tied_if="decoder.layers.0.attn.W_Q",
)

WHISPER = Family(
    "whisper",
    {
        "encoder.conv1.weight": "encoder.embed.W_conv1",
        "encoder.conv2.weight": "encoder.embed.W_conv2",
        "proj_out.weight": "unembed.W_U",
        **_STACKS,
    },
    model_types=("whisper",),
    tied_if="decoder.embed.W_E",
)

FAMILIES = (T5, BART, WHISPER)
