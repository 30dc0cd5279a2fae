"""Approximated attention: closed forms of what it costs, and a model that runs with it."""

import numpy as np
import pytest
import torch
import transformers as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.captures.attention.approximated import APPROXIMATIONS, Approximation, damage_of
from gedanken.captures.attention.approximated_loss import ApproximatedLossObserver
from gedanken.captures.attention.changed_loss import ALL_HEADS
from gedanken.captures.attention.places import places_of
from gedanken.captures.forward import run_forward
from gedanken.captures.loss import LossObserver
from gedanken.captures.of import captures_of
from gedanken.instruments.approximated_loss.approximation_rank import ApproximationRank
from gedanken.interventions.approximation import approximated
from gedanken.kinds import Kind
from gedanken.site import Site
from gedanken.sources.prompts import Prompts
from gedanken.sources.running import RunningSource
from gedanken.status import Failure, Refusal
from gedanken.theory import canonical

SHAPE = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}
LADDER = torch.tensor([0.0, -1.0, -2.0, -3.0], dtype=torch.float64)
"""E = 0, 2, 4, 6 at T = 2."""


def weights(kind: str, strength: float, z: torch.Tensor = LADDER) -> torch.Tensor:
    return Approximation(kind, strength).weights(z, torch.Generator().manual_seed(0))


def llama(**more) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        config = tf.LlamaConfig(**(SHAPE | more), num_key_value_heads=2, initializer_range=0.5)
        return tf.LlamaForCausalLM(config).eval()


def test_what_weights_become():
    p = LADDER.softmax(-1)
    top = weights("top-k", 2)
    np.testing.assert_allclose(top, np.append(p[:2] / p[:2].sum(), [0, 0]), rtol=1e-12)
    # the threshold is known to 2⁻³⁰
    np.testing.assert_allclose(weights("entmax", 2.0), canonical.sparsemax(LADDER.numpy()), atol=1e-8)
    # entmax differs from softmax by the order of α − 1
    np.testing.assert_allclose(weights("entmax", 1.0001), p, atol=1e-3)
    # p/p₁ is 1, 0.37, 0.14 and 0.05: in thirds 3, 1, 0 and 0
    np.testing.assert_allclose(weights("quantised", 2), [0.75, 0.25, 0, 0], rtol=1e-12)
    half = weights("dropout", 0.5, torch.zeros(4000, dtype=torch.float64))
    # binomial: four standard deviations of √1000
    assert abs((half > 0).sum() - 2000) < 4 * 1000**0.5
    np.testing.assert_allclose(weights("dropout", 1.0), p, rtol=1e-12)


def test_closed_forms_of_damage():
    kept = damage_of(LADDER, weights("top-k", 2))
    # printed: T times the excess of the two best keys of this row
    np.testing.assert_allclose(2 * kept.excess_free_energy, 0.2538560220, atol=1e-10)
    np.testing.assert_allclose(
        kept.excess_free_energy, canonical.excess_of_kept(1 - float(kept.dropped_mass)), rtol=1e-12
    )
    np.testing.assert_allclose(kept.pattern_distance, 2 * kept.dropped_mass, rtol=1e-12)
    uniform = damage_of(LADDER, torch.full((4,), 0.25, dtype=torch.float64))
    np.testing.assert_allclose(uniform.excess_free_energy, 0.5538953374, atol=1e-10)
    assert uniform.dropped_mass == 0
    sparse = damage_of(LADDER, weights("entmax", 2.0))
    # of second order in the error of the threshold
    np.testing.assert_allclose(sparse.tsallis_excess, 0.0, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(APPROXIMATIONS), st.integers(1, 9))
def test_excess_free_energy_is_the_functional_above_its_minimum(seed, approximation, n):
    """F[p̃]/T − F*/T = KL(p̃‖p) ≥ 0 for any kind, and weights are distributions over the keys that are seen."""
    rng = np.random.default_rng(seed)
    z = 2 * rng.standard_normal((3, n + 2))
    z[:, n:] = -np.inf
    found = approximation.weights(torch.from_numpy(z), torch.Generator().manual_seed(seed)).numpy()
    np.testing.assert_allclose(found.sum(-1), 1.0, rtol=1e-12)
    assert (found >= 0).all() and (found[:, n:] == 0).all()
    damage = damage_of(torch.from_numpy(z), torch.from_numpy(found))
    expected = canonical.functional(found[:, :n], z[:, :n]) - canonical.functional(
        canonical.pattern(z[:, :n]), z[:, :n]
    )
    np.testing.assert_allclose(damage.excess_free_energy, expected, atol=1e-11)
    assert (damage.excess_free_energy >= -1e-12).all() and (damage.tsallis_excess >= -1e-12).all()
    assert (damage.keys == n).all()


def test_a_row_without_keys_stays_empty():
    z = torch.full((1, 3), -torch.inf)
    for approximation in APPROXIMATIONS:
        found = approximation.weights(z, torch.Generator())
        assert (found == 0).all()
        assert all((value == 0).all() for value in vars(damage_of(z, found)).values())


