"""Tables: the token tables of the lab's models, read once more from where the scan found them, one model at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gedanken.analysis.intervals import Estimate, wilson
from gedanken.captures.neighbours import Directions
from gedanken.captures.of import captures_of
from gedanken.instruments.points._pairs import MOST
from gedanken.instruments.points.cosine_quantile import CosineQuantile
from gedanken.measurements.store import Lab
from gedanken.sources.checkpoints import Checkpoint
from gedanken.sources.models import open_model
from gedanken.sources.vocabulary import Vocabulary, vocabulary_of
from gedanken.status import Failure, Refusal

PAIRS = (("yes", "no"), ("cat", "dog"))
"""The related pairs that the paper prints cosines of [@guha2026representational]."""
ANALOGY = ("king", "man", "woman")
EXPECTED = "queen"
"""king − man + woman, and the word that it should find [@guha2026representational]."""
MATCHED = 100_000
"""Random pairs with ids near those of a pair: a share of 2 % then has an error of 0.04 %."""
NEAR_DUPLICATE = 0.99


@dataclass(frozen=True)
class PairCosine:
    """The cosine of two words, and the share of random pairs with ids near theirs that is at least as large."""

    words: str
    cosine: float
    share: Estimate


@dataclass(frozen=True)
class Relations:
    """What the tables of one model say. None where a word is not one token, or there is no second table.

    same_token: the median cosine between a token's rows in W_E and in W_U, with its interval; permuted: the same after
    shifting the tokens of one table against the other. analogy_rank, alone_rank: of the expected word, among the
    nearest to king − man + woman and among the nearest to king alone.
    """

    model: str
    d: int
    asymmetry: Estimate | None
    same_token: Estimate | None
    permuted: float | None
    pairs: tuple[PairCosine, ...] = ()
    analogy_rank: int | None = None
    alone_rank: int | None = None


def read_relations(
    lab: Lab, models: Iterable[str], rng: np.random.Generator, progress=None
) -> tuple[tuple[Relations, ...], dict[str, str]]:
    """Of each model, and for the others why their tables could not be read again. Nothing is fetched from a hub."""
    models = list(models)
    sources = dict(lab.runs.select("run", "source").collect().iter_rows())
    current = dict(lab.steps.sort("step").select("run", "fingerprint").collect().iter_rows())
    found, unopened = [], {}
    for done, model in enumerate(models):
        if progress:
            progress(done, len(models))
        try:
            found.append(_read(model, sources.get(model), current.get(model), rng))
        except (Failure, Refusal) as reason:
            unopened[model] = reason.sentence.rstrip(".")
    return tuple(found), unopened


def _read(model: str, source: str | None, fingerprint: str | None, rng: np.random.Generator) -> Relations:
    if source is None or not Path(source).exists():
        raise Failure(f"{source or 'its source'} is not on this machine")
    *_, snapshot = open_model(source).snapshots()
    if fingerprint is not None and snapshot.fingerprint != fingerprint:
        raise Failure("its files are no longer those that were scanned")
    captures = {capture.site.part: capture for capture in captures_of(snapshot) if capture.site.layer is None}
    if "W_E" not in captures:
        raise Failure("it has no token embedding")
    vocabulary = vocabulary_of(snapshot.state) if isinstance(snapshot.state, Checkpoint) else None
    unembedding = Directions.of(captures["W_U"].read()) if "W_U" in captures else None
    return relations(model, Directions.of(captures["W_E"].read()), unembedding, vocabulary, rng)


def relations(
    model: str,
    embedding: Directions,
    unembedding: Directions | None,
    vocabulary: Vocabulary | None,
    rng: np.random.Generator,
) -> Relations:
    """Of the tables of one model."""
    same, permuted = (None, None) if unembedding is None else _same_token(embedding, unembedding)
    asymmetry = None if vocabulary is None else masked_asymmetry(embedding, vocabulary, rng)
    pairs = () if vocabulary is None else tuple(_pairs(embedding, vocabulary, rng))
    ranks = (None, None) if vocabulary is None else _analogy(embedding, vocabulary)
    return Relations(model, embedding.unit.shape[1], asymmetry, same, permuted, pairs, *ranks)


def masked_asymmetry(embedding: Directions, vocabulary: Vocabulary, rng: np.random.Generator) -> Estimate | None:
    """A = q₀.₉₉₉ + q₀.₀₀₁ − 2q₀.₅ over rows that text can train, one of each near-duplicate group; None below ten rows.

    An even sample of the rows, as the instrument takes; rows nearly equal to an earlier one of the sample are left out.
    """
    kept = np.flatnonzero(embedding.there & np.array(vocabulary.trainable(len(embedding.unit))))
    rows = embedding.unit[kept[np.arange(min(MOST, len(kept))) * len(kept) // max(min(MOST, len(kept)), 1)]]
    earlier = np.tril(rows @ rows.T, -1)
    rows = rows[earlier.max(axis=1, initial=-1.0) <= NEAR_DUPLICATE]
    if len(rows) < 10:
        return None
    found = CosineQuantile().measure(rows, rng)["cosine_asymmetry"]
    return Estimate(found.value, found.value - 1.96 * found.stderr, found.value + 1.96 * found.stderr, len(rows))


def _same_token(embedding: Directions, unembedding: Directions) -> tuple[Estimate | None, float | None]:
    """The median cosine between rows of equal id, with the interval of order statistics; and after a shift of ids."""
    count = min(len(embedding.unit), len(unembedding.unit))
    if embedding.unit.shape[1] != unembedding.unit.shape[1]:
        return None, None
    both = np.flatnonzero(embedding.there[:count] & unembedding.there[:count])
    cosines = np.sort(np.einsum("ij,ij->i", embedding.unit[both], unembedding.unit[both]))
    shifted = np.einsum("ij,ij->i", embedding.unit[both], unembedding.unit[np.roll(both, len(both) // 2)])
    spare = 1.96 * np.sqrt(len(both)) / 2
    low, high = (int(np.clip(len(both) / 2 + side * spare, 0, len(both) - 1)) for side in (-1, 1))
    middle = Estimate(float(np.median(cosines)), float(cosines[low]), float(cosines[high]), len(both))
    return middle, float(np.median(shifted))


def _pairs(embedding: Directions, vocabulary: Vocabulary, rng: np.random.Generator):
    for one, other in PAIRS:
        rows = _tokens(vocabulary, embedding, (one, other))
        if rows is None:
            continue
        cosine = embedding.cosine(*rows)
        matched = embedding.matched_cosines(*rows, MATCHED, rng)
        yield PairCosine(f"{one}–{other}", cosine, wilson(int(np.count_nonzero(matched >= cosine)), len(matched)))


def _analogy(embedding: Directions, vocabulary: Vocabulary) -> tuple[int | None, int | None]:
    rows = _tokens(vocabulary, embedding, (*ANALOGY, EXPECTED))
    if rows is None:
        return None, None
    king, man, woman, queen = rows
    without = set(vocabulary.containing(ANALOGY)) | {king, man, woman}
    without = [row for row in without if row < len(embedding.unit) and row != queen]
    return (
        embedding.rank(embedding.analogy(king, man, woman), queen, without),
        embedding.rank(embedding.unit[king], queen, without),
    )


def _tokens(vocabulary: Vocabulary, embedding: Directions, words: Iterable[str]) -> list[int] | None:
    """The rows of words; None if one is not a token, or its row is zero."""
    try:
        rows = [vocabulary.find(word) for word in words]
    except Failure:
        return None
    return rows if all(row < len(embedding.unit) and embedding.there[row] for row in rows) else None
