"""Claims of how many directions a model's ε allows (RC8, RC9, RC10, RC12)."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
from scipy import stats

from gedanken.analysis.capacity import SITE, elasticities, estimate
from gedanken.analysis.wording import count, number
from gedanken.studies.base import Claim, Judgement, Verdict, not_testable
from gedanken.studies.representational_capacity.embeddings import SCAN
from gedanken.studies.representational_capacity.evidence import Evidence, null_edge
from gedanken.studies.representational_capacity.wording import WORDS, against_rule, all_of, named
from gedanken.theory.packing import FORMS, NEAR_ORTHOGONAL, log_greedy_guarantee

LN10 = math.log(10)
COMFORT = 0.1
"""RC12: the share of the capacity below which a vocabulary is held comfortably."""
BEYOND = (8192, 0.09)
"""The paper's own example at which its formula lies below what greedy choice guarantees."""


def each(
    evidence: Evidence, judge: Callable[[str, pl.DataFrame, Evidence], Iterator[Judgement]]
) -> Iterator[Judgement]:
    """The judgements on the nearly orthogonal models of each part: elsewhere a capacity is vacuous."""
    for part, models in evidence.models.items():
        near = models.filter(pl.col("epsilon") < NEAR_ORTHOGONAL)
        if models.is_empty():
            yield not_testable(SCAN, part)
        elif near.is_empty():
            yield not_testable(f"None of {count(len(models), 'model')} is nearly orthogonal, so a capacity is vacuous.",
                               part, "refused")  # fmt: skip
        else:
            yield from judge(part, near, evidence)


def vocabulary(part: str, near: pl.DataFrame, evidence: Evidence) -> Iterator[Judgement]:
    """RC8: which forms hold the vocabulary, and whether a random table passes too."""
    rows = near.to_dicts()
    holds = {name: [_log_k(name, r) >= math.log(r["V"]) for r in rows] for name in ("jl", "jl_random", "full")}
    right = [not jl and full for jl, full in zip(holds["jl_random"], holds["full"], strict=True)]
    wrong = [r["model"] for r, ok in zip(rows, right, strict=True) if not ok]
    first = rows[0]
    figures = ", ".join(f"{label} {_count(_log_k(name, first))}" for name, label in
                        (("jl", "C = 8:"), ("jl_random", "C = 3.029:"), ("full", "full form:")))  # fmt: skip
    verdict = Verdict.not_supported if wrong else Verdict.supported
    yield Judgement(
        verdict,
        f"{first['model']} with V = {first['V']:,}: {figures}. "
        + (f"It does not hold for {named(wrong)}." if wrong else f"So in all {len(rows)} models."),
        WORDS[verdict], "smallest log₁₀ of capacity over vocabulary, full form [1]",
        min((_log_k("full", r) - math.log(r["V"])) / LN10 for r in rows), None, None, len(rows),
        "C = 8, proven, and C = 3.029, fitted to random vectors", f"arithmetic ({part})", "arithmetic of given (d, ε, V)",
    )  # fmt: skip
    twins = [(FORMS["full"].log_capacity(r["d"], null_edge(r["d"])) - math.log(r["V"])) / LN10 for r in rows]
    passing = [r["model"] for r, margin in zip(rows, twins, strict=True) if margin >= 0]
    guarantee = log_greedy_guarantee(first["epsilon"], first["d"])
    verdict = Verdict.not_supported if passing or wrong else Verdict.supported
    reason = "explained by a null" if passing else "refuted" if wrong else "supported"
    jl_null = [math.exp(FORMS["jl_random"].log_capacity(r["d"], null_edge(r["d"]))) for r in rows]
    yield Judgement(
        verdict,
        f"A random table of the same shape passes in {len(passing)} of {len(rows)} models"
        f"{f' ({named(passing)})' if passing else ''}. The form without d allows a random table {jl_null[0]:.1f} "
        f"directions, though it holds every token; greedy choice guarantees {_count(guarantee)} at the ε of "
        f"{first['model']}.",
        reason, "largest log₁₀ of a random table's capacity over the vocabulary [1]", max(twins), None, None, len(rows),
        "Gaussian twin; greedy choice", f"inference ({part})", "the twin's ε is 2/√d",
    )  # fmt: skip


def _log_k(form: str, row: dict) -> float:
    return FORMS[form].log_capacity(row["d"], row["epsilon"])


