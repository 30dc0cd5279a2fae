"""Every way to evaluate a velocity, against the sum over pairs written out."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float

from gedanken.sources.particles import fused, nonuniform, pairwise
from gedanken.sources.particles.circle import FourierMoments
from gedanken.sources.particles.flow import Flow, normalised
from gedanken.sources.particles.interaction import Interaction
from gedanken.sources.particles.sphere import HarmonicMoments

BETAS = (0.0, 0.3, 2.0, 5.0, 50.0, 500.0)
# Sums of terms of at most one: a few hundred roundings, well below the 1e−12 asked for.
EXACT = 1e-13


def naive(points, beta, softmax, masses=None, W_Q=None, W_K=None, W_V=None, causal=False) -> Float[np.ndarray, "n d"]:
    """The attention of one head as its definition reads, in units of e^β‖W_QᵀW_K‖₂ for USA."""
    n, d = points.shape
    Q, K, V = (np.eye(d) if W is None else W for W in (W_Q, W_K, W_V))
    masses = np.full(n, 1 / n) if masses is None else masses
    peak = beta * np.linalg.norm(Q.T @ K, 2)
    out = np.zeros((n, d))
    for i in range(n):
        seen = range(i + 1) if causal else range(n)
        scores = [beta * (Q @ points[i]) @ (K @ points[j]) for j in seen]
        top = max(scores) if softmax else peak
        weight = [masses[j] * np.exp(score - top) for j, score in zip(seen, scores, strict=True)]
        total = sum(weight) if softmax else sum(masses[j] for j in seen)
        out[i] = sum(w * (V @ points[j]) for w, j in zip(weight, seen, strict=True)) / total
    return out


def tangent(points, output):
    return output - np.sum(output * points, axis=1, keepdims=True) * points


def cloud(rng, n, d):
    return normalised(rng.standard_normal((n, d)))


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_circle_and_sphere_equal_the_direct_sum(beta, softmax, weighted):
    rng = np.random.default_rng(3)
    masses = rng.dirichlet(np.full(60, 5.0)) if weighted else None
    angles = rng.uniform(-4, 9, 60)
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    moments = FourierMoments(beta)
    # Softmax divides sums exact to 1e−16 by partitions that can be as small as one token's mass.
    tolerance = EXACT / (masses.min() * 60 if weighted and softmax else 1.0)
    direct = naive(x, beta, softmax, masses)
    along = x[:, 0] * direct[:, 1] - x[:, 1] * direct[:, 0]
    assert np.abs(moments.angular_velocity(angles, masses, softmax=softmax) - along).max() < tolerance
    assert np.abs(moments.attention(angles, masses, softmax=softmax) - direct).max() < tolerance

    y = cloud(rng, 60, 3)
    y[0], y[1] = (0, 0, 1), (0, 0, -1)  # the poles of the coordinates
    harmonics = HarmonicMoments(beta)
    direct = naive(y, beta, softmax, masses)
    assert np.abs(harmonics.velocity(y, masses, softmax=softmax) - tangent(y, direct)).max() < tolerance
    assert np.abs(harmonics.attention(y, masses, softmax=softmax) - direct).max() < tolerance
    z = pairwise.partition(Interaction(beta), y, masses)
    assert np.abs(harmonics.partition(y, masses) - z).max() < EXACT


@pytest.mark.parametrize(("beta", "order"), [(966.0, 256), (974.0, 257), (5e4, 1786)])
@pytest.mark.parametrize("count", [nonuniform.TOKENS - 1, nonuniform.TOKENS])
def test_both_ways_around_the_change_to_the_fast_transform(beta, order, count, monkeypatch):
    """Where the choice turns: in tokens, in orders, and far beyond. Most tokens in one cluster, which is where the sums are
    large, and angles many turns away."""
    pytest.importorskip("finufft")
    rng = np.random.default_rng(8)
    angles = np.concatenate([rng.uniform(-40, 40, 500), 0.3 + 1e-2 * rng.standard_normal(count - 500)])
    masses = rng.uniform(0.5, 1.5, count)
    masses /= masses.sum()
    moments = FourierMoments(beta)
    assert moments.order == order
    assert nonuniform.pays(order, count) == (count >= nonuniform.TOKENS and order > nonuniform.ORDERS)
    chosen = [moments._sums(angles, m, (moments._sine, moments._cosine, moments._kernel)) for m in (None, masses)]
    for available in (True, False):
        monkeypatch.setattr(nonuniform, "pays", lambda *_, ours=available: ours)
        for m, first in zip((None, masses), chosen, strict=True):
            found = moments._sums(angles, m, (moments._sine, moments._cosine, moments._kernel))
            some = [0, 100, 499, 500, count - 1]
            apart = angles[None, :] - angles[some, None]
            weight = np.exp(-2 * beta * np.sin(apart / 2) ** 2) * (1 / count if m is None else m)
            direct = [(weight * part).sum(axis=1) for part in (np.sin(apart), np.cos(apart), 1.0)]
            assert np.abs(found[:, some] - direct).max() < 1e-12
            assert np.abs(found - first).max() < 1e-12


def test_without_the_package_the_products_of_bases_serve(monkeypatch):
    monkeypatch.setattr(nonuniform, "AVAILABLE", False)
    assert not nonuniform.pays(10**4, 10**6)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_pairwise_and_fused_equal_the_direct_sum_with_matrices(beta, softmax, causal, weighted):
    rng = np.random.default_rng(4)
    x = cloud(rng, 30, 4)
    masses = rng.dirichlet(np.ones(30)) if weighted else None
    W_Q, W_K, W_V = (rng.standard_normal(shape) / 2 for shape in ((3, 4), (3, 4), (4, 4)))
    wanted = naive(x, beta, softmax, masses, W_Q, W_K, W_V, causal)
    name = "softmax" if softmax else "unnormalised"
    interaction = Interaction(beta, name, causal=causal, W_Q=W_Q, W_K=W_K, W_V=W_V)
    # Scores of size βσ₁σ₁ carry rounding of 1e−16 times their size into the exponent.
    tolerance = EXACT * max(1.0, interaction.peak / 50)
    assert np.abs(pairwise.attention(interaction, x, masses) - wanted).max() < tolerance
    assert np.abs(fused.attention(interaction, x, masses) - wanted).max() < tolerance


@pytest.mark.parametrize("causal", [True, False])
def test_blocks_of_queries_equal_one_call(causal):
    """What a GPU does, here on the CPU with blocks of three queries."""
    torch = pytest.importorskip("torch")
    q, k, v = torch.as_tensor(np.random.default_rng(9).standard_normal((3, 1, 2, 20, 4)))
    whole = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=1.0)
    assert (fused.by_blocks(q, k, v, causal, entries=2 * 20 * 3) - whole).abs().max() < EXACT


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("matrices", [True, False])
def test_every_tensor_is_on_the_device_of_the_tokens(softmax, causal, weighted, matrices, monkeypatch):
    """On a device that has shapes and no numbers, every tensor that a torch function returns is looked at."""
    torch = pytest.importorskip("torch")
    from torch.overrides import TorchFunctionMode

    class Devices(TorchFunctionMode):
        seen = 0

        def __torch_function__(self, function, types, args=(), kwargs=None):
            made = function(*args, **(kwargs or {}))
            if isinstance(made, torch.Tensor):
                self.seen += 1
                assert made.device.type == "meta", function
            return made

    monkeypatch.setattr(fused.by_blocks, "__defaults__", (3 * 31 * 2,))  # several blocks
    given = (
        dict.fromkeys(("W_Q", "W_K", "W_V"), np.random.default_rng(0).standard_normal((2, 4, 4))) if matrices else {}
    )
    interaction = Interaction(3.0, "softmax" if softmax else "unnormalised", causal=causal, **given)
    with Devices() as devices:
        x, masses, W = (torch.empty(shape, dtype=torch.float64, device="meta") for shape in ((30, 4), (30,), (2, 4, 4)))
        found = fused.on_device(interaction, x, masses if weighted else None, *([W] * 3 if matrices else []))
        assert (found.dtype, tuple(found.shape)) == (torch.float64, (30, 4))
        assert devices.seen > 20
        with pytest.raises(AssertionError, match="zeros"):  # what it would catch
            torch.zeros(3)


def test_what_is_given_goes_to_the_device_and_the_result_comes_back(monkeypatch):
    """The one place where arrays become tensors names the device; the kernel of a GPU does the rest, here on the CPU."""
    torch = pytest.importorskip("torch")
    rng, made = np.random.default_rng(10), []
    original = torch.as_tensor
    monkeypatch.setattr(torch, "as_tensor", lambda array, device: made.append(device) or original(array))
    monkeypatch.setattr(fused, "_whole", fused.by_blocks)
    W, x, masses = rng.standard_normal((2, 3, 4)), cloud(rng, 30, 4), rng.dirichlet(np.ones(30))
    interaction = Interaction(2.0, "unnormalised", causal=True, W_Q=W, W_K=W, W_V=rng.standard_normal((2, 4, 4)))
    found = fused.attention(interaction, x, masses, "cuda:1")
    assert made == ["cuda:1"] * 5
    assert np.abs(found - pairwise.attention(interaction, x, masses)).max() < EXACT * max(1.0, interaction.peak / 50)


def test_heads_add_up_and_repulsion_is_the_negative():
    rng = np.random.default_rng(5)
    x = cloud(rng, 20, 5)
    W_Q, W_K, W_V = rng.standard_normal((2, 3, 5)), rng.standard_normal((2, 3, 5)), rng.standard_normal((2, 5, 5))
    both = Interaction(1.5, W_Q=W_Q, W_K=W_K, W_V=W_V, repulsive=True)
    wanted = -sum(naive(x, 1.5, True, None, W_Q[h], W_K[h], W_V[h]) for h in range(2))
    for way in (pairwise, fused):
        assert np.abs(way.attention(both, x) - wanted).max() < EXACT
    assert np.allclose(Flow(both, 5).velocity(x), tangent(x, wanted), rtol=0, atol=EXACT)


def test_hardmax_is_the_limit_of_softmax_and_ties_share():
    rng = np.random.default_rng(6)
    x = cloud(rng, 25, 3)
    W_Q = rng.standard_normal((3, 3))
    hard = pairwise.attention(Interaction(np.inf, W_Q=W_Q), x)
    soft = pairwise.attention(Interaction(1e5, W_Q=W_Q), x)
    gap = np.sort(x @ W_Q.T @ x.T, axis=1)[:, ::-1]
    assert np.abs(hard - soft).max() < 25 * np.exp(-1e5 * (gap[:, 0] - gap[:, 1]).min()) + EXACT
    tied = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert np.allclose(pairwise.attention(Interaction(np.inf, W_Q=[[1.0, 0], [0, 0]]), tied)[1], tied.mean(axis=0))


@pytest.mark.parametrize("dimension", [2, 3, 6])
@pytest.mark.parametrize("attention", ["softmax", "unnormalised"])
def test_flow_chooses_a_way_that_equals_pairs(dimension, attention):
    x = cloud(np.random.default_rng(7), 600, dimension)
    for interaction in (Interaction(7.0, attention), Interaction(7.0, attention, causal=True)):
        quick, slow = (Flow(interaction, dimension, clock="peak", exact_pairs=pairs) for pairs in (False, True))
        state = quick.state(x)
        assert np.abs(quick.velocity(state) - slow.velocity(state)).max() < EXACT
        assert np.abs(quick.attention(x) - slow.attention(x)).max() < EXACT


def test_anchor_three_angles():
    """Angles (0, 1, 2.5) at β = 2."""
    angles = np.array([0, 1, 2.5])
    usa, sa = Flow(Interaction(2.0, "unnormalised"), 2), Flow(Interaction(2.0), 2)
    assert usa.velocity(angles) == pytest.approx([0.86663813, -0.44342523, -0.42321290], abs=1e-8)
    assert sa.velocity(angles) == pytest.approx([0.24674255, -0.11580214, -0.14522667], abs=1e-8)
    z = 3 * np.exp(2.0) * FourierMoments(2.0).partition(angles)
    assert z == pytest.approx([10.53695184, 11.48748759, 8.74246238], abs=1e-8)
    assert z.sum() / 9 / 4 == pytest.approx(0.8546361614, abs=1e-10)
    assert np.mean(usa.velocity(angles) ** 2) == pytest.approx(0.3755989, abs=1e-7)
    assert np.mean(z / 3 * sa.velocity(angles) ** 2) == pytest.approx(0.1088826, abs=1e-7)


def test_anchor_three_points():
    """(1,0,0), (0,1,0), (.6,0,.8) at β = 2."""
    x = np.array([[1, 0, 0], [0, 1, 0], [0.6, 0, 0.8]])
    usa = Flow(Interaction(2.0, "unnormalised"), 3).velocity(x)
    assert usa == pytest.approx(
        np.array([[0, 0.33333333, 0.88536451], [0.53333333, 0, 0.26666667], [0.70829161, 0.33333333, -0.53121871]]),
        abs=1e-8,
    )
    assert HarmonicMoments(2.0).partition(x).mean() == pytest.approx(0.4933332290, abs=1e-10)
    weighted = Flow(Interaction(2.0, W_V=np.diag([1.0, 2.0, -1.0])), 3).velocity(x)
    assert weighted == pytest.approx(
        np.array([[0, 0.17080626, -0.2268387], [0.17041117, 0, -0.08520558], [0.66611621, 0.17080626, -0.49958715]]),
        abs=1e-8,
    )
    causal = Flow(Interaction(2.0, causal=True), 3).velocity(x)
    assert causal == pytest.approx(
        np.array([[0, 0, 0], [0.11920292, 0, 0], [0.18147096, 0.08540313, -0.13610322]]), abs=1e-8
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 5]), st.sampled_from([0.0, 1.3, 6.0, 80.0]), st.booleans())
@settings(max_examples=20, deadline=None)
def test_equivariance(seed, dimension, beta, softmax):
    """Rotated tokens have rotated velocities, permuted tokens permuted ones; coincident tokens move alike."""
    rng = np.random.default_rng(seed)
    flow = Flow(Interaction(beta, "softmax" if softmax else "unnormalised"), dimension, clock="peak")
    x = cloud(rng, 12, dimension)
    x[5] = x[3]
    output = flow.attention(x)
    rotation = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
    order = rng.permutation(12)
    assert np.abs(flow.attention(x @ rotation.T) - output @ rotation.T).max() < EXACT
    assert np.abs(flow.attention(x[order]) - output[order]).max() < EXACT
    assert np.abs(output[5] - output[3]).max() < EXACT
    velocity = flow.velocity(flow.state(x))
    if dimension == 2 and not softmax:
        assert abs(velocity.sum()) < EXACT
    if dimension > 2:
        assert np.abs(np.sum(velocity * x, axis=1)).max() < EXACT


def test_unnormalised_is_softmax_times_mean_kernel_near_uniform():
    angles = 2 * np.pi * np.arange(512) / 512
    angles += 1e-6 * np.sin(2 * angles)
    ratio = Flow(Interaction(5.0, "unnormalised"), 2).velocity(angles) / Flow(Interaction(5.0), 2).velocity(angles)
    large = np.abs(np.sin(4 * np.pi * np.arange(512) / 512)) > 0.1
    # The partition differs from I_0(5) by the relative size of the perturbation.
    assert ratio[large] == pytest.approx(27.239871823604442, rel=1e-5)


def test_blocks_hold_no_matrix_of_all_pairs():
    x = cloud(np.random.default_rng(8), 6000, 4)
    tracemalloc.start()
    pairwise.attention(Interaction(3.0), x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6 < 6000**2 * 8


@pytest.mark.slow
def test_fused_kernel_holds_no_matrix_of_all_pairs():
    script = """
import resource, numpy as np, torch
from gedanken.sources.particles import fused
from gedanken.sources.particles.interaction import Interaction
torch.set_num_threads(1)
x = np.random.default_rng(0).standard_normal((9000, 4))
x /= np.linalg.norm(x, axis=1)[:, None]
fused.attention(Interaction(2.0, ATTENTION), x[:64])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fused.attention(Interaction(2.0, ATTENTION), x)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    for attention in ("softmax", "unnormalised"):
        told = script.replace("ATTENTION", repr(attention))
        grown = int(subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout)
        assert grown * 1024 < 9000**2 * 8 / 10
