"""Tokens: a few prompts token by token, each shaded by its surprisal; rows for the page's template, which escapes them."""

import polars as pl

from gedanken.analysis.wording import count, number
from gedanken.report.data import TOKENS, Data

SHADES, WIDTH = 9, 1.25
"""Shades of a token, and the nats of one: the last begins at 10 nat, a chance of 1 in 22,000."""


def token_views(lab, data: Data) -> list[dict]:
    """One entry for each run with stored prompts and surprisals (null runs left out): `run`, and its `prompts`."""
    own = lab.runs.filter(pl.col("null_of").is_null(), pl.col("run").is_in(data.runs)).select("run")
    texts = lab.prompts.join(own, on="run", how="semi").sort("run").collect()
    curves = lab.curves.filter(pl.col("variable") == TOKENS, pl.col("status") == "ok")
    # The last step stands for the run.
    latest = (
        curves.sort("step", nulls_last=False).group_by("run", maintain_order=True).agg(pl.col("y").last()).collect()
    )
    nats = dict(latest.iter_rows())
    return [
        {"run": row["run"], "prompts": prompts}
        for row in texts.iter_rows(named=True)
        if row["run"] in nats and (prompts := _prompts(row, nats[row["run"]]))
    ]


def _prompts(row: dict, nats: list[float]) -> list[dict]:
    """Prompts whose tokens all have their number; nothing where texts and numbers are of different scans."""
    made, place = [], 0
    for document, texts in zip(row["documents"], row["tokens"], strict=True):
        own = nats[place : place + len(texts) - 1]
        place += len(texts) - 1
        if len(own) < len(texts) - 1:
            break
        mean = number(sum(own) / len(own))
        tokens = [_token(text, value) for text, value in zip(texts, [None, *own], strict=True)]
        made.append(
            {"title": f"Document {document + 1}, {count(len(texts), 'token')}, mean {mean} nat", "tokens": tokens}
        )
    return made


def _token(text: str, nats: float | None) -> dict:
    """Its text, with line ends shown; what a pointer is told; its shade (none for a first token, which nothing predicts)."""
    shown = text.replace("\r", "").replace("\n", "↵\n")
    if nats is None:
        return {"text": shown, "tip": "not predicted", "shade": ""}
    return {"text": shown, "tip": f"{number(nats)} nat", "shade": f"s{min(SHADES - 1, int(max(nats, 0.0) / WIDTH))}"}


def legend() -> list[dict]:
    """The shades with the nats that they begin at."""
    return [{"shade": f"s{i}", "from": number(i * WIDTH)} for i in range(SHADES)]
