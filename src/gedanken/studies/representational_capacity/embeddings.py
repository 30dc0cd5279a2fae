"""Claims of the overlaps of token embeddings: near-orthogonality, two classes, tying, width (RC1, RC2, RC3, RC11)."""

import math
from collections.abc import Iterator

import numpy as np
import polars as pl
from scipy import stats

from gedanken.analysis.capacity import SITE, class_gap
from gedanken.analysis.intervals import Estimate, wilson
from gedanken.analysis.width_trend import NULL_SLOPE, width_trends
from gedanken.analysis.wording import count, interval, number
from gedanken.status import Failure
from gedanken.studies.base import Claim, Judgement, Verdict, not_testable
from gedanken.studies.representational_capacity.evidence import LAB, Evidence, null_edge
from gedanken.studies.representational_capacity.wording import WORDS, against_rule, all_of, named, with_interval
from gedanken.theory.packing import NEAR_ORTHOGONAL, NOT_NEAR_ORTHOGONAL

SCAN = "It needs scans of models with an embedding: gedanken scan MODEL."
SHIFT = 4
"""Standard errors of μ above 0 that count as a shift."""
EACH_SIDE = 10
"""Models on each side of the gap below which the gap may be chance."""


def judge_orthogonal(models: pl.DataFrame, embeddings: pl.DataFrame) -> Judgement:
    """supported: the whole interval of ε below 0.1 in every model; refuted by one whose interval lies above."""
    if models.is_empty():
        return not_testable(SCAN, "near-orthogonal")
    rows = models.with_columns(pl.col("low").fill_null(pl.col("epsilon")), pl.col("high").fill_null(pl.col("epsilon")))
    told = [against_rule(low, high, most=NEAR_ORTHOGONAL) for low, high in rows.select("low", "high").iter_rows()]
    verdict, worst = all_of(told), rows.sort("epsilon").row(-1, named=True)
    holds = [m for m, v in zip(rows["model"], told, strict=True) if v == Verdict.supported]
    ratios = ", ".join(f"{r['model']} {r['epsilon'] / null_edge(r['d']):.2f}" for r in rows.iter_rows(named=True))
    shuffled = embeddings.filter(
        pl.col("variable") == "cosine_edge", pl.col("shuffled").is_not_null(), ~pl.col("centred"),
        pl.col("z") == 2, pl.col("site") == SITE,
    )  # fmt: skip
    kept = ", ".join(f"{r['run']} {number(r['shuffled'])}" for r in shuffled.iter_rows(named=True))
    return Judgement(
        verdict,
        f"ε is below {NEAR_ORTHOGONAL} in {len(holds)} of {count(len(rows), 'model')}. "
        f"In units of a random table's, ε/ε₀: {ratios}." + (f" ε after shuffling coordinates: {kept}." if kept else ""),
        WORDS[verdict], f"largest ε [1] ({worst['model']})", worst["epsilon"], worst["low"], worst["high"], len(rows),
        "Gaussian twin" + (", coordinate shuffle" if kept else ""), "near-orthogonal",
    )  # fmt: skip


def judge_shift(embeddings: pl.DataFrame) -> Judgement:
    """supported: μ above 4 standard errors in every model."""
    rows = embeddings.filter(
        pl.col("variable") == "cosine_mean", ~pl.col("centred"), pl.col("z") == 2, pl.col("site") == SITE
    )
    rows = rows.filter(pl.col("stderr").is_not_null())
    if rows.is_empty():
        return not_testable(SCAN, "right shift")
    rows = rows.with_columns(score=pl.col("value") / pl.col("stderr")).sort("score")
    told = [
        Verdict.supported if score > SHIFT else Verdict.not_supported if value + 1.96 * stderr <= 0
        else Verdict.inconclusive
        for score, value, stderr in rows.select("score", "value", "stderr").iter_rows()
    ]  # fmt: skip
    verdict, worst = all_of(told), rows.row(0, named=True)
    means = ", ".join(f"{r['run']} {number(r['value'])}" for r in rows.sort("run").iter_rows(named=True))
    return Judgement(
        verdict,
        f"The mean cosine is above {SHIFT} standard errors in {told.count(Verdict.supported)} of "
        f"{count(len(rows), 'model')}: {means}.",
        WORDS[verdict], f"smallest mean cosine in standard errors [1] ({worst['run']})", worst["score"],
        worst["score"] - 1.96, worst["score"] + 1.96, len(rows), "Gaussian twin, whose mean is 0", "right shift",
    )  # fmt: skip


