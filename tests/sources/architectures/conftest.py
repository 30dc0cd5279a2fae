"""One tiny model of each transformers family, with random weights and no biases, saved as its users would find it."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import dataclasses

import pytest

DENSE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 64,
    "max_position_embeddings": 40,
}
PAD = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
GROUPED = DENSE | {"num_key_value_heads": 2}
GROUPED_16 = GROUPED | {"head_dim": 16}
EXPERTS = GROUPED | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
LATENT = DENSE | {
    "num_key_value_heads": 4, "q_lora_rank": 12, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4,
    "v_head_dim": 6, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2,
    "moe_intermediate_size": 24, "first_k_dense_replace": 1,
}  # fmt: skip
OPENAI = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 64, "n_positions": 40}
FALCON = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 64}
T5 = {"d_model": 32, "d_kv": 12, "d_ff": 48, "num_layers": 2, "num_heads": 4, "vocab_size": 64}
BART = {
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "vocab_size": 64,
}  # fmt: skip

# name: (model class, configuration class, arguments)
MODELS = {
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", OPENAI),
    "gpt_bigcode_mq": ("GPTBigCodeForCausalLM", "GPTBigCodeConfig", OPENAI | {"multi_query": True}),
    "gpt_bigcode_mh": ("GPTBigCodeForCausalLM", "GPTBigCodeConfig", OPENAI | {"multi_query": False}),
    "gpt_neo": (
        "GPTNeoForCausalLM",
        "GPTNeoConfig",
        FALCON | {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
    ),
    "gptj": ("GPTJForCausalLM", "GPTJConfig", OPENAI | {"rotary_dim": 4}),
    "gpt_neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", DENSE),
    "llama": ("LlamaForCausalLM", "LlamaConfig", GROUPED),
    "mistral": ("MistralForCausalLM", "MistralConfig", GROUPED),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", GROUPED),
    "qwen3": ("Qwen3ForCausalLM", "Qwen3Config", GROUPED_16),
    "gemma": ("GemmaForCausalLM", "GemmaConfig", GROUPED_16),
    "gemma2": ("Gemma2ForCausalLM", "Gemma2Config", GROUPED_16),
    "gemma3": ("Gemma3ForCausalLM", "Gemma3TextConfig", GROUPED_16),
    "smollm3": ("SmolLM3ForCausalLM", "SmolLM3Config", GROUPED | PAD),
    "olmo2": ("Olmo2ForCausalLM", "Olmo2Config", GROUPED | PAD),
    "phi": ("PhiForCausalLM", "PhiConfig", DENSE),
    "phi3": ("Phi3ForCausalLM", "Phi3Config", GROUPED | PAD),
    "starcoder2": ("Starcoder2ForCausalLM", "Starcoder2Config", GROUPED),
    "falcon_7b": ("FalconForCausalLM", "FalconConfig", FALCON | {"multi_query": True}),
    "falcon_new": ("FalconForCausalLM", "FalconConfig", FALCON | {"num_kv_heads": 2, "new_decoder_architecture": True}),
    "falcon_rw": ("FalconForCausalLM", "FalconConfig", FALCON | {"multi_query": False, "alibi": True}),
    "bloom": ("BloomForCausalLM", "BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": 64}),
    "mpt": ("MptForCausalLM", "MptConfig", {"d_model": 32, "n_layers": 2, "n_heads": 4, "vocab_size": 64}),
    "opt": ("OPTForCausalLM", "OPTConfig", DENSE | {"ffn_dim": 48, "word_embed_proj_dim": 16}),
    "mamba": ("MambaForCausalLM", "MambaConfig", {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 64}),
    "bert": ("BertForMaskedLM", "BertConfig", DENSE),
    "roberta": ("RobertaForMaskedLM", "RobertaConfig", DENSE),
    "distilbert": (
        "DistilBertForMaskedLM",
        "DistilBertConfig",
        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "vocab_size": 64, "max_position_embeddings": 40},
    ),
    "electra": ("ElectraForMaskedLM", "ElectraConfig", DENSE | {"embedding_size": 16}),
    "electra_discriminator": ("ElectraForPreTraining", "ElectraConfig", DENSE | {"embedding_size": 16}),
    "albert": ("AlbertForMaskedLM", "AlbertConfig", DENSE | {"embedding_size": 16}),
    "albert_groups": (
        "AlbertForMaskedLM",
        "AlbertConfig",
        DENSE | {"embedding_size": 16, "num_hidden_groups": 2, "inner_group_num": 2},
    ),
    "deberta": (
        "DebertaV2ForMaskedLM",
        "DebertaV2Config",
        DENSE | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    ),
    "modernbert": (
        "ModernBertForMaskedLM",
        "ModernBertConfig",
        DENSE | PAD | {"cls_token_id": 1, "sep_token_id": 2},
    ),
    "t5": ("T5ForConditionalGeneration", "T5Config", T5),
    "t5_gated": ("T5ForConditionalGeneration", "T5Config", T5 | {"feed_forward_proj": "gated-gelu"}),
    "bart": ("BartForConditionalGeneration", "BartConfig", BART | {"max_position_embeddings": 40}),
    "whisper": (
        "WhisperForConditionalGeneration",
        "WhisperConfig",
        BART
        | PAD
        | {"num_mel_bins": 8, "max_source_positions": 20, "max_target_positions": 40}
        | {"decoder_start_token_id": 1, "begin_suppress_tokens": None},
    ),
    "vit": ("ViTForImageClassification", "ViTConfig", DENSE | {"image_size": 8, "patch_size": 4, "num_labels": 3}),
    "mixtral": ("MixtralForCausalLM", "MixtralConfig", GROUPED | {"num_local_experts": 4}),
    "qwen2_moe": ("Qwen2MoeForCausalLM", "Qwen2MoeConfig", EXPERTS | {"shared_expert_intermediate_size": 40}),
    "qwen3_moe": ("Qwen3MoeForCausalLM", "Qwen3MoeConfig", EXPERTS | {"head_dim": 16}),
    "olmoe": ("OlmoeForCausalLM", "OlmoeConfig", GROUPED | PAD | {"num_experts": 4, "num_experts_per_tok": 2}),
    "gpt_oss": (
        "GptOssForCausalLM",
        "GptOssConfig",
        GROUPED_16 | {"num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "deepseek_v2": ("DeepseekV2ForCausalLM", "DeepseekV2Config", LATENT),
    "deepseek_v3": ("DeepseekV3ForCausalLM", "DeepseekV3Config", LATENT | {"n_group": 1, "topk_group": 1}),
}


@dataclasses.dataclass
class Tiny:
    """A model in memory and the folder that it was saved to."""

    name: str
    model: object
    folder: object


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """name → Tiny; built and saved at the first call for a name."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    built = {}

    def make(name: str) -> Tiny:
        if name not in built:
            model_class, config_class, arguments = MODELS[name]
            torch.manual_seed(0)
            model = getattr(transformers, model_class)(getattr(transformers, config_class)(**arguments)).eval()
            with torch.no_grad():
                for parameter_name, parameter in model.named_parameters():
                    if parameter_name.rpartition(".")[2].endswith("bias"):
                        parameter.zero_()
                    elif parameter.ndim > 1:
                        parameter.normal_(std=parameter.shape[-1] ** -0.5)
            folder = tmp_path_factory.mktemp(name)
            model.save_pretrained(folder)
            built[name] = Tiny(name, model, folder)
        return built[name]

    return make


@pytest.fixture(params=MODELS)
def tiny(request, build) -> Tiny:
    return build(request.param)