@pytest.mark.parametrize("made", [
    llama,
    lambda: tf.MistralForCausalLM(tf.MistralConfig(**SHAPE, num_key_value_heads=2, sliding_window=4)).eval(),
    lambda: tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=4, n_positions=32)).eval(),
])  # fmt: skip
def test_all_keys_kept_is_the_model_itself(made):
    model = made()
    tokens = torch.from_numpy(np.random.default_rng(0).integers(3, 50, (2, 9)))
    mask = torch.ones_like(tokens)
    mask[1, 6:] = 0
    with torch.no_grad():
        own = model(input_ids=tokens, attention_mask=mask).logits
        with approximated(model, Approximation("top-k", 9), model.config.to_dict()):
            same = model(input_ids=tokens, attention_mask=mask).logits
        with approximated(model, Approximation("top-k", 1), model.config.to_dict()):
            other = model(input_ids=tokens, attention_mask=mask).logits
        again = model(input_ids=tokens, attention_mask=mask).logits
    shown = mask.bool()
    # roundings of float32 through two layers
    np.testing.assert_allclose(same[shown], own[shown], rtol=1e-4, atol=1e-4 * own.abs().max())
    assert (other - own)[shown].abs().max() > 1e-2 * own.abs().max()
    assert torch.equal(again, own)


def test_the_best_key_alone_gives_its_value():
    """With one key kept, what leaves a head is the value of the key of largest logit: read at the projection behind it."""
    model, seen = llama(num_hidden_layers=1), {}
    tokens = torch.from_numpy(np.random.default_rng(0).integers(3, 50, (1, 7)))
    attention = model.model.layers[0].self_attn
    attention.v_proj.register_forward_hook(lambda m, args, out: seen.update(value=out))
    attention.o_proj.register_forward_pre_hook(lambda m, args: seen.update(given=args[0]))
    with torch.no_grad():
        own = tf.LlamaForCausalLM(model.config)
        own.load_state_dict(model.state_dict())
        own.set_attn_implementation("eager")
        best = own(input_ids=tokens, output_attentions=True).attentions[0][0].argmax(-1)
        with approximated(model, Approximation("top-k", 1), model.config.to_dict()):
            model(input_ids=tokens)
    value = seen["value"].view(7, 2, 4)
    for head in range(4):
        given = seen["given"].view(7, 4, 4)[:, head]
        np.testing.assert_allclose(given, value[best[head], head // 2], rtol=1e-5, atol=1e-6)


def test_losses_by_group_are_those_of_a_model_run_by_hand():
    rng, model = np.random.default_rng(0), llama()
    prompts = Prompts.given([rng.integers(3, 50, length) for length in (9, 9, 6, 5)])
    tried = (Approximation("top-k", 2), Approximation("entmax", 2.0), Approximation("dropout", 0.4))
    layer = "layers.1.attn.attention_pattern"

    def wanted(site: Site) -> bool:
        return str(site) in (str(ALL_HEADS), layer)

    observer = ApproximatedLossObserver(places_of(model, model.config.to_dict()), prompts, wanted, "float32", tried)
    plain = LossObserver(prompts, "float32")
    run_forward(model, prompts, [plain, observer])
    every, one = (observer.read(capture.site) for capture in observer.captures())
    np.testing.assert_allclose(every.exact.sum(), plain.read().nats.sum(), rtol=1e-12)
    for number, approximation in enumerate(tried[:2]):
        with approximated(model, approximation, model.config.to_dict()), torch.no_grad():
            rows = [torch.from_numpy(row)[None] for row in prompts.tokens]
            by_hand = [model(input_ids=row, labels=row).loss.item() * (row.shape[1] - 1) for row in rows]
        # float32 losses, padded in one and alone in the other
        np.testing.assert_allclose(every.nats[:, number], by_hand, rtol=1e-5)
    # rows with two keys and more: 8 + 8 + 5 + 4 of each of four heads, in two layers and in one
    assert every.rows.sum(axis=0).tolist() == [200.0] * 3 and one.rows.sum(axis=0).tolist() == [100.0] * 3
    assert (every.damage["dropped_mass"][:, 0] > 0).all() and (np.abs(one.nats - every.nats).sum(axis=0) > 0).all()


def test_a_scan_ranks_the_approximations():
    model = llama()
    rows = np.random.default_rng(1).integers(3, 50, (8, 12))
    (snapshot,) = RunningSource.of(model, rows).snapshots()
    (capture,) = captures_of(snapshot, kinds={Kind.approximated_loss})
    found = ApproximationRank(resamples=50).measure(capture.read(), np.random.default_rng(0))
    gain = found["approximation_rank_gain"]
    rho = {
        name: found[f"approximation_rank_{name}"].value
        for name in ("excess_free_energy", "dropped_mass", "pattern_distance")
    }
    assert gain.value == rho["excess_free_energy"] - max(rho["dropped_mass"], rho["pattern_distance"])
    assert gain.low <= gain.high and found["approximation_loss_by_dropped_mass"].x.shape == (20,)


@pytest.mark.parametrize(("made", "flag"), [
    (lambda: tf.AlbertForMaskedLM(tf.AlbertConfig(**SHAPE, embedding_size=8)).eval(), "not_causal"),
    (lambda: tf.Gemma2ForCausalLM(tf.Gemma2Config(**SHAPE, num_key_value_heads=2, head_dim=4)).eval(), "not_visible"),
])  # fmt: skip
def test_what_cannot_be_approximated_is_refused(made, flag):
    model = made()
    prompts = Prompts.given(list(np.random.default_rng(1).integers(3, 50, (2, 5))))
    observer = ApproximatedLossObserver(places_of(model, model.config.to_dict()), prompts, None, "float32")
    run_forward(model, prompts, [observer])
    with pytest.raises(Refusal) as told:
        observer.read(ALL_HEADS)
    assert told.value.flag == flag


def test_an_unknown_place_fails():
    model = llama()
    unknown = Site("attn", "attention_pattern", 7)
    with (
        pytest.raises(Failure, match="no attention of"),
        approximated(model, APPROXIMATIONS[0], model.config.to_dict(), [unknown]),
    ):
        pass