def judge_tail(evidence: Evidence) -> Judgement:
    """supported: the interval of A above 0 in every model, raw and masked; open where a model cannot be masked."""
    raw = evidence.embeddings.filter(pl.col("variable") == "cosine_asymmetry", pl.col("site") == SITE)
    found = [
        (r["run"], "raw", Estimate(r["value"], r["low"], r["high"], 0))
        for r in raw.filter(pl.col("low").is_not_null()).iter_rows(named=True)
    ]
    if not found:
        return not_testable(SCAN, "longer right tail")
    masked = {r.model: r.asymmetry for r in evidence.relations if r.asymmetry is not None}
    found += [(model, "masked", told) for model, told in masked.items()]
    told = [against_rule(e.low, e.high, least=0.0) for *_, e in found]
    unmasked = sorted(set(raw["run"]) - set(masked))
    verdict = all_of([*told, *([Verdict.inconclusive] if unmasked else [])])
    where, which, least = min(found, key=lambda entry: entry[2].low)
    said = f" Not masked, because no list of tokens or file is at hand: {named(unmasked)}." if unmasked else ""
    each = ", ".join(f"{model} {kind} {number(e.value)}" for model, kind, e in sorted(found))
    return Judgement(
        verdict,
        f"The right tail is the longer one in {told.count(Verdict.supported)} of {count(len(found), 'table')}: {each}.{said}",
        WORDS[verdict], f"smallest asymmetry [1] ({where}, {which})", least.value, least.low, least.high, len(found),
        "directions without structure, whose asymmetry is 0", "longer right tail",
    )  # fmt: skip


def judge_gap(part: str, models: pl.DataFrame) -> Judgement:
    """RC2: refuted by an interval inside the gap; supported with ten models on each side and none in it."""
    if models.is_empty():
        return not_testable(SCAN, part)
    gap = class_gap(models)
    sides = (
        f"{len(gap.near)} below {NEAR_ORTHOGONAL}, {len(gap.far)} above {NOT_NEAR_ORTHOGONAL}, {len(gap.gap)} between"
    )
    share = wilson(len(gap.gap), len(models))
    fields = (f"share of models in the gap of raw ε, {NEAR_ORTHOGONAL} to {NOT_NEAR_ORTHOGONAL} [1]", share.value,
              share.low, share.high, len(models), "ε in units of a random table's")  # fmt: skip
    if gap.inside:
        return Judgement(Verdict.not_supported, f"Inside the gap of raw ε: {named(gap.inside)} ({sides}).", "refuted",
                         *fields, part, "a counterexample")  # fmt: skip
    if min(len(gap.near), len(gap.far)) < EACH_SIDE or gap.gap:
        return Judgement(Verdict.inconclusive, f"{sides.capitalize()}: fewer than {EACH_SIDE} models on a side tell no "
                         "gap of raw ε from chance.", "too few", *fields, part)  # fmt: skip
    return Judgement(Verdict.supported, f"{sides.capitalize()}: a gap in raw ε.", "supported", *fields, part)


