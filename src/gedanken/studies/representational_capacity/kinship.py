"""Claims of relations between tokens: embedding against unembedding, and kinship in the right tail (RC13, RC14)."""

from collections.abc import Iterator

import polars as pl

from gedanken.analysis.capacity import SITE
from gedanken.analysis.wording import count, number
from gedanken.studies.base import Claim, Judgement, Verdict, not_testable
from gedanken.studies.representational_capacity.embeddings import SCAN
from gedanken.studies.representational_capacity.evidence import LAB, UNEMBEDDING, Evidence, null_edge
from gedanken.studies.representational_capacity.tables import ANALOGY, EXPECTED, Relations
from gedanken.studies.representational_capacity.wording import WORDS, against_rule, all_of, named

WIDER = 4
"""RC13: standard errors by which the unembedding's spread must exceed the embedding's."""
TAIL = 0.0228
"""RC14: the share of matched pairs above their 97.7 % quantile (two standard deviations of a normal law)."""
TOP = 40
"""RC14: the rank that counts as found [@guha2026representational]."""


def judge_same_token(relations: tuple[Relations, ...], missing: str) -> Judgement:
    """supported: |median| below 2/√d in every untied model, with its interval."""
    part = "same token"
    untied = [r for r in relations if r.same_token is not None]
    if not untied:
        return not_testable(f"It needs a model with an unembedding of its own, whose files are at hand{missing}.", part,
                            "refused")  # fmt: skip
    scaled = [(abs(r.same_token.value) / null_edge(r.d), r) for r in untied]
    told = [
        against_rule(r.same_token.low / null_edge(r.d), r.same_token.high / null_edge(r.d), -1.0, 1.0)
        for _, r in scaled
    ]
    verdict = all_of(told)
    _, worst = max(scaled, key=lambda pair: pair[0])
    each = ", ".join(f"{r.model} {number(r.same_token.value)}, shifted {number(r.permuted)}" for r in untied)
    unit = null_edge(worst.d)
    return Judgement(
        verdict, f"Median cosine of a token's two rows, and after shifting the tokens: {each}.", WORDS[verdict],
        f"median cosine over 2/√d, the largest in size [1] ({worst.model})", worst.same_token.value / unit,
        worst.same_token.low / unit, worst.same_token.high / unit, len(untied), "tokens shifted; 2/√d", part,
    )  # fmt: skip


def judge_spread(embeddings: pl.DataFrame) -> Judgement:
    """supported: σ of the unembedding above that of the embedding by 4 standard errors in every untied model."""
    part = "unembedding wider"
    rows = embeddings.filter(pl.col("variable") == "cosine_spread", ~pl.col("centred"), pl.col("z") == 2)
    sides = [rows.filter(pl.col("site") == site).select("run", "value", "stderr") for site in (SITE, UNEMBEDDING)]
    both = sides[0].join(sides[1], on="run", suffix="_u").drop_nulls()
    if both.is_empty():
        return not_testable("It needs a scanned model with an unembedding of its own.", part, "refused")
    error = (pl.col("stderr") ** 2 + pl.col("stderr_u") ** 2).sqrt()
    both = both.with_columns(score=(pl.col("value_u") - pl.col("value")) / error, error=error).sort("score")
    told = [
        Verdict.supported if score > WIDER else Verdict.not_supported if score < -1.96 else Verdict.inconclusive
        for score in both["score"]
    ]
    verdict, worst = all_of(told), both.row(0, named=True)
    gap = worst["value_u"] - worst["value"]
    each = ", ".join(f"{r['run']} {number(r['value'])} and {number(r['value_u'])}" for r in both.iter_rows(named=True))
    return Judgement(
        verdict, f"Spread of the cosines in embedding and unembedding: {each}.", WORDS[verdict],
        f"smallest difference of spreads [1] ({worst['run']})", gap, gap - 1.96 * worst["error"], gap + 1.96 * worst["error"],
        len(both), "equal spreads", part,
    )  # fmt: skip


