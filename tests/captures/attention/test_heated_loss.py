"""Loss against temperature while a model runs: against a loop written out, one head alone, and samples of the model itself."""

import numpy as np
import pytest
import torch
import transformers as tf

from gedanken.captures.attention.heated_loss import ALL_HEADS, HeatedLossObserver
from gedanken.captures.attention.places import places_of
from gedanken.captures.forward import run_forward
from gedanken.captures.loss import LossObserver
from gedanken.captures.of import captures_of
from gedanken.instruments.heated_loss.loss_at_temperature import LossAtTemperature
from gedanken.interventions.temperature import loss_against_temperature
from gedanken.kinds import Kind
from gedanken.sources.prompts import Prompts
from gedanken.sources.running import RunningSource
from gedanken.status import Refusal

SHAPE = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}
TAU = np.array([0.5, 1.0, 2.0])


def llama(spread: float = 0.5) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        return tf.LlamaForCausalLM(tf.LlamaConfig(**SHAPE, num_key_value_heads=2, initializer_range=spread)).eval()


def observed(model, prompts, wanted=None):
    places = places_of(model, model.config.to_dict())
    heated, plain = HeatedLossObserver(places, prompts, wanted, "float32", TAU), LossObserver(prompts, "float32")
    run_forward(model, prompts, [plain, heated])
    return heated, plain


def test_it_is_the_loss_of_a_heated_model():
    rng = np.random.default_rng(0)
    prompts = Prompts.given([rng.integers(3, 50, length) for length in (9, 9, 6, 5)])
    model = llama()
    heated, plain = observed(model, prompts)
    found = heated.read(ALL_HEADS)

    def loss(m):
        rows = [torch.from_numpy(row)[None] for row in prompts.tokens]
        return sum(m(input_ids=row, labels=row).loss.item() * (row.shape[1] - 1) for row in rows) / found.tokens.sum()

    expected = loss_against_temperature(model, loss, TAU, model.config.to_dict())
    # float32 losses of 25 tokens, padded in one and alone in the other.
    np.testing.assert_allclose(found.nats.sum(axis=0) / found.tokens.sum(), expected, rtol=1e-5)
    np.testing.assert_allclose(found.nats[:, 1].sum(), plain.read().nats.sum(), rtol=1e-12)


def test_one_head_moves_less_than_all_and_is_asked_for_by_its_site():
    prompts = Prompts.given(list(np.random.default_rng(1).integers(3, 50, (4, 12))))
    site = "layers.0.attn.attention_pattern.heads.1"
    heated, _ = observed(llama(), prompts, lambda s: str(s) in (site, str(ALL_HEADS)))
    by_site = {str(c.site): c.read().nats.sum(axis=0) for c in heated.captures()}
    assert set(by_site) == {site, str(ALL_HEADS)}
    one, every = (np.abs(by_site[name] - by_site[name][1]).max() for name in (site, str(ALL_HEADS)))
    assert 0 < one < every


def test_a_model_that_wrote_the_text_predicts_it_best_as_it_is():
    """Samples of a model at its own temperature are the known case: no other p has less −⟨ln p⟩ (Gibbs)."""
    model = llama(0.6)
    rows = torch.full((96, 1), 3)
    with torch.no_grad(), torch.random.fork_rng():
        torch.random.manual_seed(1)
        for _ in range(23):
            p = model(input_ids=rows).logits[:, -1].softmax(-1)
            rows = torch.cat([rows, torch.multinomial(p, 1)], dim=1)
    (snapshot,) = RunningSource.of(model, rows.numpy()).snapshots()
    (capture,) = captures_of(snapshot, kinds={Kind.heated_loss})
    found = LossAtTemperature().measure(capture.read(), np.random.default_rng(0))
    best = found["log_best_temperature"]
    assert abs(best.value) < 3 * best.stderr < 0.5
    excess = found["loss_excess_at_temperature"]
    assert excess.low[0] > 0 and excess.low[-1] > 0


@pytest.mark.parametrize(("made", "flag"), [
    (lambda: tf.AlbertForMaskedLM(tf.AlbertConfig(**SHAPE, embedding_size=8)).eval(), "not_causal"),
    (lambda: tf.Gemma2ForCausalLM(tf.Gemma2Config(**SHAPE, num_key_value_heads=2, head_dim=4)).eval(), "not_visible"),
])  # fmt: skip
def test_what_cannot_be_heated_is_refused(made, flag):
    prompts = Prompts.given(list(np.random.default_rng(1).integers(3, 50, (2, 5))))
    heated, _ = observed(made(), prompts)
    with pytest.raises(Refusal) as told:
        heated.read(ALL_HEADS)
    assert told.value.flag == flag
