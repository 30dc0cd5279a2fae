"""Each style is exactly a stock transformers model: same parameters, same logits, both ways."""

import json

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from gedanken.sources.training import transformers_format
from gedanken.sources.training.model import GPT, token_loss
from gedanken.sources.training.open_data import open_data
from gedanken.sources.training.presets import preset
from gedanken.sources.training.trainer import Trainer
from gedanken.status import Failure

CLASSES = {
    "gpt2": transformers.GPT2LMHeadModel,
    "llama": transformers.LlamaForCausalLM,
    "neox": transformers.GPTNeoXForCausalLM,
}
VARIANTS = [(style, tied) for style in CLASSES for tied in (True, False)]

TOLERANCE = 1e-5
"""Of logits of order one: both compute in float32 (ε = 1.2e-7), in another order, through four layers."""


def random_model(style: str, tied: bool):
    """A recipe and a model with biases and norms that are not at their start, so that each must be mapped."""
    recipe = preset("smoke", style=style, tied=tied)
    model = GPT(recipe).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return recipe, model


@pytest.mark.parametrize("style, tied", VARIANTS)
def test_the_logits_are_those_of_transformers(style, tied, tmp_path):
    recipe, model = random_model(style, tied)
    save(recipe, model, tmp_path)
    theirs, info = CLASSES[style].from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 64)))
    with torch.no_grad():
        ours, expected = model(tokens), theirs.eval()(tokens).logits
    assert expected.std() > 0.3
    assert (ours - expected).abs().max() < TOLERANCE * expected.abs().max()


@pytest.mark.parametrize("style, tied", VARIANTS)
def test_every_parameter_is_stored_and_comes_back_to_the_bit(style, tied):
    recipe, model = random_model(style, tied)
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    back = transformers_format.parameters(recipe, transformers_format.stored(recipe, weights))
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[name], weights[name]) for name in weights)


@pytest.mark.parametrize("style, tied", VARIANTS)
def test_what_transformers_saves_can_be_gone_on_from(style, tied, tmp_path):
    """The other direction: a model that transformers made gives the same logits here."""
    recipe = preset("smoke", style=style, tied=tied)
    config = transformers.AutoConfig.for_model(**transformers_format.config(recipe))
    theirs = CLASSES[style](config).eval()
    model = GPT(recipe).eval()
    theirs.save_pretrained(tmp_path)
    model.load_state_dict(transformers_format.parameters(recipe, load_file(tmp_path / "model.safetensors")))
    tokens = torch.arange(50)[None]
    with torch.no_grad():
        assert (model(tokens) - theirs(tokens).logits).abs().max() < TOLERANCE


@pytest.mark.parametrize("style", CLASSES)
def test_the_gradients_are_those_of_transformers(style, tmp_path):
    recipe, model = random_model(style, True)
    save(recipe, model, tmp_path)
    theirs = CLASSES[style].from_pretrained(tmp_path)
    tokens = torch.arange(64).repeat(2, 1)
    theirs(tokens, labels=tokens).loss.backward()
    token_loss(model(tokens)[:, :-1], tokens[:, 1:]).backward()
    ours = transformers_format.stored(recipe, {name: p.grad for name, p in model.named_parameters()})
    for name, parameter in theirs.named_parameters():
        assert torch.allclose(ours[name], parameter.grad, rtol=1e-3, atol=1e-5 * parameter.grad.abs().max()), name


def save(recipe, model, folder):
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    save_file(transformers_format.stored(recipe, weights), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(transformers_format.config(recipe)))


def test_the_trained_model_starts_as_the_specification_says():
    """N(0, 0.02), divided by √(2L) for what writes to the stream; the loss of a uniform guess is ln V."""
    recipe = preset("cpu8")
    model = GPT(recipe)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            std = 0.02 / 4 if name.endswith(("W_O.weight", "W_out.weight")) else 0.02
            # The deviation of n normal numbers has a relative error of 1/√(2n): four of them.
            assert abs(parameter.std().item() / std - 1) < 4 / (2 * parameter.numel()) ** 0.5, name
    logits = model(torch.arange(128)[None])
    assert logits.std() < 0.4


def test_smoke_of_unknown_device_is_a_sentence():
    recipe = preset("smoke", task="copy", device="abacus")
    with pytest.raises(Failure, match="There is no device 'abacus'"):
        Trainer(recipe, open_data(recipe))
