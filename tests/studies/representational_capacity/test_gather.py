"""What the study gathers from a lab: tables read again, cells of packings, embeddings beside residual streams."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import gedanken as gd
from gedanken.captures.neighbours import Directions
from gedanken.experiment.loop import run
from gedanken.experiment.packing import packing_plan
from gedanken.measurements.store import Lab
from gedanken.sources.packing.recipe import named
from gedanken.sources.packing.source import PackingSource
from gedanken.sources.vocabulary import Vocabulary
from gedanken.studies.representational_capacity import STUDY
from gedanken.studies.representational_capacity.evidence import gather
from gedanken.studies.representational_capacity.tables import relations

WORDS = ["king", "man", "woman", "queen", "yes", "no", "cat", "dog", *(f"w{i}" for i in range(192))]


def tables(rng, related=True):
    """W_E with queen = king − man + woman and pairs of kin, or of independent rows; W_U of independent, wider rows."""
    rows = rng.standard_normal((200, 128))
    if related:
        royal, male, female = rng.standard_normal((3, 128))
        rows[:4] = royal + male, male, female, royal + female
        rows[5], rows[7] = rows[4] + rows[5], rows[6] + rows[7]
    return rows, rng.standard_normal((200, 128)) + 0.5 * rng.standard_normal((200, 4)) @ rng.standard_normal((4, 128))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    lab = Lab(folder / "lab")
    embedding, unembedding = tables(np.random.default_rng(0))
    named_so = {"model.embed_tokens.weight": embedding, "lm_head.weight": unembedding}
    for name in ("first", "second"):
        (folder / name).mkdir()
        path = folder / name / "weights.npz"
        np.savez(path, **{key: table.astype(np.float32) for key, table in named_so.items()})
        (path.parent / "vocab.txt").write_text("\n".join(WORDS))
        gd.scan(str(path), lab, run_name=name, instruments=("cosine_edge", "cosine_quantile"))
    (folder / "second" / "weights.npz").unlink()
    for d in (4, 6):
        for p in (10, 40):
            source = PackingSource(9, d, named("better", d, p=p, evaluations=60), steps=(0, 60))
            run(source, packing_plan(0), lab)
    return lab


def test_tables_are_read_again_where_they_are(lab):
    evidence = gather(lab, ("first", "second"), STUDY.settings, None)
    (found,) = evidence.relations
    assert (
        found.model == "first"
        and "second" in evidence.unopened
        and "not on this machine" in evidence.unopened["second"]
    )
    assert [pair.words for pair in found.pairs] == ["yes–no", "cat–dog"] and max(
        p.share.value for p in found.pairs
    ) < 0.01
    assert found.analogy_rank == 1 and found.alone_rank >= 1
    assert abs(found.same_token.value) < 2 / np.sqrt(128)


def test_verdicts_of_a_model_with_two_tables(lab):
    said = {
        (row["claim"], row["part"]): row["verdict"] for row in STUDY.judge(lab, ("first",), claims=("RC13", "RC14"))
    }
    assert said["RC13", "same token"] == "supported" and said["RC13", "unembedding wider"] == "supported"
    assert said["RC14", "pairs"] == "supported"


def test_a_changed_checkpoint_is_not_read(lab):
    path = Path(lab.runs.filter(pl.col("run") == "first").collect()["source"][0])
    kept = path.read_bytes()
    other, _ = tables(np.random.default_rng(9))
    np.savez(path, **{"model.embed_tokens.weight": other.astype(np.float32)})
    try:
        evidence = gather(lab, ("first",), STUDY.settings, None)
    finally:
        path.write_bytes(kept)
    assert not evidence.relations and "no longer" in evidence.unopened["first"]


def test_the_best_packing_of_each_cell(lab):
    names = tuple(lab.runs.collect()["run"])
    (cells,) = gather(lab, names, {**STUDY.settings, "tables": False}, None).cells
    assert cells.optimised["d"].to_list() == [4, 6] and cells.optimised["k"].to_list() == [9, 9]
    rows = lab.measurements.filter(pl.col("variable") == "coherence", pl.col("step") == 60)
    sizes = lab.sites.filter(pl.col("step") == 60).select("run", d="cols")
    best = rows.join(sizes, on="run").group_by("d").agg(pl.col("value").min(), pl.col("value").n_unique().alias("n"))
    assert best.sort("d").collect()["n"].to_list() == [2, 2]  # two exponents
    assert cells.optimised["epsilon"].to_list() == best.sort("d").collect()["value"].to_list()
    assert not gather(lab, ("first",), {**STUDY.settings, "tables": False}, None).cells


def test_relations_of_unrelated_rows():
    embedding, unembedding = tables(np.random.default_rng(2), related=False)
    found = relations(
        "m", Directions.of(embedding), Directions.of(embedding), Vocabulary(tuple(WORDS)), np.random.default_rng(0)
    )
    assert found.same_token.value == pytest.approx(1, abs=1e-6) and abs(found.permuted) < 0.05
    assert all(pair.share.value > 0.001 for pair in found.pairs) and found.analogy_rank > 1
    alone = relations("m", Directions.of(embedding), None, None, np.random.default_rng(0))
    assert alone.same_token is None and alone.asymmetry is None and alone.pairs == ()
