"""Data: tokens that round-trip, batches by number, documents held out, tasks with a known answer."""

import sys
from functools import cache
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.sources.texts.base import Given
from gedanken.sources.training.corpus import Corpus, documents
from gedanken.sources.training.dataset_text import DatasetText
from gedanken.sources.training.open_data import open_data
from gedanken.sources.training.presets import preset
from gedanken.sources.training.randomness import generator, stream
from gedanken.sources.training.tasks import Copy, Modular
from gedanken.sources.training.tokens import BytePairs, Bytes
from gedanken.status import Failure

PYTHON = [
    "def f(x):\n    return x\n" * 40,
    "import numpy as np\nclass A:\n    pass\n" * 30,
    "# Grüße, λ ≥ 0\n" * 50,
] * 4


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30), max_size=4))
@settings(deadline=None, max_examples=60)
def test_bytes_are_the_bytes_and_the_saved_tokenizer_agrees(texts):
    tokens = Bytes()
    assert bytes(tokens.encode(texts)) == b"".join(text.encode() + b"\0" for text in texts)
    for text in texts:
        assert tokens.tokenizer.encode(text).ids == list(text.encode())
        assert tokens.tokenizer.decode(list(text.encode())) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@settings(deadline=None, max_examples=60)
def test_byte_pairs_round_trip(text):
    tokens = BytePairs.learnt(PYTHON, 300)
    ids = tokens.encode([text])
    assert ids[-1] == 0 and tokens.tokenizer.decode(ids[:-1].tolist()) == text


def test_byte_pairs_are_learnt_the_same_way_twice():
    one, other = (BytePairs.learnt(PYTHON, 300) for _ in range(2))
    assert one.fingerprint() == other.fingerprint() and one.vocabulary == 300


