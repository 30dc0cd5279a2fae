"""Loss: transformers' own, whatever the padding; refused for models that do not predict the next token."""

import math

import numpy as np
import pytest
import running_models as models
import torch

from gedanken.captures.forward import padded, run_forward
from gedanken.captures.loss import LossObserver, surprisal
from gedanken.sources.prompts import Prompts
from gedanken.status import Flag, Refusal


def read(model, prompts, batch=None):
    observer = LossObserver(prompts, "float32")
    run_forward(model, prompts, [observer], batch=batch)
    return observer.captures()[0].read()


@pytest.mark.parametrize("family", ["llama", "gpt2", "neox", "gemma2", "opt"])
def test_loss_is_that_of_transformers(family):
    model, prompts = models.model(family), models.prompts(equal=True)
    tokens, _ = padded(prompts.tokens, torch.device("cpu"))
    with torch.no_grad():
        theirs = float(model(input_ids=tokens, labels=tokens)["loss"])
    # float32 logits of size one: their mean over 110 tokens is good to a few roundings.
    assert read(model, prompts).nats.mean() == pytest.approx(theirs, abs=1e-5)


def test_padding_is_not_counted():
    """Prompts of unequal length together and one by one."""
    model, prompts = models.model("llama"), models.prompts(9)
    together, apart = read(model, prompts, 8), read(model, prompts, 1)
    assert len(together.nats) == prompts.count - len(prompts)
    np.testing.assert_allclose(together.nats, apart.nats, atol=1e-5)


def test_a_uniform_model_has_the_entropy_of_its_vocabulary():
    class Uniform(torch.nn.Module):
        def forward(self, tokens):
            return torch.zeros(*tokens.shape, 50)

    tokens, mask = padded(models.prompts().tokens, torch.device("cpu"))
    found = surprisal(Uniform(), tokens, mask)
    # One float32 logarithm of 50.
    np.testing.assert_allclose(found[mask[:, 1:]], math.log(50), rtol=1e-6)
    assert (found[~mask[:, 1:]] == 0).all() and found.shape == (10, tokens.shape[1] - 1)


def test_documents_and_bytes_go_together():
    rows = tuple(np.arange(3, 3 + length) for length in (4, 6, 5))
    special = tuple(np.zeros(len(row), bool) for row in rows)
    prompts = Prompts(rows, special, np.array([2, 2, 7]), np.array([10, 20, 30]))
    found = read(models.model("llama"), prompts)
    np.testing.assert_array_equal(found.document, [0] * 8 + [1] * 4)
    np.testing.assert_array_equal(found.bytes, [30, 30])


@pytest.mark.parametrize("family", ["bert", "albert", "t5"])
def test_models_that_predict_no_next_token_are_refused(family):
    with pytest.raises(Refusal) as refusal:
        read(models.model(family), models.prompts())
    assert refusal.value.flag == Flag.not_causal


def test_nan_logits_are_refused():
    model = models.model("llama")
    with torch.no_grad():
        model.model.norm.weight[0] = torch.nan
    with pytest.raises(Refusal) as refusal:
        read(model, models.prompts())
    assert refusal.value.flag == Flag.non_finite
