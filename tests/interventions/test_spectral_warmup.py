"""Arms of the spectral warm-up: each takes from the trained matrices what it says, and nothing else."""

import numpy as np
import pytest
import torch
from scipy import stats

from gedanken.interventions.spectral_warmup import ARMS, made, warmed
from gedanken.status import Failure

RNG = np.random.default_rng(0)
START = 0.02 * RNG.standard_normal((24, 16))
END = RNG.standard_normal((24, 16)) @ np.diag(np.arange(16, 0, -1.0) ** -0.5) + 3 * np.outer(START[:, 0], START[0])
ROUNDING = 1e-12
"""Of decompositions of 24 × 16 matrices in double precision, with room for a condition number of 100."""


def spectrum(matrix):
    return np.linalg.svd(matrix, compute_uv=False)


@pytest.mark.parametrize(("arm", "like"), [("C1", END), ("C4", END), ("C6", END), ("C3", START), ("C7", START)])
def test_the_spectrum_is_the_one_promised(arm, like):
    assert spectrum(made(arm, START, END, RNG)) == pytest.approx(spectrum(like), rel=ROUNDING)


def test_rescaled_arms_have_the_other_norm():
    rescaled, scaled = made("C2", START, END, RNG), made("C5", START, END, RNG)
    assert np.linalg.norm(rescaled) == pytest.approx(np.linalg.norm(START), rel=ROUNDING)
    assert spectrum(rescaled) / spectrum(rescaled)[0] == pytest.approx(spectrum(END) / spectrum(END)[0], rel=ROUNDING)
    assert np.linalg.norm(scaled) == pytest.approx(np.linalg.norm(END), rel=ROUNDING)
    assert scaled / np.linalg.norm(scaled) == pytest.approx(START / np.linalg.norm(START), rel=ROUNDING)


def test_trained_directions_are_kept():
    left, _, right = np.linalg.svd(END, full_matrices=False)
    core = left.T @ made("C3", START, END, RNG) @ right.T
    assert core == pytest.approx(np.diag(spectrum(START)), abs=ROUNDING)


def test_random_directions_overlap_by_chance():
    """E(u·v)² = 1/rows for the first left vectors."""
    first = np.linalg.svd(END)[0][:, 0]
    overlaps = [np.linalg.svd(made("C1", START, END, RNG))[0][:, 0] @ first for _ in range(400)]
    # (u·v)² of a random vector has variance below 2/rows²: four standard errors of 400 draws
    assert np.mean(np.square(overlaps)) == pytest.approx(1 / 24, abs=4 * np.sqrt(2 / 400) / 24)


def test_the_null_arm_equals_the_standard_start_in_distribution():
    """Entries and projections of C7 over new starts are those of Gaussian matrices."""
    draws = 400
    starts = 0.02 * RNG.standard_normal((draws, 6, 6))
    again = np.array([made("C7", start, START[:6, :6], RNG) for start in starts])
    direction = np.outer(np.arange(6.0), np.ones(6))
    for statistic in (lambda w: w[0, 0], lambda w: w[3, 5], lambda w: (w * direction).sum(), lambda w: np.trace(w @ w)):
        one, other = ([statistic(w) for w in sample] for sample in (starts, again))
        # four tests on one fixed seed: a false alarm at 1e-3 would come once in 250 seeds
        assert stats.ks_2samp(one, other).pvalue > 1e-3


def weights(scale, layers=3):
    generator = torch.Generator().manual_seed(int(scale * 10))
    shapes = {"attn.W_Q": (8, 8), "mlp.W_in": (32, 8)}
    found = {
        f"layers.{i}.{p}.weight": scale * torch.randn(s, generator=generator)
        for i in range(layers)
        for p, s in shapes.items()
    }
    return found | {"embed.W_E.weight": scale * torch.randn(11, 8), "layers.0.attn.W_Q.bias": scale * torch.ones(8)}


@pytest.mark.parametrize("arm", ARMS)
def test_only_block_matrices_change(arm):
    initial, trained = weights(0.1), weights(1.0)
    before = {name: tensor.clone() for name, tensor in initial.items()}
    found = warmed(arm, initial, trained, np.random.default_rng(1))
    assert found.keys() == initial.keys()
    for name, tensor in found.items():
        assert tensor.shape == initial[name].shape and tensor.dtype == initial[name].dtype
        assert torch.equal(initial[name], before[name])
        inside = name.startswith("layers.") and name.endswith(".weight")
        assert torch.equal(tensor, initial[name]) == (not inside or arm == "C0")


def test_another_layer_never_the_same():
    initial, trained = weights(0.1), weights(1.0)
    found = warmed("C4", initial, trained, np.random.default_rng(2))
    given = {name: spectrum(t.numpy()) for name, t in trained.items() if t.dim() == 2 and "layers" in name}
    for name, own in given.items():
        new = spectrum(found[name].numpy())
        twins = [
            other for other, values in given.items() if len(values) == len(new) and np.allclose(values, new, rtol=1e-4)
        ]
        assert len(twins) == 1 and twins[0] != name and twins[0].split(".", 2)[2] == name.split(".", 2)[2]
        assert not np.allclose(new, own, rtol=1e-4)


def test_failures():
    with pytest.raises(Failure, match="no arm 'C9'"):
        warmed("C9", weights(0.1), weights(1.0), RNG)
    with pytest.raises(Failure, match="hold no layers.2.attn.W_Q.weight"):
        warmed("C1", weights(0.1), weights(1.0, layers=2), RNG)
    with pytest.raises(Failure, match="two layers"):
        warmed("C4", weights(0.1, layers=1), weights(1.0, layers=1), RNG)
