"""Skipping blocks equals removing them; the kept stream changes nothing; a cut model is written and loads."""

import copy

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoXConfig, LlamaConfig, Qwen2Config, T5Config

from gedanken.captures.loss import surprisal
from gedanken.interventions.cut import check_free, cut, layer_list, save
from gedanken.interventions.skip import Skipper, block_influence
from gedanken.status import Failure

LAYERS = 4
CONFIGS = {
    "llama": LlamaConfig(vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=LAYERS,
                         num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=32),
    "gpt2": GPT2Config(vocab_size=50, n_embd=16, n_layer=LAYERS, n_head=2, n_positions=32),
    "neox": GPTNeoXConfig(vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=LAYERS,
                          num_attention_heads=2, max_position_embeddings=32),
    "qwen2": Qwen2Config(vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=LAYERS,
                         num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=32),
}  # fmt: skip


@pytest.fixture(params=CONFIGS)
def model(request):
    torch.random.manual_seed(0)
    return AutoModelForCausalLM.from_config(copy.deepcopy(CONFIGS[request.param])).eval()


@pytest.fixture
def batch():
    tokens = torch.randint(0, 50, (3, 12), generator=torch.Generator().manual_seed(1))
    return tokens, torch.ones_like(tokens, dtype=torch.bool)


def test_skipping_is_cutting(model, batch):
    removals = [(1,), (0, 2), (3,), (1, 2)]
    whole, *skipped = Skipper(model).surprisals(*batch, removals)
    torch.testing.assert_close(whole, surprisal(model, *batch), rtol=0, atol=0)
    for removed, found in zip(removals, skipped, strict=True):
        twin = AutoModelForCausalLM.from_config(copy.deepcopy(model.config)).eval()
        twin.load_state_dict(model.state_dict())
        cut(twin, removed)
        # the same operations in the same order: float32 rounding of one pass at most
        torch.testing.assert_close(found, surprisal(twin, *batch), rtol=1e-5, atol=1e-6)
        assert (found - whole).abs().max() > 1e-4
    torch.testing.assert_close(surprisal(model, *batch), whole, rtol=0, atol=0)


def test_a_cut_model_loads_with_the_same_loss(model, batch, tmp_path):
    cut(model, (1, 2))
    expected = surprisal(model, *batch)
    save(model, None, tmp_path / "cut", origin="org/name", removed=(1, 2), layers=LAYERS)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "cut").eval()
    assert loaded.config.num_hidden_layers == 2
    torch.testing.assert_close(surprisal(loaded, *batch), expected, rtol=0, atol=0)
    assert "layer_range: [0, 1]" in (tmp_path / "cut" / "layers.yaml").read_text()


def test_block_influence_is_one_minus_the_cosine(model, batch):
    skipper = Skipper(model)
    skipper.whole(*batch)
    states = model(batch[0], output_hidden_states=True).hidden_states
    found = block_influence(skipper.stream(), batch[1])
    expected = 1 - torch.nn.functional.cosine_similarity(states[1].double(), states[2].double(), dim=-1).mean()
    np.testing.assert_allclose(found[1, 2], float(expected.detach()), atol=1e-12)
    assert np.all(np.tril(found) == 0)


def test_what_cannot_be_cut_is_a_sentence(model):
    with pytest.raises(Failure, match="blocks 0 to 3"):
        cut(model, (7,))
    with pytest.raises(Failure, match="All 4 blocks"):
        cut(model, range(4))
    with pytest.raises(Failure, match="two stacks"):
        from transformers import T5ForConditionalGeneration

        config = T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2)
        Skipper(T5ForConditionalGeneration(config))


def test_layers_are_listed_as_stretches():
    text = layer_list("org/name", (2, 3, 7), 9)
    assert [line.strip() for line in text.splitlines() if "range" in line] == [
        "layer_range: [0, 2]", "layer_range: [4, 7]", "layer_range: [8, 9]",
    ]  # fmt: skip


def test_a_full_disk_leaves_the_folder_as_it_was(model, tmp_path, monkeypatch):
    folder = tmp_path / "cut"
    save(model, None, folder, origin="org/name", removed=(), layers=LAYERS)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(partial):
        partial.mkdir()
        (partial / "model.safetensors").write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(model, "save_pretrained", full)
    with pytest.raises(Failure, match="Could not write .*No space left on device"):
        save(model, None, folder, origin="org/name", removed=(1,), layers=LAYERS)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["cut"]


def test_no_folder_of_something_else_is_written_into(model, tmp_path):
    save(model, None, tmp_path / "cut", origin="org/name", removed=(), layers=LAYERS)
    check_free(tmp_path / "cut", "org/name")
    check_free(tmp_path / "new", "org/name")
    with pytest.raises(Failure, match="would be overwritten"):
        check_free(tmp_path / "cut", str(tmp_path / "cut"))
    with pytest.raises(Failure, match="would be overwritten"):
        check_free(tmp_path, "org/name")