def _count(log: float) -> str:
    return number(math.exp(log)) if log < 700 else f"10^{log / LN10:.0f}"


def ranking(part: str, near: pl.DataFrame, evidence: Evidence) -> Iterator[Judgement]:
    """RC9: whether the order of the models depends on the form or on the multiple of σ."""
    wide = {
        r["run"]: (r["value"], r["low"], r["high"])
        for r in evidence.embeddings.filter(
            pl.col("variable") == "cosine_edge", pl.col("z") == 3, ~pl.col("centred"), pl.col("site") == SITE
        ).iter_rows(named=True)
    }
    rows = near.to_dicts()
    edges = {"2σ": [(r["epsilon"], *_ends(r)) for r in rows]}
    if all(r["model"] in wide for r in rows):
        edges["3σ"] = [wide[r["model"]] for r in rows]
    counts = {
        (form, label): np.array(
            [[FORMS[form].log_capacity(r["d"], e) for e in found] for r, found in zip(rows, told, strict=True)]
        )
        for form in ("full", "ratio") for label, told in edges.items()
    }  # fmt: skip
    yield _judge_ranking(f"comparison ({part})", rows, counts, "3σ" in edges)


def _judge_ranking(part: str, rows: list[dict], counts: dict[tuple, np.ndarray], has_wide: bool) -> Judgement:
    """`counts`: ln k of each model with the ends of its interval, by form and multiple of σ.

    Refuted by two models whose intervals are apart in opposite orders; undecided where only their values swap.
    """
    spread = ", ".join(
        f"{r['model']} {number(e.log10_k)} ({number(e.log10_excess)} above random; ln(k/d): "
        f"{number(_log_k('ratio', r) / LN10)})"
        for r, e in ((r, estimate(r["d"], r["epsilon"], *_ends(r))) for r in rows)
    )
    if len(rows) < 3:
        return not_testable(
            f"An order of models needs three that are nearly orthogonal; log₁₀ k: {spread}.", part, "too few"
        )
    first = counts["full", "2σ"][:, 0]
    agreement = min(float(stats.kendalltau(first, found[:, 0]).statistic) for found in counts.values())
    fields = ("least Kendall τ between forms and multiples of σ [1]", agreement, None, None, len(rows),
              "the other form" + ("; μ + 3σ" if has_wide else ""), part)  # fmt: skip
    above = [found[:, None, 1] > found[None, :, 2] for found in counts.values()]
    swapped = sorted({
        tuple(sorted((rows[i]["model"], rows[j]["model"])))
        for one in above for other in above for i, j in np.argwhere(one & other.T)
    })  # fmt: skip
    if swapped:
        pairs = named(f"{one} with {other}" for one, other in swapped)
        return Judgement(Verdict.not_supported, f"The order depends on the form: {pairs} change places. log₁₀ k: {spread}.",
                         "refuted", *fields, "a counterexample among these models")  # fmt: skip
    if agreement < 1 or not has_wide:
        why = "Models change places within their intervals" if agreement < 1 else "Both forms give one order"
        missing = "" if has_wide else "; ε at 3σ is not known"
        return Judgement(Verdict.inconclusive, f"{why}{missing}. log₁₀ k: {spread}.", "undecided", *fields)
    return Judgement(Verdict.supported, f"Both forms and both multiples give one order. log₁₀ k: {spread}.", "supported",
                     *fields, "an order of the models at hand")  # fmt: skip


def _ends(row: dict) -> tuple[float, float]:
    """The interval of ε, or ε itself where it has none."""
    return tuple(row["epsilon"] if row[end] is None else row[end] for end in ("low", "high"))


def bound(evidence: Evidence) -> Judgement:
    """RC9, the reading as a bound: refuted by more vectors in hand than the form allows, or by the greedy guarantee."""
    d, edge = BEYOND
    allowed, guaranteed = FORMS["full"].log_capacity(d, edge), log_greedy_guarantee(edge, d)
    packed = [
        (k / math.exp(FORMS["full"].log_capacity(d, epsilon)), k, d, epsilon)
        for cells in evidence.cells
        for d, k, epsilon in cells.optimised.filter(pl.col("k") > pl.col("d")).select("d", "k", "epsilon").iter_rows()
    ]
    hand = max(packed, default=None)
    said = (
        f" In hand: {hand[1]:,} vectors in {hand[2]:,} dimensions at ε = {hand[3]:.4f}, where the form allows "
        f"{number(hand[1] / hand[0])}." if hand and hand[0] > 1 else ""
    )  # fmt: skip
    return Judgement(
        Verdict.not_supported,
        f"At d = {d}, ε = {edge} the form gives {_count(allowed)}, and greedy choice guarantees {_count(guaranteed)}.{said}",
        "refuted", "guaranteed over allowed directions, log₁₀ [1]", (guaranteed - allowed) / LN10, None, None, None,
        "greedy choice; packings", "upper bound", "a proof, and packings in hand",
    )  # fmt: skip


