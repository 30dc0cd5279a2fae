"""Relations between the tokens of a table as rows of a lab: nearest neighbours, most-followed tokens, pairs. Bounded."""

from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np

from gedanken.captures.neighbours import Directions
from gedanken.sources.vocabulary import Vocabulary, find_token
from gedanken.status import Failure

WORDS = ("king", "woman", "cat", "yes", "red", "three", "run", "because")
"""Words whose neighbours are kept if none are named: nouns, a colour, a number, a verb, a function word."""
PAIRS = (("yes", "no"), ("cat", "dog"), ("king", "queen"), ("man", "woman"), ("red", "blue"), ("cat", "because"))
"""Pairs kept if none are named: two that the paper prints, three more of related words, one of unrelated ones."""
NEAREST, FOLLOWED, MOST = 12, 20, 24
"""Neighbours of each word, most-followed tokens, and words or pairs kept at most."""
MATCHED = 100_000


def neighbour_rows(
    run: str,
    site: str,
    directions: Directions,
    vocabulary: Vocabulary | None,
    words: Iterable[str] = (),
    pairs: Iterable[tuple[str, str]] = (),
    progress=None,
) -> list[dict]:
    """Rows of the table `neighbours`. Words and pairs of the default lists that are no tokens here are passed over.

    Raises Failure for named ones that are no tokens, or more than MOST; Refusal for a token whose row is zero.
    """
    words, pairs = tuple(words), tuple(pairs)
    if max(len(words), len(pairs)) > MOST:
        raise Failure(f"At most {MOST} words and {MOST} pairs are kept.")
    rows = len(directions.unit)
    chosen = [(find_token(word, rows, vocabulary),) for word in words] or _there(WORDS, directions, vocabulary)
    both = [tuple(find_token(word, rows, vocabulary) for word in pair) for pair in pairs]
    both = both or _there(PAIRS, directions, vocabulary)
    about = {
        "run": run, "site": site, "edge": directions.pairs.edge(), "null_edge": 2 / np.sqrt(directions.unit.shape[1]),
        "created": datetime.now(UTC),
    }  # fmt: skip

    def row(relation: str, token: int, other: int, rank: int, **told) -> dict:
        named = {"token": _text(vocabulary, token), "other": _text(vocabulary, other)}
        cosine = directions.cosine(token, other)
        return about | named | {"relation": relation, "token_id": token, "other_id": other, "rank": rank,
                                "cosine": cosine} | told  # fmt: skip

    found = [
        row("nearest", token, other, rank)
        for (token,) in chosen
        for rank, (other, _) in enumerate(directions.neighbours(token, NEAREST), 1)
    ]
    for rank, (one, other) in enumerate(both, 1):
        matched = directions.matched_cosines(one, other, MATCHED, np.random.default_rng([one, other]))
        share = float(np.mean(matched >= directions.cosine(one, other)))
        found.append(row("pair", one, other, rank, share=share))
    followers = directions.followers(progress)
    first = [token for token in np.argsort(-followers, kind="stable")[:FOLLOWED] if followers[token]]
    for rank, token in enumerate(map(int, first), 1):
        nearest = directions.neighbours(token, 1)[0][0]
        found.append(row("followed", token, nearest, rank, followers=int(followers[token])))
    return found


def _there(wanted, directions: Directions, vocabulary: Vocabulary | None) -> list[tuple[int, ...]]:
    """The ids of those words, or pairs of words, that are tokens with a direction."""
    found = []
    for entry in wanted if vocabulary else ():
        try:
            ids = tuple(vocabulary.find(word) for word in ((entry,) if isinstance(entry, str) else entry))
        except Failure:
            continue
        if all(i < len(directions.unit) and directions.there[i] for i in ids):
            found.append(ids)
    return found


def _text(vocabulary: Vocabulary | None, token: int) -> str:
    """What a token writes; its number where it writes nothing that can be seen."""
    text = vocabulary.text(token).strip() if vocabulary else ""
    return text if text.isprintable() and text else f"#{token}"
