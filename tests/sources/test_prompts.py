"""Prompts: documents cut and tokenised, special tokens in their places, halves by document, nulls of the tokens."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Inner
from tokenizers import decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from gedanken.sources.prompts import Prompts, prompts_of
from gedanken.sources.texts.base import Given
from gedanken.sources.texts.logic import LogicText
from gedanken.sources.texts.open import open_text
from gedanken.sources.texts.stdlib import StandardLibrary
from gedanken.sources.tokenizers import BYTES, Bytes, HubTokenizer
from gedanken.status import Failure

LONG = Given("long", ("".join(f"Line {i} of a text.\n" for i in range(2000)),))


def fast(begin: bool = True, end: bool = True) -> HubTokenizer:
    """Bytes as a fast tokenizer, between [B] and [E]."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(["[B]", "[E]", *alphabet])}
    inner = Inner(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    around = " ".join(["[B]"] * begin + ["$A"] + ["[E]"] * end)
    inner.post_processor = processors.TemplateProcessing(single=around, special_tokens=[("[B]", 0), ("[E]", 1)])
    return HubTokenizer(PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="[B]", eos_token="[E]"))


@pytest.mark.parametrize("text", ["plain", "ünïcödé ∑ 漢字 🙂 mixed"])
def test_bytes_of_a_passage(text):
    """The tokens after the first stand for all bytes but the first token's; with a beginning token, for all bytes."""
    size = len(text.encode())
    assert Bytes().encode(text, 100).predicted_bytes == size - 1
    assert Bytes(begins=True).encode(text, 100).predicted_bytes == size
    found = fast().encode(text, 100)
    assert found.special[[0, -1]].all() and not found.special[1:-1].any()
    assert found.predicted_bytes == size
    # Without special tokens the first token's bytes are not predicted; a letter's bytes end together.
    assert fast(False, False).encode(text, 100).predicted_bytes == size - len(text[0].encode())


def test_a_passage_may_have_no_token():
    """One can begin where its document ends."""
    found = fast(False, False).encode("", 4)
    assert len(found.tokens) == len(found.special) == 0


def test_truncation_keeps_the_end_token():
    found = fast().encode("abcdefgh", 5)
    assert len(found.tokens) == 5 and found.tokens[-1] == 1 and found.predicted_bytes == 3


def test_byte_tokens_are_bytes():
    found = Bytes(begins=True).encode("hé", 10)
    np.testing.assert_array_equal(found.tokens, [BYTES, *"hé".encode()])


def test_prompts_of_one_long_text():
    prompts = prompts_of(LONG, Bytes(), 50, 80)
    assert len(prompts) == 50 and {len(row) for row in prompts.tokens} == {80} and prompts.half == 25
    assert len({row.tobytes() for row in prompts.tokens}) == 50
    whole = LONG.given[0].encode()
    starts = [whole.index(bytes(row.astype(np.uint8))) for row in prompts.tokens]
    assert starts == sorted(starts) and all(b - a >= 80 for a, b in zip(starts, starts[1:], strict=False))
    assert all(start == 0 or whole[start - 1 : start] == b"\n" for start in starts)


def test_short_documents_are_prompts_as_they_are():
    documents = ("One short document.", "Another one, a little longer.", "", "Third.")
    prompts = prompts_of(Given("short", documents), fast(), 10, 80)
    assert [len(row) for row in prompts.tokens] == [len(d) + 2 for d in documents if d]
    np.testing.assert_array_equal(prompts.bytes, [len(d) for d in documents if d])


def test_many_documents_give_one_prompt_each():
    documents = tuple("".join(f"{i} {j} words and words.\n" for j in range(60)) for i in range(40))
    prompts = prompts_of(Given("many", documents), Bytes(), 20, 64)
    assert len(prompts) == 20 and len(set(prompts.document)) == 20 and (np.diff(prompts.document) > 0).all()
    more = prompts_of(Given("many", documents), Bytes(), 60, 64)
    assert len(more) == 60 and set(more.document) == set(range(40))


