"""Running: a stored or live model on a text; what it is called, what its fingerprint covers, its nulls, bad input."""

import pickle

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, LlamaConfig, LlamaForCausalLM, RobertaConfig

from gedanken.sources.models import open_model
from gedanken.sources.runnable import Live, Stored
from gedanken.sources.running import RunningSource
from gedanken.sources.tokenizers import Bytes
from gedanken.status import Failure

TEXT = ["".join(f"Sentence {i} of document {j}.\n" for i in range(40)) for j in range(12)]
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def llama(vocabulary: int = 256, seed: int = 77):
    with torch.random.fork_rng():
        torch.random.manual_seed(seed)
        config = LlamaConfig(vocab_size=vocabulary, max_position_embeddings=64, **SIZES)
        return LlamaForCausalLM(config).eval()


@pytest.fixture
def folder(tmp_path):
    llama().save_pretrained(tmp_path / "bytes")
    return tmp_path / "bytes"


def running(source):
    (snapshot,) = source.snapshots()
    return snapshot.state


def test_a_stored_model_on_a_text(folder):
    source = RunningSource.of(folder, TEXT, prompts=10, context=32)
    assert source.run == "bytes+given" and source.null_of is None
    state = running(source)
    assert len(state.prompts) == 10 and state.prompts.longest == 32
    assert isinstance(state.load(), LlamaForCausalLM)
    about = source.describe()
    assert about["text_hash"] == source.text_hash and about["tokenizer_hash"] == "bytes256"
    assert about["dtype"] == "float32" and about["device"] == "cpu" and about["source"].endswith("on given")


def test_the_fingerprint_covers_model_text_and_options(folder):
    def mark(text=TEXT, **options):
        (snapshot,) = RunningSource.of(folder, text, **({"prompts": 10, "context": 32} | options)).snapshots()
        return snapshot.fingerprint

    first = mark()
    assert first == mark() == mark(batch=3)
    assert len({first, mark(TEXT[1:]), mark(context=30), mark(prompts=9), mark(dtype="bfloat16")}) == 5
    llama(seed=1).save_pretrained(folder)
    assert mark() != first


def test_a_snapshot_travels_without_its_tensors(folder):
    state = running(RunningSource.of(folder, TEXT, prompts=10, context=32))
    prompts = state.prompts
    content = pickle.dumps(state)
    assert len(content) < 40_000
    again = pickle.loads(content)
    assert all(np.array_equal(a, b) for a, b in zip(again.prompts.tokens, prompts.tokens, strict=True))


def test_nulls_are_runs_of_their_own(folder):
    source = RunningSource.of(folder, TEXT, run="mine", prompts=10, context=32)
    nulls = source.nulls()
    assert [null.run for null in nulls] == [
        f"mine~{n}" for n in ("shuffled", "unigram", "random", "random2", "random3")
    ]
    assert all(null.null_of == null.describe()["null_of"] == "mine" for null in nulls)
    marks = {next(null.snapshots()).fingerprint for null in [source, *nulls]}
    assert len(marks) == 6
    shuffled, unigram, *twins = [running(null) for null in nulls]
    original = running(source)
    weights = [state.load().model.layers[0].mlp.up_proj.weight for state in (original, shuffled, *twins)]
    assert torch.equal(weights[0], weights[1])
    assert len({float(weight.detach().sum()) for weight in weights}) == 4
    rows = [state.prompts.tokens[0] for state in (original, shuffled, unigram, twins[0])]
    assert np.array_equal(np.sort(rows[0]), np.sort(rows[1])) and np.array_equal(rows[0], rows[3])
    assert len({row.tobytes() for row in rows}) == 3
    again = running(source.nulls()[2]).load().model.layers[0].mlp.up_proj.weight
    assert torch.equal(again, weights[2])


def test_random_twins_leave_the_random_state_alone(folder):
    state = running(RunningSource.of(folder, TEXT, prompts=4, context=32).nulls()[2])
    torch.random.manual_seed(5)
    expected = torch.rand(3)
    torch.random.manual_seed(5)
    state.load()
    assert torch.equal(torch.rand(3), expected)


