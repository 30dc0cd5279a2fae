"""gedanken embedding: relations of tokens of a model made up with known ones."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from gedanken.cli.main import app
from gedanken.status import Failure

WORDS = ["king", "man", "woman", "queen", "kings", "other", "more", "zero"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Eight words: queen = king − man + woman, kings is near king, zero is zero; and an unembedding of its own."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((8, 64))
    royal, male, female = rng.standard_normal((3, 64))
    rows[:4] = royal + male, male, female, royal + female
    rows[4] = rows[0] + 0.1 * rows[4]
    rows[7] = 0
    folder = tmp_path_factory.mktemp("model")
    tables = {"model.embed_tokens.weight": rows, "lm_head.weight": rng.standard_normal((8, 64))}
    np.savez(folder / "weights.npz", **{name: table.astype(np.float32) for name, table in tables.items()})
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return str(folder / "weights.npz")


def asked(*words):
    result = CliRunner().invoke(app, ["embedding", *words, "--json"])
    if result.exception:
        raise result.exception
    return json.loads(result.stdout)


def test_neighbours(model):
    rows = asked("neighbours", model, "king", "--count", "3")
    assert (
        [row["token"] for row in rows][0].strip() == "kings" and rows[0]["cosine"] > 0.9 and rows[0]["beyond_epsilon"]
    )
    assert asked("neighbours", model, "#0", "--count", "3") == rows
    assert asked("neighbours", model, "king", "--table", "W_U") != rows


def test_a_pair(model):
    (row,) = asked("pair", model, "king", "kings")
    assert row["cosine"] > row["epsilon"] and row["beyond_epsilon"] and row["random_pairs_above"] < 0.1


def test_an_analogy_leaves_the_words_out(model):
    rows = asked("analogy", model, "king", "man", "woman")
    assert rows[0]["token"].strip() == "queen"
    assert not {row["token"].strip() for row in rows} & {"king", "kings", "man", "woman"}


def test_hubs(model):
    rows = asked("hubs", model)
    assert sum(row["followers"] for row in rows) == 7  # the zero row follows none
    assert rows == sorted(rows, key=lambda row: -row["followers"])


def test_people_are_told_the_boundary(model):
    result = CliRunner().invoke(app, ["embedding", "neighbours", model, "king"])
    assert "nearest to 'king' (#0); ε = " in result.stdout and "of 7 tokens" in result.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["neighbours", "MODEL", "knig"], "not one token"),
        (["neighbours", "MODEL", "zero"], "zero"),
        (["neighbours", "MODEL", "king", "--table", "W_X"], "W_E or W_U"),
        (["pair", "MODEL", "king", "#8"], "ends at 7"),
        (["analogy", "MODEL", "king", "zero", "man"], "zero"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(model, words, sentence):
    with pytest.raises(Failure, match=sentence):
        asked(*(model if word == "MODEL" else word for word in words))