def levers(part: str, near: pl.DataFrame, evidence: Evidence) -> Iterator[Judgement]:
    """RC10: numbers of an identity."""
    pairs = {r["model"]: elasticities(r["d"], r["epsilon"]) for r in near.iter_rows(named=True)}
    ratios = [by_edge / by_width for by_edge, by_width in pairs.values()]
    each = ", ".join(f"{name} {number(e)} and {number(w)}" for name, (e, w) in pairs.items())
    yield Judgement(
        Verdict.not_testable,
        f"∂ln k/∂ln ε and ∂ln k/∂ln d: {each}. k depends on ε²d^c, so their ratio tends to 2/c = "
        f"{2 / FORMS['full'].c:.2f}; and a random table's ε falls as d^−½, so that width moves ε too.",
        "true by definition", "ratio of the two elasticities, median [1]", float(np.median(ratios)), min(ratios), max(ratios),
        len(ratios), "", part,
    )  # fmt: skip


def budget(part: str, near: pl.DataFrame, evidence: Evidence) -> Iterator[Judgement]:
    """RC12: supported if the upper end of the vocabulary's share is below 10 % in every model."""
    found = []
    for r in near.iter_rows(named=True):
        tables = 1 if r["tied"] or r["tied"] is None else 2
        e = estimate(r["d"], r["epsilon"], *_ends(r))
        taken = math.log10(tables * r["V"])
        null = taken - FORMS["full"].log_capacity(r["d"], null_edge(r["d"])) / LN10
        found.append((10 ** (taken - e.log10_k), 10 ** (taken - e.high), 10 ** (taken - e.low), r["model"], 10**null))
    told = [against_rule(low, high, most=COMFORT) for _, low, high, *_ in found]
    verdict, worst = all_of(told), max(found)
    each = ", ".join(f"{name} {number(100 * share, 2)} %" for share, *_, name, _ in sorted(found, reverse=True))
    yield Judgement(
        verdict,
        f"The vocabulary takes less than {100 * COMFORT:g} % of the capacity in {told.count(Verdict.supported)} of "
        f"{count(len(found), 'model')}: {each}. Of a random table's it would take {number(100 * worst[4], 2)} % "
        f"({worst[3]}).",
        WORDS[verdict], f"largest share of the capacity [1] ({worst[3]})", worst[0], worst[1], worst[2], len(found),
        "the capacity of a random table", part,
    )  # fmt: skip


CLAIMS = (
    Claim(
        "RC8", "The Johnson–Lindenstrauss bound cannot hold a real vocabulary; the adjusted one can.",
        "Llama 2 7B: 8.4 (C = 8), 277 (C = 3.029), 3.99·10⁷ (full form)",
        "arithmetic: exact. Inference supported only if the trained table passes and a random twin does not",
        lambda evidence: each(evidence, vocabulary),
    ),
    Claim(
        "RC9", "Capacity is an upper bound on distinguishable directions, useful for comparison between models.",
        "class 2 mostly 10⁵ to 10¹¹",
        "the order of models is supported if it agrees for both forms and for z = 2, 3; the reading as a bound is refuted by "
        "packings in hand and by the greedy guarantee",
        lambda evidence: (*each(evidence, ranking), bound(evidence)),
    ),
    Claim(
        "RC10", "ε is the dominant lever, d a weaker one.",
        "ε 0.09, d 2048 → 3072: 30 times; d 8192, ε 0.05 → 0.09: 2.4·10⁸ → 2.0·10¹⁴",
        "algebra rather than evidence: the numbers are reported",
        lambda evidence: each(evidence, levers),
    ),
    Claim(
        "RC12", "Vocabulary and features share the directions; capacities of class 2 hold their vocabulary comfortably.",
        "Llama 2 7B: 64,000 of 4·10⁷", "supported if the upper end of the vocabulary's share is < 10 %",
        lambda evidence: each(evidence, budget),
    ),
)  # fmt: skip
