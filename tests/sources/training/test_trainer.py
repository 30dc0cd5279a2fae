"""The optimiser and the controls: against formulas, and against torch by another path."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gedanken.sources.training.model import GPT
from gedanken.sources.training.open_data import open_data
from gedanken.sources.training.optimiser import learning_rate
from gedanken.sources.training.presets import preset
from gedanken.sources.training.trainer import Trainer


def tiny(**fields):
    small = {"layers": 2, "width": 16, "heads": 2, "vocabulary": 16, "context": 16, "batch": 4, "threads": 1}
    return preset("smoke", **({"task": "copy", "steps": 40, "warmup": 5} | small | fields))


def trainer(**fields):
    recipe = tiny(**fields)
    return Trainer(recipe, open_data(recipe))


def test_the_rate_rises_linearly_and_falls_as_a_cosine_to_a_tenth():
    recipe = preset("cpu8")
    rates = [learning_rate(recipe, step) for step in range(1, 1001)]
    assert rates[0] == pytest.approx(1e-5) and rates[99] == 1e-3
    assert rates[549] == pytest.approx(1e-3 * 0.55)  # half way: the mean of both ends
    assert rates[-1] == pytest.approx(1e-4)
    assert np.argmax(rates) == 99 and (np.diff(rates[99:]) < 0).all()


def test_rates_of_controls():
    constant = preset("cpu8", control="no-warm-up")
    assert {learning_rate(constant, step) for step in (1, 50, 500, 1000)} == {1e-3}
    jump, plain = preset("cpu8", control="rate-jump"), preset("cpu8")
    assert learning_rate(jump, 500) == learning_rate(plain, 500)
    assert learning_rate(jump, 501) == pytest.approx(10 * learning_rate(plain, 501))


def test_an_update_is_that_of_a_hand_written_loop():
    """Naive twin: AdamW written out, in float64, on the same batches."""
    run = trainer()
    recipe = run.recipe
    twin = GPT(recipe).double()
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in twin.named_parameters()}
    for step in range(1, 16):
        inputs, targets = map(torch.from_numpy, run.data.batch(step - 1))
        scored = targets >= 0
        loss = -F.log_softmax(twin(inputs), -1)[scored].gather(1, targets[scored][:, None]).mean()
        twin.zero_grad()
        loss.backward()
        norm = math.sqrt(sum((p.grad**2).sum().item() for p in twin.parameters()))
        assert run.advance().loss == pytest.approx(loss.item(), rel=1e-5)
        rate, scale = learning_rate(recipe, step), min(1.0, recipe.clip / norm)
        with torch.no_grad():
            for name, p in twin.named_parameters():
                mean, square = moments[name]
                mean.mul_(0.9).add_(p.grad * scale, alpha=0.1)
                square.mul_(0.95).add_((p.grad * scale) ** 2, alpha=0.05)
                decay = recipe.weight_decay if p.dim() > 1 else 0.0
                root = (square / (1 - 0.95**step)).sqrt() + 1e-8
                p.mul_(1 - rate * decay).sub_(rate * (mean / (1 - 0.9**step)) / root)
    for name, p in run.model.named_parameters():
        # Adam divides by the gradient's size: rounding of small gradients moves entries by a small part of a rate.
        assert (p - twin.get_parameter(name)).abs().max() < 0.02 * recipe.learning_rate, name


def test_the_updates_are_what_the_weights_moved_by():
    run = trainer()
    assert run.updates() == {} and run.gradients() == {}
    for _ in range(7):
        before = {name: weight.clone() for name, weight in run.weights().items()}
        run.advance()
    updates = run.updates()
    assert updates.keys() == before.keys()
    for name, weight in run.weights().items():
        # The difference of two float32 numbers of order one is only known to 1e-7; the updates are of order 1e-3.
        assert torch.allclose(updates[name], weight - before[name], atol=3e-7, rtol=1e-4), name


def test_the_gradients_are_those_of_the_last_batch():
    run = trainer(clip=1e9)
    run.advance()
    weights = {name: weight.clone() for name, weight in run.weights().items()}
    run.advance()
    other = GPT(run.recipe)
    other.load_state_dict(weights, strict=False)
    inputs, targets = map(torch.from_numpy, run.data.batch(1))
    F.cross_entropy(other(inputs).flatten(0, 1), targets.flatten(), ignore_index=-1).backward()
    for name, gradient in run.gradients().items():
        assert torch.allclose(gradient, other.get_parameter(name).grad, atol=1e-6), name


def test_decay_is_on_matrices_alone():
    groups = trainer().optimiser.param_groups
    assert {p.dim() for p in groups[0]["params"]} == {2} and groups[0]["weight_decay"] == 0.1
    assert {p.dim() for p in groups[1]["params"]} == {1} and groups[1]["weight_decay"] == 0


def test_frozen_changes_nothing_to_the_bit():
    run = trainer(control="frozen")
    before = {name: weight.clone() for name, weight in run.weights().items()}
    for _ in range(10):
        run.advance()
    assert all(torch.equal(weight, before[name]) for name, weight in run.weights().items())
    assert all((update == 0).all() for update in run.updates().values())


def test_planted_failures_break_what_they_say():
    run = trainer(control="frozen-layer")
    before = {name: weight.clone() for name, weight in run.weights().items()}
    for _ in range(5):
        run.advance()
    still = {name for name, weight in run.weights().items() if torch.equal(weight, before[name])}
    assert still == {name for name in before if name.startswith("layers.1.")}

    plain, broken = trainer(), trainer(control="rank-one")
    for _ in range(20):
        assert plain.advance().loss == broken.advance().loss
    name = "layers.1.attn.W_Q.weight"
    start = torch.linalg.matrix_norm(broken.weights()[name], 2)
    for _ in range(20):
        broken.advance()
    # The term ends at ten times σ₁ of the start, which 0.02 (√16 + √16) estimates; training adds its own growth.
    assert torch.linalg.matrix_norm(broken.weights()[name], 2) > 5 * start


@pytest.mark.slow
def test_a_small_model_learns_to_copy():
    """Recovery of a known rule: the loss of a model that copies is 0, that of a guess ln 15 = 2.7."""
    run = trainer(steps=1200, width=32, heads=4, batch=32, learning_rate=3e-3, warmup=50)
    for _ in range(1200):
        run.advance()
    assert run.validation_loss(100) < 0.5


def test_shuffled_text_teaches_frequencies_and_no_more():
    """The loss cannot fall below the entropy of the shuffled held-out tokens."""
    recipe = preset("smoke", control="shuffled", threads=1, learning_rate=3e-3, steps=80)
    run = Trainer(recipe, open_data(recipe))
    for _ in range(80):
        run.advance()
    counts = np.bincount(run.data._held_out)
    share = counts[counts > 0] / counts.sum()
    entropy = -(share * np.log(share)).sum()
    assert entropy - 0.05 < run.validation_loss(200) < entropy + 0.5


def test_bfloat16_products_train_float32_weights_along_the_same_path():
    exact, rough = trainer(), trainer(precision="bfloat16")
    losses = [(exact.advance().loss, rough.advance().loss) for _ in range(20)]
    assert all(weight.dtype == torch.float32 for weight in rough.weights().values())
    # Eight binary digits: each logit is off by 2⁻⁹ of its size, and the mean loss by less than a hundredth.
    assert all(abs(one - other) < 0.01 for one, other in losses)
    assert any(one != other for one, other in losses)
