"""The claim that ε of embeddings carries over to the residual stream (RC15)."""

import polars as pl

from gedanken.analysis.wording import count, number
from gedanken.studies.base import Claim, Judgement, not_testable
from gedanken.studies.representational_capacity.wording import WORDS, against_rule, all_of

LEAST, MOST = 0.5, 2.0
NEEDED = "It needs a model scanned twice, its weights and on a text: gedanken scan MODEL, and gedanken scan MODEL --text FILE."


def judge_residual(residual: pl.DataFrame) -> Judgement:
    """supported: ε after every layer within half and twice that of the embedding, raw and centred, in every model.

    The interval of a ratio divides the ends of one interval by the opposite ends of the other, so it is too wide.
    """
    if residual.is_empty():
        return not_testable(NEEDED)
    rows = residual.with_columns(
        ratio=pl.col("value") / pl.col("base"),
        least=pl.col("low") / pl.col("base_high"),
        most=pl.col("high") / pl.col("base_low"),
    )
    told = [against_rule(low, high, LEAST, MOST) for low, high in rows.select("least", "most").iter_rows()]
    verdict = all_of(told)
    worst = rows.sort(pl.col("ratio").log().abs()).row(-1, named=True)
    said = []
    for (run, centred), part in rows.partition_by("run", "centred", as_dict=True, maintain_order=True).items():
        said.append(
            f"{run}, {'centred' if centred else 'raw'}: {number(part['ratio'].min())} to {number(part['ratio'].max())} "
            f"times the embedding's" + _beside(part)
        )
    return Judgement(
        verdict, f"{'; '.join(said)}.", WORDS[verdict],
        f"ε over the embedding's, farthest from 1 [1] ({worst['run']}, layer {worst['layer']}, "
        f"{'centred' if worst['centred'] else 'raw'})",
        worst["ratio"], worst["least"], worst["most"], len(rows),
        "Gaussian twin" + (", shuffled tokens" if rows["shuffled"].is_not_null().any() else ""),
    )  # fmt: skip


def _beside(part: pl.DataFrame) -> str:
    """The twin's ε and that on shuffled tokens, in the embedding's units."""
    base, layers = part["base"][0], count(len(part), "layer")
    shuffled = part["shuffled"].drop_nulls()
    also = (
        f", on shuffled tokens {number(shuffled.min() / base)} to {number(shuffled.max() / base)}"
        if len(shuffled)
        else ""
    )
    return f" over {layers} (twin {number(part['null'].median() / base)}{also})"


CLAIMS = (
    Claim(
        "RC15", "ε of embeddings carries over to features in the residual stream.", "stated as a hypothesis, not tested",
        "supported if ε(layer)/ε(embedding) lies in [0.5, 2] at every layer, centred and raw; else refuted or undecided",
        lambda evidence: judge_residual(evidence.residual),
    ),
)  # fmt: skip