def judge_null_units(part: str, models: pl.DataFrame) -> Judgement:
    """RC2 in null units: refuted if the classes overlap in ε/ε₀; supported with ten models on each side and a gap."""
    part = f"{part}, in null units"
    if models.is_empty():
        return not_testable(SCAN, part)
    gap = class_gap(models)
    if gap.overlap_in_null_units is None:
        return Judgement(Verdict.inconclusive, "Only one of the two classes has a model.", "too few", part=part)
    quantity = "start of class 1 over end of class 2, both in ε/ε₀ [1]"
    effect = gap.null_far_start / gap.null_near_end
    ends = f"Class 2 ends at {gap.null_near_end:.2f} ε₀, class 1 begins at {gap.null_far_start:.2f} ε₀"
    fields = (quantity, effect, None, None, len(models), "raw ε, where the classes are apart by definition", part)
    if gap.overlap_in_null_units:
        return Judgement(Verdict.not_supported, f"{ends}: the classes mix, so the gap is one of raw ε.", "refuted",
                         *fields, "a counterexample")  # fmt: skip
    if min(len(gap.near), len(gap.far)) < EACH_SIDE:
        return Judgement(Verdict.inconclusive, f"{ends}, with {len(gap.near)} and {len(gap.far)} models: too few to tell "
                         f"from chance.", "too few", *fields)  # fmt: skip
    return Judgement(Verdict.supported, f"{ends}.", "supported", *fields, "an ordering of the models at hand")


def two_classes(evidence: Evidence) -> Iterator[Judgement]:
    for part, models in evidence.models.items():
        yield judge_gap(part, models)
        yield judge_null_units(part, models)


def odds_ratio(tied: np.ndarray, far: np.ndarray) -> Estimate:
    """Of tied × class 1, with half a model added to each cell and the interval of its logarithm [@haldane1956estimation]."""
    cells = np.array([[np.sum(t & f) for f in (far, ~far)] for t in (tied, ~tied)]) + 0.5
    log, spare = math.log(cells[0, 0] * cells[1, 1] / (cells[0, 1] * cells[1, 0])), 1.96 * math.sqrt((1 / cells).sum())
    return Estimate(math.exp(log), math.exp(log - spare), math.exp(log + spare), len(tied))


def judge_tying(part: str, models: pl.DataFrame) -> Judgement:
    """RC3: supported if the odds ratio's interval is above 1 among the narrow and among the wide models."""
    known = models.filter(pl.col("tied").is_not_null())
    if known.is_empty():
        return not_testable(SCAN, part)
    d, tied = known["d"].to_numpy(), known["tied"].to_numpy()
    far = known["epsilon"].to_numpy() >= NEAR_ORTHOGONAL
    narrow = d < np.median(d)
    strata = [odds_ratio(tied[s], far[s]) for s in (narrow, ~narrow) if s.any()]
    whole = odds_ratio(tied, far)
    told = [against_rule(e.low, e.high, least=1.0) for e in strata]
    verdict = all_of(told) if len(strata) == 2 else Verdict.inconclusive
    table = [[int(np.sum(t & f)) for f in (far, ~far)] for t in (tied, ~tied)]
    p = float(stats.fisher_exact(table).pvalue)
    return Judgement(
        verdict,
        f"Of {int(tied.sum())} tied models {table[0][0]} are not nearly orthogonal, of {int((~tied).sum())} untied ones "
        f"{table[1][0]} (Fisher p {number(p)}). Odds ratio among narrow and wide models: "
        f"{' and '.join(with_interval(e.value, e.low, e.high) for e in strata)}.",
        WORDS[verdict], "odds ratio of tying and class 1, all widths [1]", whole.value, whole.low, whole.high, len(known),
        "width, by halves of the models", part,
    )  # fmt: skip