def test_a_live_module():
    module = llama()
    source = RunningSource.of(module, TEXT, prompts=10, context=32)
    assert source.run == "LlamaForCausalLM+given" and running(source).load() is module
    twin = running(source.nulls()[2]).load()
    assert isinstance(twin, LlamaForCausalLM) and twin is not module
    other = RunningSource.of(llama(300), TEXT, tokenizer=Bytes(), prompts=10, context=32)
    assert running(other).prompts.longest == 32
    with pytest.raises(Failure, match="brings no tokenizer"):
        RunningSource.of(llama(300), TEXT, context=32)


def test_a_module_without_a_configuration_has_no_twin():
    module = torch.nn.Linear(2, 2)
    with pytest.raises(Failure, match="no configuration"):
        Live(module).random_twin("cpu", "float32", 0)


def test_tokens_instead_of_text(folder):
    tokens = np.arange(60).reshape(4, 15)
    source = RunningSource.of(folder, tokens)
    assert source.run == "bytes+tokens" and source.describe()["tokenizer_hash"] is None
    assert source.text_hash != RunningSource.of(folder, tokens + 1).text_hash
    with pytest.raises(Failure, match="vocabulary ends at 255"):
        RunningSource.of(folder, tokens + 200)
    with pytest.raises(Failure, match="more than the 64"):
        RunningSource.of(folder, np.zeros((2, 65), int))


def test_a_ladder_runs_at_every_rung(tmp_path):
    for step in (1, 20):
        llama(seed=step).save_pretrained(tmp_path / f"step-{step}")
    (tmp_path / "step-300").mkdir()
    source = RunningSource.of(str(tmp_path / "step-*"), TEXT, prompts=4, context=32)
    first, second, broken = source.snapshots()
    assert (first.step, second.step, broken.step) == (1, 20, 300) and first.fingerprint != second.fingerprint
    assert first.state.model == Stored(str(tmp_path / "step-1"))
    assert "step 300" in broken.state.failure.sentence


def test_bad_input_is_one_sentence(folder, tmp_path):
    with pytest.raises(Failure, match="context of 65 tokens is longer than the 64"):
        RunningSource.of(folder, TEXT, context=65)
    with pytest.raises(Failure, match="is empty"):
        RunningSource.of(folder, [" "], context=32)
    with pytest.raises(Failure, match="gives 0 prompts"):
        RunningSource.of(folder, ["a"], context=32)
    with pytest.raises(Failure, match="no model that could be run"):
        RunningSource.of({"a": np.zeros((3, 3))}, TEXT)
    llama(300).save_pretrained(tmp_path / "wordless")
    with pytest.raises(Failure, match="no tokenizer"):
        RunningSource.of(tmp_path / "wordless", TEXT, context=32)
    llama().save_pretrained(tmp_path / "unknown")
    (tmp_path / "unknown" / "config.json").unlink()
    with pytest.raises(Failure, match="configuration"):
        RunningSource.of(tmp_path / "unknown", TEXT, context=32)


def test_positions_behind_the_padding_are_not_counted():
    """RoBERTa's position table has 514 rows for 512 positions."""
    config = RobertaConfig(vocab_size=256, max_position_embeddings=66, pad_token_id=1, **SIZES)

    class Named(Live):
        """A live model whose configuration is given."""

    assert Named(torch.nn.Linear(1, 1), known=config.to_dict()).longest == 64


def test_the_class_is_what_the_weights_are(tmp_path):
    model = BertForMaskedLM(BertConfig(vocab_size=256, **SIZES))
    model.save_pretrained(tmp_path / "bert")
    stored = Stored.at(tmp_path / "bert")
    assert isinstance(stored.load("cpu", "float32"), BertForMaskedLM)
    skeleton = stored.skeleton()
    assert isinstance(skeleton, BertForMaskedLM) and next(skeleton.parameters()).is_meta
    assert open_model(tmp_path / "bert").run == "bert"
    assert Stored.at(tmp_path / "bert" / "model.safetensors") == stored


def test_the_first_prompts_are_shown_token_by_token(folder):
    documents, tokens = RunningSource.of(folder, TEXT, prompts=10, context=32).shown()
    # 31 predicted tokens each, and at most 256 together: eight whole prompts.
    assert len(documents) == len(tokens) == 8 and {len(row) for row in tokens} == {32}
    assert "".join(tokens[0]) in TEXT[documents[0]]
    numbers = [np.arange(3) for _ in range(4)]
    assert RunningSource.of(folder, numbers).shown() == ([0, 1, 2, 3], [["0 ", "1 ", "2 "]] * 4)
