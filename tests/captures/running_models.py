"""Tiny models of many families with random weights, and prompts for them."""

import numpy as np
import torch
import transformers as tf

from gedanken.sources.prompts import Prompts

SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
LLAMA = SMALL | {"num_key_value_heads": 1, "head_dim": 8}

FAMILIES = {
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**LLAMA)),
    "qwen2": lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**SMALL, num_key_value_heads=1)),
    "qwen3": lambda: tf.Qwen3ForCausalLM(tf.Qwen3Config(**LLAMA)),
    "mistral": lambda: tf.MistralForCausalLM(tf.MistralConfig(**LLAMA, sliding_window=4)),
    "gemma2": lambda: tf.Gemma2ForCausalLM(tf.Gemma2Config(**LLAMA)),
    "olmo2": lambda: tf.Olmo2ForCausalLM(tf.Olmo2Config(**SMALL)),
    "phi": lambda: tf.PhiForCausalLM(tf.PhiConfig(**SMALL)),
    "falcon": lambda: tf.FalconForCausalLM(tf.FalconConfig(**SMALL)),
    "bloom": lambda: tf.BloomForCausalLM(tf.BloomConfig(vocab_size=50, hidden_size=16, n_layer=3, n_head=2)),
    "mpt": lambda: tf.MptForCausalLM(tf.MptConfig(vocab_size=50, d_model=16, n_layers=3, n_heads=2)),
    "gpt2": lambda: tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=50, n_embd=16, n_layer=3, n_head=2, n_positions=64)),
    "gptj": lambda: tf.GPTJForCausalLM(tf.GPTJConfig(vocab_size=50, n_embd=16, n_layer=3, n_head=2, rotary_dim=4)),
    "neox": lambda: tf.GPTNeoXForCausalLM(tf.GPTNeoXConfig(**SMALL, use_parallel_residual=False)),
    "neox parallel": lambda: tf.GPTNeoXForCausalLM(tf.GPTNeoXConfig(**SMALL, use_parallel_residual=True)),
    "opt": lambda: tf.OPTForCausalLM(
        tf.OPTConfig(
            vocab_size=50, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, ffn_dim=24, word_embed_proj_dim=16,
            max_position_embeddings=64,
        )
    ),
    "mixtral": lambda: tf.MixtralForCausalLM(tf.MixtralConfig(**LLAMA, num_local_experts=4)),
    "bert": lambda: tf.BertForMaskedLM(tf.BertConfig(**SMALL)),
    "roberta": lambda: tf.RobertaForMaskedLM(tf.RobertaConfig(**SMALL, max_position_embeddings=64, pad_token_id=0)),
    "modernbert": lambda: tf.ModernBertForMaskedLM(
        tf.ModernBertConfig(**SMALL, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2)
    ),
    "albert": lambda: tf.AlbertForMaskedLM(tf.AlbertConfig(**SMALL, embedding_size=8)),
    "t5": lambda: tf.T5ForConditionalGeneration(
        tf.T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=24, num_layers=3, num_heads=2, decoder_start_token_id=0)
    ),
    "bart": lambda: tf.BartForConditionalGeneration(
        tf.BartConfig(
            vocab_size=50, d_model=16, encoder_layers=3, decoder_layers=2, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24, max_position_embeddings=64,
        )
    ),
}  # fmt: skip

PARALLEL = ("phi", "falcon", "gptj", "neox parallel")
"""Blocks that add attention and MLP at once."""
NORMED_AFTER = ("bert", "roberta", "albert", "bart")
"""Blocks that normalise after adding."""


def model(family: str, seed: int = 0) -> torch.nn.Module:
    """With entries large enough that no two places of a block are alike."""
    with torch.random.fork_rng():
        torch.random.manual_seed(seed)
        made = FAMILIES[family]()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return made.eval()


def prompts(count: int = 10, longest: int = 12, seed: int = 0, equal: bool = False) -> Prompts:
    """Tokens from 3 to 49, of `longest` tokens or of lengths between 6 and that."""
    rng = np.random.default_rng(seed)
    lengths = np.full(count, longest) if equal else rng.integers(6, longest + 1, count)
    return Prompts.given([rng.integers(3, 50, length) for length in lengths])
