"""Models whose parameters carry their sites as names: those of our own trainer."""

from gedanken.sources.architectures.family import Family, under

SITE_NAMES = Family(
    "gedanken",
    {
        "embed.W_E.weight": "embed.W_E",
        "embed.W_pos.weight": "embed.W_pos",
        "unembed.W_U.weight": "unembed.W_U",
        **under("layers.L", {f"attn.{part}.weight": f"attn.{part}" for part in ("W_Q", "W_K", "W_V", "W_O")}),
        **under("layers.L", {f"mlp.{part}.weight": f"mlp.{part}" for part in ("W_gate", "W_in", "W_out")}),
    },
    tied_if="embed.W_E",
)

FAMILIES = (SITE_NAMES,)