def test_halves_end_with_a_document():
    rows = [np.arange(4)] * 7
    special = [np.zeros(4, bool)] * 7
    prompts = Prompts(tuple(rows), tuple(special), np.array([0, 0, 1, 1, 1, 1, 2]))
    assert prompts.half == 2
    one = Prompts(tuple(rows), tuple(special), np.zeros(7, int))
    assert one.half == 3


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_shuffled_tokens_are_the_same_tokens(seed):
    prompts = prompts_of(LONG, fast(), 6, 40)
    shuffled = prompts.shuffled(np.random.default_rng(seed))
    for before, after, special in zip(prompts.tokens, shuffled.tokens, prompts.special, strict=True):
        np.testing.assert_array_equal(before[special], after[special])
        np.testing.assert_array_equal(np.sort(before), np.sort(after))
        assert not np.array_equal(before, after)


def test_resampled_tokens_follow_the_frequencies_of_the_text():
    prompts = prompts_of(LONG, fast(), 50, 80)
    drawn = prompts.unigram(np.random.default_rng(0))
    assert drawn.bytes is None

    def shares(found):
        return np.bincount(np.concatenate(found.tokens), minlength=258) / found.count

    # Multinomial: each share of 4,000 tokens has a standard deviation below 0.008.
    np.testing.assert_allclose(shares(drawn), shares(prompts), atol=5 * 0.008)
    for before, after, special in zip(prompts.tokens, drawn.tokens, prompts.special, strict=True):
        np.testing.assert_array_equal(before[special], after[special])
    assert np.mean(np.concatenate(prompts.tokens) == np.concatenate(drawn.tokens)) < 0.2


@pytest.mark.parametrize(
    ("documents", "count", "context", "sentence"),
    [
        ((), 10, 80, "is empty"),
        (("", " \n"), 10, 80, "is empty"),
        (("a",), 10, 80, r"gives 0 prompts of 80 tokens, .* \(it has 1 token in all\)"),
        (("one document only",), 10, 80, "gives 1 prompt of"),
        (("some words", "more words"), 10, 1, "nothing to predict"),
    ],
)
def test_too_little_text_is_one_sentence(documents, count, context, sentence):
    with pytest.raises(Failure, match=sentence):
        prompts_of(Given("nothing", documents), Bytes(), count, context)


@pytest.mark.parametrize("tokens", [[[1, 2, 3]], [[1], [2]], [[1.5, 2.0], [1.0, 2.0]], [[[1, 2]], [[3, 4]]]])
def test_tokens_that_are_no_prompts(tokens):
    with pytest.raises(Failure):
        Prompts.given(tokens)


def test_texts_by_name(tmp_path):
    assert isinstance(open_text("stdlib"), StandardLibrary) and isinstance(open_text("logic", documents=4), LogicText)
    assert len(list(open_text("logic", documents=4).documents())) == 4
    (tmp_path / "a.txt").write_text("A plain text.")
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps({"text": word}) for word in ("one", "two")) + "\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    (tmp_path / ".hidden").write_text("not this")
    assert list(open_text(tmp_path / "a.txt").documents()) == ["A plain text."]
    assert list(open_text(str(tmp_path / "b.jsonl")).documents()) == ["one", "two"]
    assert list(open_text(tmp_path).documents()) == ["A plain text.", "one", "two"]
    assert open_text(tmp_path / "a.txt").name == "a"
    before = open_text(tmp_path / "a.txt").fingerprint()
    (tmp_path / "a.txt").write_text("A changed text.")
    assert open_text(tmp_path / "a.txt").fingerprint() != before
    assert open_text(["ab", "c"]).fingerprint() != open_text(["a", "bc"]).fingerprint()


def test_texts_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    (tmp_path / "broken.jsonl").write_text('{"text": "fine"}\n{"text": 3}\n')
    (tmp_path / "worse.jsonl").write_text("{")
    for name, sentence in [
        ("absent.txt", "There is no text"),
        ("latin.txt", "no UTF-8"),
        ("broken.jsonl", "Line 2"),
        ("worse.jsonl", "Line 1"),
    ]:
        with pytest.raises(Failure, match=sentence):
            list(open_text(tmp_path / name).documents())
    with pytest.raises(Failure, match="not a int"):
        open_text(3)


def test_the_standard_library_has_no_tests_and_one_order():
    text = StandardLibrary()
    documents = list(text.documents())
    assert len(documents) > 300 and sum(map(len, documents)) > 5_000_000
    assert not any("class TestCase(" not in d and "import test.support" in d for d in documents)
    assert text.fingerprint() == StandardLibrary().fingerprint()
