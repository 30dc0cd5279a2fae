"""Tokens of a stored prompt: shaded by surprisal, escaped, bounded, and left out where text and numbers do not fit."""

from dataclasses import replace

import polars as pl
import pytest

from gedanken.report.build import render
from gedanken.report.data import collect
from gedanken.report.tokens import legend, token_views

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def told(synthetic):
    """The made-up lab with two prompts of one of its models, and a surprisal for each predicted token."""

    def make(nats: list[float]):
        made = synthetic.lab(ladder=0)
        run = made.measurements.select("run").head(1).collect().item()
        curve = {"run": run, "step": None, "site": "unembed.surprisal", "variable": "token_surprisal", "setting": "s",
                 "x": [float(i) for i in range(len(nats))], "y": nats, "n": len(nats), "status": "ok", "flags": []}  # fmt: skip
        prompts = [{"run": run, "documents": [0, 4], "tokens": [["a", HOSTILE, "\n"], ["b", "c"]], "created": None}]
        extra = synthetic.frames(curves=[curve], prompts=prompts)
        return replace(
            made, curves=pl.concat([made.curves.collect(), extra.curves.collect()]).lazy(), prompts=extra.prompts
        )

    return make


def test_each_token_has_its_own_number(told):
    lab = told([0.1, 30.0, 3.0])
    (view,) = token_views(lab, collect(lab))
    first, second = view["prompts"]
    assert [t["shade"] for t in first["tokens"]] == ["", "s0", "s8"] and first["tokens"][2]["text"] == "↵\n"
    assert [t["tip"] for t in second["tokens"]] == ["not predicted", "3 nat"]
    assert second["title"] == "Document 5, 2 tokens, mean 3 nat"
    assert len(legend()) == 9


def test_text_of_a_model_is_escaped(told):
    page = render(told([0.1, 30.0, 3.0]))
    assert HOSTILE not in page and "&lt;script&gt;alert(1)" in page and 'id="tokens"' in page


def test_prompts_without_all_their_numbers_are_left_out(told):
    lab = told([0.1, 30.0])
    (view,) = token_views(lab, collect(lab))
    assert len(view["prompts"]) == 1
    lab = told([0.1])
    assert token_views(lab, collect(lab)) == []
    assert 'id="tokens"' not in render(lab)