def judge_width(part: str, models: pl.DataFrame, rng: np.random.Generator) -> Judgement:
    """RC11: supported if Spearman's interval lies below 0 with and without the exclusions; refuted if above in both."""
    try:
        table = {row["variant"]: row for row in width_trends(models, rng).iter_rows(named=True)}
    except Failure as few:
        return Judgement(Verdict.inconclusive, few.sentence, "too few", part=part)
    rows = [table[name] for name in ("all", "without the published exclusions") if name in table]
    told = [against_rule(row["spearman_low"], row["spearman_high"], most=0.0) for row in rows]
    agreed = len(rows) == 2 and len(set(told)) == 1
    verdict = told[0] if agreed else Verdict.inconclusive
    whole, families = (
        rows[0],
        [row for name, row in table.items() if name not in ("all", "without the published exclusions")],
    )
    flatter = whole["slope_low"] > NULL_SLOPE
    said = [
        f"{row['variant']}: r {number(row['pearson'])} ({interval(row['pearson_low'], row['pearson_high'])}, p "
        f"{number(row['pearson_p'])}), ρ {number(row['spearman'])} ({interval(row['spearman_low'], row['spearman_high'])}, "
        f"p {number(row['spearman_p'])}), n {row['n']}"
        for row in rows
    ]
    slope = with_interval(whole["slope"], whole["slope_low"], whole["slope_high"])
    left = f" Without one family ρ goes from {number(min(r['spearman'] for r in families))} to " \
           f"{number(max(r['spearman'] for r in families))}." if families else ""  # fmt: skip
    return Judgement(
        verdict,
        f"{'; '.join(said).capitalize()}. Slope of ln ε on ln d {slope}"
        + (f", flatter than the {number(NULL_SLOPE)} of random tables: relative to them, wider models are less orthogonal."
           if flatter else f"; random tables have {number(NULL_SLOPE)}.") + left,
        WORDS[verdict], "Spearman's ρ of ε with d [1]", whole["spearman"], whole["spearman_low"], whole["spearman_high"],
        whole["n"], "random tables; each family left out", part,
    )  # fmt: skip


def widths(evidence: Evidence) -> Iterator[Judgement]:
    for part, models in evidence.models.items():
        yield judge_width(part, models, evidence.rng(f"RC11 {part}"))
    if (evidence.models[LAB]["epsilon"] < NEAR_ORTHOGONAL).any() and len(evidence.parts) > 1:
        both = pl.concat([frame.select(evidence.models[LAB].columns) for _, frame in evidence.parts])
        yield judge_width("both", both, evidence.rng("RC11 both"))


CLAIMS = (
    Claim(
        "RC1", "Training keeps token embeddings nearly orthogonal: cosines stay near zero, shifted slightly right, right "
        "tail longer than left.",
        "histogram peaks at 0.017 (Llama 3 8B, Llama 2 7B) and 0.007 (Qwen 2.5 7B)",
        "three parts. near-orthogonal: ε < 0.1. right shift: μ > 4 standard errors. longer right tail: interval of the "
        "asymmetry > 0 on the embedding, masked as well as raw",
        lambda evidence: (
            judge_orthogonal(evidence.models[LAB], evidence.embeddings), judge_shift(evidence.embeddings),
            judge_tail(evidence),
        ),
    ),
    Claim(
        "RC2", "Models fall into two classes, with none between ε = 0.1 and 0.2.",
        "45 models: 14 with ε > 0.2, 31 with ε < 0.1",
        "refuted by any model whose interval lies inside the gap; supported only with ≥ 10 models on each side; else "
        "undecided. The gap is in raw ε",
        two_classes,
    ),
    Claim(
        "RC3", "Tying of embedding and unembedding goes with class 1 but does not fully explain it.",
        "nearly all of class 1 tied, exceptions on both sides",
        "supported if the odds ratio's interval is above 1 for d below and above the median",
        lambda evidence: (judge_tying(part, models) for part, models in evidence.models.items()),
    ),
    Claim(
        "RC11", "Larger models keep a tighter ε.", "a scatter plot, Gemma models and an outlier left out",
        "supported if the interval of Spearman's ρ excludes 0 with and without the exclusions",
        widths,
    ),
)  # fmt: skip
