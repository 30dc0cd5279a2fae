"""Sizes that cutting needs, and heads, from a model's configuration in whatever words it uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_WORDS = {
    "heads": ("num_attention_heads", "n_head", "num_heads", "n_heads", "encoder_attention_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads"),
    "hidden": ("hidden_size", "n_embd", "d_model", "dim", "n_embed"),
    "head": ("head_dim", "d_kv"),
    "kv_rank": ("kv_lora_rank",),
    "nope": ("qk_nope_head_dim",),
    "rope": ("qk_rope_head_dim",),
    "value": ("v_head_dim",),
    "inner_group": ("inner_group_num",),
}


@dataclass(frozen=True, slots=True)
class Heads:
    """How many query heads and key-value heads a layer has, and the length of one head's queries (and values)."""

    heads: int
    kv_heads: int
    head_dim: int

    def key_value_head(self, head: int) -> int:
        """The key-value head that query head `head` reads: consecutive query heads share one."""
        return head * self.kv_heads // self.heads


def sizes(config: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that the configuration states or implies, by the names that rules use. Unknown ones are missing.

    heads, kv_heads, head (length of a head's query), q and kv (rows of all queries, of all keys), q_group (query rows
    per key-value head); kv_rank, nope, rope, value of latent attention [@deepseek2024v2, § 2.1]; inner_group of ALBERT.
    """
    text = config.get("text_config")
    flat = {**config, **text} if isinstance(text, Mapping) else config
    found = {"one": 1}
    for size, words in _WORDS.items():
        stated = (flat.get(word) for word in words)
        number = next((value for value in stated if type(value) is int and value > 0), None)
        if number is not None:
            found[size] = number
    if "heads" not in found:
        return found
    heads = found["heads"]
    # Multi-query attention has one key-value head [@shazeer2019mqa], whatever count stands beside that flag.
    if flat.get("multi_query") and not flat.get("new_decoder_architecture"):
        found["kv_heads"] = 1
    kv_heads = found.setdefault("kv_heads", heads)
    if "nope" in found and "rope" in found:
        found["head"] = found["nope"] + found["rope"]
    if "head" not in found and found.get("hidden", 0) % heads == 0 and "hidden" in found:
        found["head"] = found["hidden"] // heads
    if "head" in found and heads % kv_heads == 0:
        found["q"], found["kv"] = heads * found["head"], kv_heads * found["head"]
        found["q_group"] = heads // kv_heads * found["head"]
    return found


def heads(config: Mapping[str, Any]) -> Heads | None:
    """The heads of every layer, or None if the configuration does not say or the stacks differ."""
    found = sizes(config)
    if "q" not in found or config.get("decoder_attention_heads", found["heads"]) != found["heads"]:
        return None
    return Heads(found["heads"], found["kv_heads"], found["head"])