def judge_pairs(relations: tuple[Relations, ...], missing: str) -> Judgement:
    """supported: every listed pair above the 97.7 % quantile of random pairs with ids near theirs, in every model."""
    part = "pairs"
    found = [(r.model, pair) for r in relations for pair in r.pairs]
    if not found:
        return not_testable(f"It needs a model whose files and tokens are at hand{missing}.", part)
    told = [against_rule(pair.share.low, pair.share.high, most=TAIL) for _, pair in found]
    verdict = all_of(told)
    model, worst = max(found, key=lambda entry: entry[1].share.value)
    each = ", ".join(f"{name} {pair.words} {number(pair.cosine)}" for name, pair in found)
    return Judgement(
        verdict,
        f"Above the 97.7 % quantile of random pairs: {told.count(Verdict.supported)} of {count(len(found), 'pair')}. "
        f"Cosines: {each}.",
        WORDS[verdict], f"largest share of random pairs at least as similar [1] ({model}, {worst.words})",
        worst.share.value, worst.share.low, worst.share.high, len(found), "random pairs with ids near those of the pair",
        part,
    )  # fmt: skip


def judge_analogy(relations: tuple[Relations, ...], missing: str) -> Judgement:
    """supported: rank ≤ 40 and better than by the first word alone, in every model."""
    part = "analogy"
    found = [r for r in relations if r.analogy_rank is not None]
    if not found:
        return not_testable(f"It needs a model whose files are at hand and whose tokens have the words{missing}.", part)
    right = [r.model for r in found if r.analogy_rank <= TOP and r.analogy_rank < r.alone_rank]
    verdict = Verdict.supported if len(right) == len(found) else Verdict.not_supported
    worst = max(found, key=lambda r: r.analogy_rank)
    each = ", ".join(f"{r.model} {r.analogy_rank:,} (alone {r.alone_rank:,})" for r in found)
    return Judgement(
        verdict,
        f"Rank of {EXPECTED!r} near {ANALOGY[0]} − {ANALOGY[1]} + {ANALOGY[2]}, and near {ANALOGY[0]} alone: {each}.",
        WORDS[verdict], f"largest rank [1] ({worst.model})", float(worst.analogy_rank), None, None, len(found),
        f"the nearest to {ANALOGY[0]!r} alone", part, "ranks in the whole vocabulary",
    )  # fmt: skip


def _missing(evidence: Evidence) -> str:
    """Why the tables of the lab's models are not among the relations."""
    if evidence.models[LAB].is_empty():
        return f"; {SCAN[0].lower()}{SCAN[1:-1]}"
    told = named(f"{model}: {reason}" for model, reason in evidence.unopened.items())
    return f" ({told})" if told else ""


def both_tables(evidence: Evidence) -> Iterator[Judgement]:
    yield judge_same_token(evidence.relations, _missing(evidence))
    yield judge_spread(evidence.embeddings)


def right_tail(evidence: Evidence) -> Iterator[Judgement]:
    yield judge_pairs(evidence.relations, _missing(evidence))
    yield judge_analogy(evidence.relations, _missing(evidence))


CLAIMS = (
    Claim(
        "RC13", "In untied models a token's embedding and unembedding are nearly orthogonal, and unembedding cosines are "
        "spread wider.",
        "unembedding peaks at 0.015 (Llama 2 7B), 0.04 (Qwen 2.5 7B), 0.03 (Llama 3 8B)",
        "supported if the size of the median same-token cosine is < 2/√d, and the unembedding's spread is larger by > 4 "
        "standard errors. Refused if tied",
        both_tables,
    ),
    Claim(
        "RC14", "The right tail is lexical and semantic kinship; vector analogies work in part.",
        "Llama 2 7B: yes–no 0.123, cat–dog 0.103; Llama 3 8B: queen within 40 of king − man + woman",
        "pairs: above the 97.7 % quantile of pairs matched in token id. Analogy: rank ≤ 40 and better than by king alone",
        right_tail,
    ),
)  # fmt: skip
