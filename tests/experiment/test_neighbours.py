"""Relations kept in a lab: against brute force, bounded, escaped on the page; and what is refused."""

import numpy as np
import pytest
from typer.testing import CliRunner

from gedanken.analysis.packing_pictures import packing_picture, token_pictures
from gedanken.captures.neighbours import Directions
from gedanken.cli.main import app
from gedanken.experiment.neighbours import FOLLOWED, MOST, NEAREST, neighbour_rows
from gedanken.measurements.store import Lab
from gedanken.report.build import render
from gedanken.sources.vocabulary import Vocabulary
from gedanken.status import Failure

RNG = np.random.default_rng(3)
ROWS = RNG.standard_normal((60, 16))
TOKENS = ("king", "woman", "cat", "</script><b>bold</b>", "dog", *(f"w{i}" for i in range(54)), "cat ")
WORDS = Vocabulary(TOKENS)


def relations(**options):
    return neighbour_rows("model", "embed.W_E", Directions.of(ROWS), WORDS, **options)


def test_against_brute_force():
    unit = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    cosines = unit @ unit.T - 3 * np.eye(60)
    found = relations(words=("king",), pairs=(("cat", "dog"),))
    nearest = [row for row in found if row["relation"] == "nearest"]
    assert [row["other_id"] for row in nearest] == list(np.argsort(-cosines[0])[:NEAREST])
    (pair,) = [row for row in found if row["relation"] == "pair"]
    assert pair["cosine"] == pytest.approx(cosines[2, 4], abs=1e-6)  # rows are kept in float32
    pairs = cosines[np.triu_indices(60, 1)]
    assert pair["edge"] == pytest.approx(pairs.mean() + 2 * pairs.std(), abs=1e-6)
    followers = np.bincount(cosines.argmax(axis=1), minlength=60)
    kept = {row["token_id"]: row["followers"] for row in found if row["relation"] == "followed"}
    assert sorted(kept.values(), reverse=True) == sorted(followers[followers > 0], reverse=True)[:FOLLOWED]
    assert all(followers[token] == count for token, count in kept.items())


def test_words_that_are_no_tokens():
    assert {row["token"] for row in relations() if row["relation"] == "nearest"} == {"king", "woman", "cat"}
    with pytest.raises(Failure, match="not one token"):
        relations(words=("xylophone",))
    with pytest.raises(Failure, match="At most"):
        relations(words=("king",) * (MOST + 1))


def test_without_a_vocabulary():
    found = neighbour_rows("model", "embed.W_E", Directions.of(ROWS), None, words=("7",))
    assert {row["relation"] for row in found} == {"nearest", "followed"} and found[0]["token"] == "#7"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A lab with a scanned model and its relations, and two packings."""
    folder = tmp_path_factory.mktemp("model")
    np.savez(folder / "weights.npz", **{"model.embed_tokens.weight": ROWS.astype(np.float32)})
    (folder / "vocab.txt").write_text("\n".join(TOKENS))
    place = str(folder / "lab")
    source = str(folder / "weights.npz")
    for command in (
        ["scan", source, "--run", "model", "--lab", place, "--no-report", "--quiet"],
        ["embedding", "record", source, "--run", "model", "--lab", place, "--word", "#3", "--word", "king", "--quiet"],
        ["pack", "--d", "2", "--d", "3", "--k", "6", "--evaluations", "50", "--lab", place, "--quiet"],
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    return Lab(place)


def test_pictures(lab):
    tokens, packings = token_pictures(lab), packing_picture(lab)
    assert set(tokens["picture"]) == {"nearest_tokens", "token_pairs", "followed_tokens"}
    labels = tokens.filter(tokens["picture"] == "nearest_tokens").group_by("group").agg("label")
    assert all(len(set(found)) == len(found) for found in labels["label"])  # two tokens write "cat"
    kinds = {"packed, scale_free loss", "fit", "Welch bound", "random directions"}
    assert set(packings["kind"]) == kinds and set(packings["number"]) == {2, 3}


def test_the_page_shows_tokens_and_runs_none_of_them(lab):
    page = render(lab)
    assert 'id="relations"' in page and 'id="packing"' in page
    assert "<b>bold</b>" not in page and "\\u003cb\\u003ebold" in page


def test_a_run_that_is_not_in_the_lab(lab, tmp_path):
    result = CliRunner().invoke(app, ["embedding", "record", "nowhere.npz", "--run", "other", "--lab", str(tmp_path)])
    assert result.exit_code != 0
