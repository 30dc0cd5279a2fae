"""Activations: they are transformers' own hidden states, in every family; sums are sums; hooks change nothing."""

import copy

import numpy as np
import pytest
import running_models as models
import torch
from transformers import PreTrainedModel

from gedanken.captures.activations import StreamObserver
from gedanken.captures.blocks import blocks_of
from gedanken.captures.forward import Batch, outputs, padded, run_forward
from gedanken.kinds import FIRST_POSITIONS, Moments
from gedanken.sources.prompts import Prompts
from gedanken.status import Flag, Refusal

FLOAT32 = 2e-6
"""A few roundings of float32 in sums of a few entries of size one."""


def watched(model, prompts, batch=None) -> StreamObserver:
    observer = StreamObserver(blocks_of(model, model.config.to_dict()), prompts, lambda site: True, "float32")
    run_forward(model, prompts, [observer], batch=batch)
    return observer


def stacks(output) -> dict[str | None, tuple]:
    """transformers' hidden states by stack."""
    if "encoder_hidden_states" in output:
        return {"encoder": output["encoder_hidden_states"], "decoder": output["decoder_hidden_states"]}
    return {None: output["hidden_states"]}


def hidden(model, prompts) -> dict[str | None, list[np.ndarray]]:
    """Rows of the second half at every state, as transformers tells them."""
    rows = prompts.tokens[prompts.half :]
    tokens, mask = padded(rows, torch.device("cpu"))
    configs = [module.config for module in model.modules() if isinstance(module, PreTrainedModel)]
    for config in configs:
        config.output_hidden_states = True
    with torch.no_grad():
        told = stacks(outputs(model, tokens, mask))
    for config in configs:
        config.output_hidden_states = False
    return {stack: [state[mask].numpy() for state in states] for stack, states in told.items()}


@pytest.mark.parametrize("family", models.FAMILIES)
def test_states_are_those_of_transformers(family):
    model, prompts = models.model(family), models.prompts()
    observer, told = watched(model, prompts), hidden(model, prompts)
    for stack, states in told.items():
        ours = observer.trajectory(stack).states
        assert len(ours) == len(states)
        # The last one that transformers tells is behind the final norm, where a model has one.
        last = len(states) if family in models.NORMED_AFTER else len(states) - 1
        for mine, theirs in zip(ours[:last], states[:last], strict=True):
            np.testing.assert_allclose(mine, theirs, atol=FLOAT32 * np.abs(theirs).max())


@pytest.mark.parametrize("family", models.FAMILIES)
def test_the_parts_of_a_block_add_up(family):
    """mid = pre + attn_out and post = mid + mlp_out, in the mean over tokens, but for blocks that normalise after adding
    or attend to an encoder in between."""
    model, prompts = models.model(family), models.prompts()
    observer = watched(model, prompts)
    streams = {}
    for capture in observer.captures():
        if capture.site.block != "stream":
            try:
                read = capture.read()
                streams[capture.site] = read if isinstance(read, Moments) else read.report
            except Refusal as refusal:
                assert refusal.flag == Flag.not_visible
                assert capture.site.part == "resid_mid" and family in models.PARALLEL
    mean = {str(site): report.total / report.n for site, report in streams.items()}
    if family in models.NORMED_AFTER:
        return
    for site in streams:
        if site.part != "attn_out" or site.stack == "decoder":
            continue
        stack = f"{site.stack}." if site.stack else ""
        at = f"{stack}layers.{site.layer}."
        before = f"{stack}layers.{site.layer - 1}.resid.resid_post" if site.layer else f"{at}resid.resid_pre"
        whole = mean[before] + mean[f"{at}attn.attn_out"] + mean[f"{at}mlp.mlp_out"]
        size = np.abs(mean[f"{at}resid.resid_post"]).max()
        np.testing.assert_allclose(whole, mean[f"{at}resid.resid_post"], atol=4 * FLOAT32 * max(size, 1))
        if family not in models.PARALLEL:
            middle = mean[before] + mean[f"{at}attn.attn_out"]
            np.testing.assert_allclose(middle, mean[f"{at}resid.resid_mid"], atol=4 * FLOAT32 * max(size, 1))


def test_sums_are_those_of_the_rows_themselves():
    """Of both halves, of the first positions, and the reservoir; positions count from the beginning of a prompt."""
    model, prompts = models.model("llama"), models.prompts()
    observer, told = watched(model, prompts, batch=3), hidden(model, prompts)[None]
    capture = next(c for c in observer.captures() if str(c.site) == "layers.1.resid.resid_post")
    stream = capture.read()
    lengths = [len(row) for row in prompts.tokens[prompts.half :]]
    position = np.concatenate([np.arange(length) for length in lengths])
    rows = told[2].astype(float)
    kept = rows[position >= FIRST_POSITIONS]
    assert stream.report.n == len(kept) == capture.rows
    # Rows differ from transformers' by the padding of their batch: roundings of float32 in entries of size one.
    np.testing.assert_allclose(stream.report.total, kept.sum(axis=0), atol=len(kept) * FLOAT32)
    np.testing.assert_allclose(stream.report.second, kept.T @ kept, atol=len(kept) * 4 * FLOAT32)
    assert stream.excluded == len(rows) - len(kept)
    np.testing.assert_allclose(stream.points, rows, atol=FLOAT32 * np.abs(rows).max())
    np.testing.assert_array_equal(stream.position, position)
    np.testing.assert_array_equal(stream.prompt, np.repeat(np.arange(prompts.half, len(prompts)), lengths))


