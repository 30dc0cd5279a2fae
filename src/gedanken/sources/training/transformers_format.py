"""The trainer's weights as transformers stores them, and back: names, fusions and orientation, per style.

Nothing is computed: the map only transposes, joins and reorders, so that a round trip is exact to the bit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gedanken.sources.training.model import NORM_EPS, ROTARY_BASE, STYLES
from gedanken.sources.training.recipe import Recipe
from gedanken.status import Failure


@dataclass(frozen=True)
class Entry:
    """One stored tensor and the parameters it holds, joined along the rows; `transposed`: stored in × out; `heads` > 0:
    the parts of each head stand together."""

    stored: str
    names: tuple[str, ...]
    transposed: bool = False
    heads: int = 0

    def join(self, parts: list[Tensor]) -> Tensor:
        if self.heads:
            split = [part.unflatten(0, (self.heads, -1)) for part in parts]
            return torch.stack(split, dim=1).flatten(0, 2)
        whole = torch.cat(parts) if len(parts) > 1 else parts[0]
        return whole.T if self.transposed and whole.dim() == 2 else whole

    def split(self, whole: Tensor) -> list[Tensor]:
        if self.heads:
            return [part.flatten(0, 1) for part in whole.unflatten(0, (self.heads, len(self.names), -1)).unbind(1)]
        whole = whole.T if self.transposed and whole.dim() == 2 else whole
        return list(whole.chunk(len(self.names)))


def entries(recipe: Recipe) -> Iterator[Entry]:
    """Every tensor that transformers' class for the recipe's style stores."""
    match recipe.style:
        case "gpt2":
            yield from _gpt2(recipe)
        case "llama":
            yield from _llama(recipe)
        case "neox":
            yield from _neox(recipe)


def stored(recipe: Recipe, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of a GPT as transformers names and lays them out."""
    return {e.stored: e.join([parameters[name] for name in e.names]).contiguous() for e in entries(recipe)}