def test_a_broken_tokenizer_is_a_sentence(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(BytePairs.learnt(PYTHON, 300).tokenizer.to_str())
    assert BytePairs.load(path).vocabulary == 300
    for content in ("", "{}", path.read_text()[:-40]):
        path.write_text(content)
        with pytest.raises(Failure, match="is no tokenizer"):
            BytePairs.load(path)


def test_randomness_depends_on_the_address_alone():
    first = generator(3, "batch", 7).integers(0, 1 << 30, 5)
    generator(3, "batch", 6).random(10_000)
    assert np.array_equal(generator(3, "batch", 7).integers(0, 1 << 30, 5), first)
    draws = {tuple(generator(s, p, n).integers(0, 1 << 30, 5)) for s in (3, 4) for p in ("batch", "x") for n in (7, 8)}
    assert len(draws) == 8 and stream(0, "x") < 1 << 63


@cache
def corpus(**fields):
    return open_data(preset("smoke", text_limit=300_000, **fields))


def test_targets_are_the_next_tokens_and_batches_repeat():
    data = corpus()
    inputs, targets = data.batch(5)
    assert inputs.shape == targets.shape == (8, 64)
    assert np.array_equal(inputs[:, 1:], targets[:, :-1])
    assert np.array_equal(data.batch(5)[0], inputs) and not np.array_equal(data.batch(6)[0], inputs)
    assert not np.array_equal(corpus(seed=1).batch(5)[0], inputs)


def test_held_out_windows_do_not_overlap_and_do_not_depend_on_the_seed():
    one, other = list(corpus().held_out(20)), list(corpus(seed=9).held_out(20))
    assert all(
        np.array_equal(a, b) for left, right in zip(one, other, strict=True) for a, b in zip(left, right, strict=True)
    )
    rows = np.concatenate([inputs for inputs, _ in one])
    assert len(rows) == 20
    joined = rows.ravel()
    assert np.array_equal(joined, corpus()._held_out[: joined.size])


def test_no_held_out_document_is_trained_on():
    from gedanken.sources.training.corpus import _split

    used = [f"document {i}" for i in range(200)]
    train, held_out = _split(used, 0.05)
    assert sorted(train + held_out) == sorted(used) and not set(train) & set(held_out)
    assert 10 <= len(held_out) <= 12


def test_shuffled_tokens_keep_their_frequencies_and_nothing_else():
    plain, shuffled = corpus(), corpus(control="shuffled")
    assert np.array_equal(np.bincount(plain._train), np.bincount(shuffled._train))
    assert np.array_equal(np.bincount(plain._held_out), np.bincount(shuffled._held_out))

    def bigram_information(row):
        """Mutual information of neighbours in nat, with its upward bias of about (V−1)²/2n."""
        joint = np.histogram2d(row[:-1], row[1:], bins=[np.arange(257)] * 2)[0] / (len(row) - 1)
        expected = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
        kept = joint > 0
        return (joint[kept] * np.log(joint[kept] / expected[kept])).sum()

    used = len(np.unique(plain._train))
    bias = used**2 / (2 * len(plain._train))
    assert bigram_information(plain._train) > 20 * bias
    assert bigram_information(shuffled._train) < bias


def test_a_limited_text_is_whole_documents_and_the_same_ones():
    text = Given("t", tuple(f"{i} " * 50 for i in range(100)))
    some = documents(text, 5_000)
    assert 20 <= len(some) <= 60 and some == documents(text, 5_000)
    assert set(some) < set(text.given)
    assert sum(len(d) for d in some) <= 5_000


@pytest.mark.parametrize(
    "fields, sentence",
    [
        ({"text": "short"}, "The training text has 19 tokens; a context of 64 needs 65 at least"),
        ({"vocabulary": 100}, "numbered to 256, but the model has only 100"),
        ({"tokens": "bpe", "vocabulary": 256}, "256 is too few"),
        ({"text": "missing.txt"}, "There is no text"),
        ({"text": "datasets:none-such"}, "takes the package datasets|could not be loaded"),
        ({"task": "modular", "vocabulary": 50}, "Sums modulo 97 take 99 tokens, but the model has only 50"),
        ({"task": "modular", "context": 3}, "context of 4 tokens"),
    ],
)
def test_what_cannot_be_trained_on_is_a_sentence(fields, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("hello, hello, hello")
    with pytest.raises(Failure, match=sentence):
        open_data(preset("smoke", **fields))


def test_a_data_set_is_streamed_up_to_its_limit(monkeypatch):
    asked, rows = [], iter([{"body": "x" * 100} for _ in range(50)])

    class Fake(ModuleType):
        @staticmethod
        def load_dataset(name, config, *, split, streaming):
            asked.append((name, config, split, streaming))
            return rows

    monkeypatch.setitem(sys.modules, "datasets", Fake("datasets"))
    text = DatasetText.parse("datasets:a/b:en:test:body", 1000)
    assert len(list(text.documents())) == 10 and len(list(rows)) == 40
    assert asked == [("a/b", "en", "test", True)]
    monkeypatch.setattr(Fake, "load_dataset", lambda *given, **named: [{"body": ""}])
    with pytest.raises(Failure, match="has no column text; it has body"):
        list(DatasetText.parse("datasets:a/b", 5).documents())


def test_too_large_a_vocabulary_for_the_text_is_a_sentence(tmp_path):
    (tmp_path / "a.txt").write_text("ab " * 3000)
    recipe = preset("smoke", tokens="bpe", vocabulary=4000, text=str(tmp_path / "a.txt"))
    with pytest.raises(Failure, match=r"gives only \d+ byte-pair tokens, fewer than the vocabulary of 4000"):
        Corpus.of(recipe)


def test_an_empty_text_is_a_sentence(tmp_path):
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(Failure, match="is empty"):
        open_data(preset("smoke", text=str(tmp_path / "a.txt")))


def test_sums_are_right_and_the_held_out_pairs_are_new():
    data = Modular(preset("smoke", task="modular", modulus=13))
    seen = set()
    for number in range(60):
        inputs, targets = data.batch(number)
        assert np.array_equal(targets[:, -1], (inputs[:, 0] + inputs[:, 2]) % 13)
        assert (targets[:, :-1] < 0).all()
        seen |= {tuple(row) for row in inputs[:, [0, 2]]}
    held = {tuple(row) for inputs, _ in data.held_out(1000) for row in inputs[:, [0, 2]]}
    assert len(held) == 13 * 13 - 84 and not held & seen


def test_copies_are_copies():
    inputs, targets = Copy(preset("smoke", task="copy")).batch(0)
    assert inputs.shape == (8, 64)
    assert np.array_equal(targets[:, 32:], inputs[:, :32])
    assert (targets[:, :32] < 0).all() and (inputs[:, 32] == 0).all()