def test_the_sums_of_exact_rows_are_exact():
    """From the reservoir, which holds the very rows that were summed: float64 roundings only."""
    observer = watched(models.model("gpt2"), models.prompts(40))
    stream = next(c for c in observer.captures() if str(c.site) == "layers.2.resid.resid_post").read()
    kept = stream.points[stream.kept].astype(float)
    size = float(np.sum(kept**2))
    np.testing.assert_allclose(stream.report.second, kept.T @ kept, atol=len(kept) * np.finfo(float).eps * size)
    np.testing.assert_allclose(stream.report.total, kept.sum(axis=0), rtol=1e-10)


def test_long_texts_are_summed_in_pieces(monkeypatch):
    """More rows than wait: what is folded and what still waits are counted together."""
    monkeypatch.setattr("gedanken.captures.stream_sums.WAIT", 7)
    prompts, model = models.prompts(30), models.model("qwen2")
    pieces = watched(model, prompts, batch=2)
    monkeypatch.setattr("gedanken.captures.stream_sums.WAIT", 10**9)
    whole = watched(model, prompts, batch=2)
    for one, other in zip(pieces.captures()[:-1], whole.captures()[:-1], strict=True):
        a, b = one.read(), other.read()
        a, b = (a, b) if isinstance(a, Moments) else (a.report, b.report)
        assert a.n == b.n
        np.testing.assert_allclose(a.second, b.second, rtol=1e-12, atol=1e-12 * np.abs(b.second).max())
    states = [next(c for c in o.captures() if c.site.part == "resid_post").read() for o in (pieces, whole)]
    np.testing.assert_allclose(states[0].fit_absolute, states[1].fit_absolute, rtol=1e-12)


@pytest.mark.parametrize("family", ["llama", "bert", "t5"])
def test_the_batch_size_does_not_matter(family):
    model, prompts = models.model(family), models.prompts(9)
    for one, eight in zip(watched(model, prompts, 1).captures(), watched(model, prompts, 8).captures(), strict=True):
        if one.site.block == "stream":
            continue
        a, b = one.read(), eight.read()
        a, b = (a, b) if isinstance(a, Moments) else (a.report, b.report)
        # Products of other shapes and padding round differently in float32.
        np.testing.assert_allclose(a.second, b.second, atol=4 * FLOAT32 * np.abs(b.second).max())


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert", "albert", "bart", "mixtral", "falcon"])
def test_hooks_leave_outputs_as_they_are(family):
    model, prompts = models.model(family), models.prompts(4)
    tokens, mask = padded(prompts.tokens, torch.device("cpu"))
    with torch.no_grad():
        before = outputs(model, tokens, mask)["logits"]
        observer = StreamObserver(blocks_of(model, model.config.to_dict()), prompts, lambda site: True, "float32")
        observer.attach(model)
        observer.begin(batch := Batch(tokens, mask, np.arange(4), "report"))
        during = outputs(model, tokens, mask)["logits"]
        observer.batch(batch)
        observer.detach()
        after = outputs(model, tokens, mask)["logits"]
    assert torch.equal(before, during) and torch.equal(before, after)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_reservoir_is_bounded_and_of_whole_prompts(monkeypatch):
    monkeypatch.setattr("gedanken.captures.activations.RESERVOIR", 60)
    prompts = models.prompts(40)
    observer = watched(models.model("llama"), prompts)
    path = observer.trajectory(None)
    assert 40 < len(path.states[0]) <= 60
    for prompt in np.unique(path.group):
        assert np.sum(path.group == prompt) == len(prompts.tokens[prompt])
    assert path.group.min() >= prompts.half
    assert all(state.shape == path.states[0].shape and np.isfinite(state).all() for state in path.states)
    states = [c.read().points for c in observer.captures() if c.site.part == "resid_post" and c.site.layer is not None]
    assert all(np.shares_memory(points, state) for points, state in zip(states, path.states[1:], strict=True))


def test_nan_is_refused_where_it_is_and_nowhere_else():
    model = models.model("llama")
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[0, 0] = torch.nan
    refused = set()
    for capture in watched(model, models.prompts()).captures():
        try:
            capture.read()
        except Refusal as refusal:
            assert refusal.flag == Flag.non_finite
            refused.add(str(capture.site))
    after = ["layers.1.mlp.mlp_out", "layers.1.resid.resid_post", "stream.resid_post"]
    later = [f"layers.2.{part}" for part in ("attn.attn_out", "resid.resid_mid", "mlp.mlp_out", "resid.resid_post")]
    assert refused == {*after, *later}


def test_prompts_of_first_positions_only_are_too_few():
    prompts = Prompts.given([np.arange(3, 6)] * 6)
    capture = watched(models.model("llama"), prompts).captures()[0]
    with pytest.raises(Refusal) as refusal:
        capture.read()
    assert refusal.value.flag == Flag.too_small


def test_only_wanted_sites_are_kept():
    model, prompts = models.model("llama"), models.prompts()
    blocks = blocks_of(model, model.config.to_dict())
    observer = StreamObserver(blocks, prompts, lambda site: site.part == "mlp_out", "float32")
    run_forward(model, prompts, [observer])
    assert [str(c.site) for c in observer.captures()] == [f"layers.{i}.mlp.mlp_out" for i in range(3)]


def test_layers_that_share_weights_are_told_apart():
    """ALBERT applies one block three times."""
    observer = watched(models.model("albert"), models.prompts())
    layers = {c.site.layer for c in observer.captures() if c.site.part == "resid_post"} - {None}
    assert layers == {0, 1, 2}
    assert not np.allclose(*[observer.trajectory(None).states[i] for i in (1, 2)])


def test_a_training_model_is_left_training():
    model = models.model("llama").train()
    original = copy.deepcopy(model.state_dict())
    watched(model, models.prompts())
    assert model.training and all(torch.equal(original[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