def parameters(recipe: Recipe, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `stored`. Raises Failure if a tensor is missing."""
    found = {}
    for entry in entries(recipe):
        if entry.stored not in tensors:
            raise Failure(f"The weights hold no {entry.stored}, which a {recipe.style} of this recipe has.")
        found |= dict(zip(entry.names, entry.split(tensors[entry.stored]), strict=True))
    return found


def config(recipe: Recipe) -> dict[str, Any]:
    """The content of config.json."""
    return _CONFIGS[recipe.style](recipe) | {"tie_word_embeddings": recipe.tied, "dtype": "float32"}


def _both(stored: str, names: tuple[str, ...], **layout) -> Iterator[Entry]:
    """The weight and the bias of a linear map or a norm."""
    for kind in ("weight", "bias"):
        yield Entry(f"{stored}.{kind}", tuple(f"{name}.{kind}" for name in names), **layout)


def _gpt2(recipe: Recipe) -> Iterator[Entry]:
    yield Entry("transformer.wte.weight", ("embed.W_E.weight",))
    yield Entry("transformer.wpe.weight", ("embed.W_pos.weight",))
    for layer in range(recipe.layers):
        theirs, ours = f"transformer.h.{layer}", f"layers.{layer}"
        yield from _both(f"{theirs}.ln_1", (f"{ours}.attn.norm",))
        qkv = tuple(f"{ours}.attn.{part}" for part in ("W_Q", "W_K", "W_V"))
        yield from _both(f"{theirs}.attn.c_attn", qkv, transposed=True)
        yield from _both(f"{theirs}.attn.c_proj", (f"{ours}.attn.W_O",), transposed=True)
        yield from _both(f"{theirs}.ln_2", (f"{ours}.mlp.norm",))
        yield from _both(f"{theirs}.mlp.c_fc", (f"{ours}.mlp.W_in",), transposed=True)
        yield from _both(f"{theirs}.mlp.c_proj", (f"{ours}.mlp.W_out",), transposed=True)
    yield from _both("transformer.ln_f", ("unembed.norm",))
    if not recipe.tied:
        yield Entry("lm_head.weight", ("unembed.W_U.weight",))


def _llama(recipe: Recipe) -> Iterator[Entry]:
    yield Entry("model.embed_tokens.weight", ("embed.W_E.weight",))
    per_layer = {
        "input_layernorm": "attn.norm",
        "self_attn.q_proj": "attn.W_Q",
        "self_attn.k_proj": "attn.W_K",
        "self_attn.v_proj": "attn.W_V",
        "self_attn.o_proj": "attn.W_O",
        "post_attention_layernorm": "mlp.norm",
        "mlp.gate_proj": "mlp.W_gate",
        "mlp.up_proj": "mlp.W_in",
        "mlp.down_proj": "mlp.W_out",
    }
    for layer in range(recipe.layers):
        for theirs, ours in per_layer.items():
            yield Entry(f"model.layers.{layer}.{theirs}.weight", (f"layers.{layer}.{ours}.weight",))
    yield Entry("model.norm.weight", ("unembed.norm.weight",))
    if not recipe.tied:
        yield Entry("lm_head.weight", ("unembed.W_U.weight",))


def _neox(recipe: Recipe) -> Iterator[Entry]:
    yield Entry("gpt_neox.embed_in.weight", ("embed.W_E.weight",))
    for layer in range(recipe.layers):
        theirs, ours = f"gpt_neox.layers.{layer}", f"layers.{layer}"
        yield from _both(f"{theirs}.input_layernorm", (f"{ours}.attn.norm",))
        qkv = tuple(f"{ours}.attn.{part}" for part in ("W_Q", "W_K", "W_V"))
        yield from _both(f"{theirs}.attention.query_key_value", qkv, heads=recipe.heads)
        yield from _both(f"{theirs}.attention.dense", (f"{ours}.attn.W_O",))
        yield from _both(f"{theirs}.post_attention_layernorm", (f"{ours}.mlp.norm",))
        yield from _both(f"{theirs}.mlp.dense_h_to_4h", (f"{ours}.mlp.W_in",))
        yield from _both(f"{theirs}.mlp.dense_4h_to_h", (f"{ours}.mlp.W_out",))
    yield from _both("gpt_neox.final_layer_norm", ("unembed.norm",))
    if not recipe.tied:
        yield Entry("embed_out.weight", ("unembed.W_U.weight",))


def _gpt2_config(recipe: Recipe) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_layer": recipe.layers,
        "n_embd": recipe.width,
        "n_head": recipe.heads,
        "n_inner": recipe.mlp_ratio * recipe.width,
        "n_positions": recipe.context,
        "vocab_size": recipe.vocabulary,
        "activation_function": "gelu",
        "layer_norm_epsilon": NORM_EPS,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }


def _common(recipe: Recipe) -> dict[str, Any]:
    return {
        "num_hidden_layers": recipe.layers,
        "hidden_size": recipe.width,
        "num_attention_heads": recipe.heads,
        "intermediate_size": recipe.mlp_ratio * recipe.width,
        "max_position_embeddings": recipe.context,
        "vocab_size": recipe.vocabulary,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }


def _llama_config(recipe: Recipe) -> dict[str, Any]:
    return _common(recipe) | {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "num_key_value_heads": recipe.heads,
        "hidden_act": "silu",
        "rms_norm_eps": NORM_EPS,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROTARY_BASE},
        "rope_theta": ROTARY_BASE,
    }


def _neox_config(recipe: Recipe) -> dict[str, Any]:
    share = STYLES["neox"].rotated
    return _common(recipe) | {
        "model_type": "gpt_neox",
        "architectures": ["GPTNeoXForCausalLM"],
        "hidden_act": "gelu",
        "layer_norm_eps": NORM_EPS,
        "use_parallel_residual": True,
        "rotary_pct": share,
        "rotary_emb_base": ROTARY_BASE,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROTARY_BASE, "partial_rotary_factor": share},
    }


_CONFIGS = {"gpt2": _gpt2_config, "llama": _llama_config, "neox": _neox_config}
