"""Architectures: parameter name → site, as tables of families; one file per group of families.

Parts that these tables add to W_E W_U W_pos W_type W_Q W_K W_V W_O W_in W_gate W_out:

| part | of | is |
|---|---|---|
| `W_QKV`, `W_KV`, `W_gate_in` | attn, mlp | a fused tensor left whole: its sizes are unknown (note `unsplit`) |
| `W_KV_up`, `W_KV_down_rope` | attn | the same, of latent attention |
| `W_router`, `W_shared_router` | mlp | expert × hidden: chooses experts; gates the shared expert |
| `W_shared_in`, `W_shared_gate`, `W_shared_out` | mlp | the expert that every token passes |
| `W_Q_down`, `W_Q_up` | attn | latent attention: hidden to latent query, latent to the heads' queries |
| `W_KV_down`, `W_K_up`, `W_V_up` | attn | latent attention: hidden to latent, latent to the heads' keys and values |
| `W_K_rope` | attn | latent attention: hidden to the rotated part of the key, one for all heads |
| `W_Q_pos`, `W_K_pos` | attn | queries and keys of relative positions (DeBERTa) |
| `W_rel` | attn, embed | relative positions: bias per bucket and head (T5), table (DeBERTa) |
| `W_proj` | embed, unembed | between a narrow embedding and the model's width |
| `W_patch`, `W_conv1`, `W_conv2` | embed | convolution kernels as out × rest (note `kernel`) |
| `W_transform` | unembed | the dense layer before a masked-language head |
| `W_pool`, `W_class` | unembed | pooling and classification heads |
"""

from gedanken.sources.architectures.base import Cut, Piece, Skipped
from gedanken.sources.architectures.family import Family, Rule
from gedanken.sources.architectures.layout import Layout, layout
from gedanken.sources.architectures.sizes import Heads, heads, sizes

__all__ = ["Cut", "Family", "Heads", "Layout", "Piece", "Rule", "Skipped", "heads", "layout", "sizes"]
