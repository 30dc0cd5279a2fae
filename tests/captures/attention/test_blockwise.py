"""The blockwise sweep is the dense formula, for any block size, offset, mask and number of prompts; and so is what an
ensemble keeps of it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.captures.attention import blockwise
from gedanken.captures.attention.blockwise import Rows, products, sweep
from gedanken.captures.attention.head_sums import HeadSums
from gedanken.captures.attention.seen import Seen
from gedanken.captures.attention.visible import Visible, by_mask, by_rule, by_tokens
from gedanken.theory import canonical, row_sums, schottky
from gedanken.theory.row_sums import GRID, MODEL

B = row_sums.inverse(GRID)
EXACT = 1e-12
"""The agreement that is asked for in float64, relative to the largest of a row's numbers."""


def logits(seed: int, n: int, offset: float = 0.0, scale: float = 2.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal((2, n, n)) + offset


def swept(z: np.ndarray, rows: Rows, keys: int, entries: int | None = None) -> row_sums.Sweep:
    whole = torch.from_numpy(z)
    return sweep(lambda r, k: whole[:, r, k].clone(), len(z), rows, B, keys=keys, entries=entries)


def compare(found: row_sums.Sweep, z: np.ndarray) -> None:
    """Against the definitions, temperature by temperature."""
    made = row_sums.thermodynamics(found, GRID)
    for at, tau in enumerate(GRID):
        row = canonical.row(z, 1 / tau)
        np.testing.assert_allclose(made["log_partition"][..., at], row.log_partition, rtol=EXACT, atol=EXACT)
        np.testing.assert_allclose(made["entropy"][..., at], row.entropy, rtol=EXACT, atol=EXACT)
        np.testing.assert_allclose(made["logit"][..., at], -tau * row.energy, rtol=EXACT, atol=EXACT)
        np.testing.assert_allclose(made["heat_capacity"][..., at], row.heat_capacity, rtol=1e-11, atol=EXACT)


@pytest.mark.parametrize("keys", [1, 7, 64, 150])
@pytest.mark.parametrize("offset", [0.0, 50.0, -1e4])
def test_causal_rows_in_blocks_of_any_size(keys, offset):
    z = logits(0, 150, offset)
    rows = Rows(torch.zeros(150, dtype=torch.long), torch.arange(1, 151))
    if offset == -1e4:
        # an offset loses digits of z itself: 1e4 · 2e-16 each
        z = np.round(z, 6)
    hidden = np.where(np.tril(np.ones((150, 150), bool)), z, -np.inf)
    found = swept(z, rows, keys, entries=3000)
    if offset == -1e4:
        deviations = row_sums.thermodynamics(found, GRID)["heat_capacity"][..., MODEL]
        np.testing.assert_allclose(deviations, canonical.row(hidden - offset).heat_capacity, rtol=1e-9, atol=1e-9)
    else:
        compare(found, hidden)
    np.testing.assert_array_equal(found.second[:, 1:], np.sort(hidden, axis=-1)[:, 1:, -2])
    np.testing.assert_array_equal(np.rint(found.weight[..., 0]), np.broadcast_to(np.arange(1, 151), (2, 150)))


@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 40), st.floats(0.01, 40), st.booleans())
@settings(deadline=None, max_examples=40)
def test_masks_of_any_shape(seed, n, keys, scale, window):
    z, rng = logits(seed, n, scale=scale), np.random.default_rng(seed + 1)
    seen = rng.random((n, n)) < 0.6
    seen[np.arange(n), rng.integers(0, n, n)] = True
    start, stop, dense = torch.zeros(n, dtype=torch.long), torch.full((n,), n), torch.from_numpy(seen)[None]
    if window:
        rule = by_rule(1, n, n, causal=True, window=3, device=torch.device("cpu"))
        start, stop, dense = rule.start[0], rule.stop[0], None
        place = np.arange(n)
        seen = (place <= place[:, None]) & (place > place[:, None] - 3)
    compare(swept(z, Rows(start, stop, dense), keys, entries=64), np.where(seen, z, -np.inf))


def test_a_standout_among_equals_keeps_its_digits():
    """One key above 1023 equal ones: (mean − peak)²/variance is as large as it can be."""
    z = np.zeros((1, 1, 1024))
    z[..., 5] = 1.0
    rows = Rows(torch.zeros(1, dtype=torch.long), torch.full((1,), 1024))
    expected = schottky.heat_capacity(1 / GRID, 1024)
    found = row_sums.thermodynamics(swept(z, rows, 512), GRID)["heat_capacity"][0, 0]
    # a block's length times the rounding of float64
    np.testing.assert_allclose(found, expected, rtol=512 * 2.3e-16 * 8)
    single = torch.from_numpy(z).float()
    made = sweep(lambda r, k: single[:, r, k].clone(), 1, rows, B)
    found = row_sums.thermodynamics(made, GRID)["heat_capacity"][0, 0]
    np.testing.assert_allclose(found, expected, rtol=512 * 6e-8 * 8)


def test_merging_is_that_of_samples():
    z = logits(3, 9)
    whole, a, b = (row_sums.dense(part, B) for part in (z, z[..., :4], z[..., 4:]))
    compare(row_sums.merged(a, b, B), z)
    nothing = row_sums.single(np.full(z.shape[:2], -np.inf), len(B))
    for found in (row_sums.merged(whole, nothing, B), row_sums.merged(nothing, whole, B)):
        for x, y in zip(found, whole, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("softcap", [None, 1.5])
def test_products_of_grouped_heads(softcap):
    rng = torch.Generator().manual_seed(0)
    query, key = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((4, 6, 3), (2, 5, 3)))
    bias = torch.randn(4, 1, 5, generator=rng, dtype=torch.float64)
    z = products(query, key, 0.7, softcap, bias)(slice(1, 4), slice(0, 3))
    for head in range(4):
        expected = 0.7 * query[head] @ key[head // 2].T
        expected = expected if softcap is None else softcap * torch.tanh(expected / softcap)
        torch.testing.assert_close(z[head], (expected + bias[head])[1:4, :3])


def test_half_precision_is_lifted_before_the_product():
    query, key = torch.randn(2, 6, 64).bfloat16(), torch.randn(2, 6, 64).bfloat16()
    z = products(query, key, 1.0)(slice(0, 6), slice(0, 6))
    expected = query.double() @ key.double().transpose(1, 2)
    assert z.dtype == torch.float32
    torch.testing.assert_close(z.double(), expected, atol=2e-5, rtol=1e-6)


def test_masks_become_intervals_where_they_are():
    causal = torch.ones(6, 6, dtype=torch.bool).tril().expand(2, 1, 6, 6)
    added = torch.zeros(2, 1, 6, 6).masked_fill(~causal, torch.finfo(torch.float32).min)
    for mask in (causal, added):
        found = by_mask(mask, 2)
        assert found.dense is None and found.bias is None
        assert found.stop[1].tolist() == [1, 2, 3, 4, 5, 6] and found.start[1].tolist() == [0] * 6
    holed = causal.clone()
    holed[0, 0, 5, 2] = False
    assert torch.equal(by_mask(holed, 2).dense, holed)
    biased = by_mask(added + 0.5 * causal, 2)
    assert biased.bias is not None and biased.dense is None
    padded = by_tokens(
        by_rule(1, 6, 6, causal=True, window=None, device=causal.device),
        torch.tensor([[False, False, True, True, True, True]]),
    )
    assert padded.start[0].tolist() == [2] * 6 and padded.stop[0].tolist() == [1, 2, 3, 4, 5, 6]


def summed(z: np.ndarray, prompts: np.ndarray, tokens: np.ndarray | None = None) -> HeadSums:
    """Head sums of prompts with these logits (prompt × head × query × key, causal)."""
    n = z.shape[-1]
    rule = by_rule(len(z), n, n, causal=True, window=None, device=torch.device("cpu"))
    sums = HeadSums(np.random.default_rng(0))
    tokens = np.ones((len(z), n), bool) if tokens is None else tokens
    sums.add(Seen(rule, scores=torch.from_numpy(z)), torch.from_numpy(tokens), prompts)
    return sums


def test_what_an_ensemble_keeps_is_the_sums_of_its_definition():
    z = np.random.default_rng(4).standard_normal((3, 2, 8, 8)) * 2
    ensemble = summed(z, np.array([0, 1, 65])).ensemble(1)
    rows = [np.array(z[p, 1, i, : i + 1]) for p in range(3) for i in range(1, 8)]
    several = [row for row in rows if len(row) > 2]
    for at in (0, MODEL, 16):
        row = [canonical.row(x, 1 / GRID[at]) for x in rows]
        without = [canonical.row(x[1:], 1 / GRID[at]) for x in several]
        bound = np.array([schottky.largest(len(x)) for x in rows])
        gap = [np.sort(x)[-1] - np.sort(x)[-2] for x in rows]
        levels = [np.append(0.0, np.full(len(x) - 1, -g)) for x, g in zip(rows, gap, strict=True)]
        two = [canonical.row(x, 1 / GRID[at]) for x in levels]
        expected = {
            "entropy": sum(r.entropy for r in row),
            "entropy_share": sum(r.entropy / np.log(len(x)) for r, x in zip(row, rows, strict=True)),
            "heat_capacity": sum(r.heat_capacity for r in row),
            "heat_capacity_share": sum(r.heat_capacity / b for r, b in zip(row, bound, strict=True)),
            "log_partition": sum(r.log_partition for r in row),
            "logit": sum(-GRID[at] * r.energy for r in row),
            "entropy_without": sum(r.entropy for r in without),
            "heat_capacity_without": sum(r.heat_capacity for r in without),
            "sink": sum(canonical.pattern(x / GRID[at])[0] for x in rows),
            "schottky_share": sum(
                schottky.heat_capacity(g / GRID[at], len(x)) / b for g, x, b in zip(gap, rows, bound, strict=True)
            ),
            "schottky_entropy_share": sum(r.entropy / np.log(len(x)) for r, x in zip(two, rows, strict=True)),
            "schottky_energy": sum(GRID[at] * r.energy + x.mean() for r, x in zip(two, levels, strict=True)),
            "schottky_free_energy": sum(
                x.mean() - GRID[at] * r.log_partition for r, x in zip(two, levels, strict=True)
            ),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(ensemble.sums[name][:, at].sum(), value, rtol=1e-12, err_msg=name)
    pairs = np.concatenate(rows)
    weight, mean, squares = row_sums.over_groups(ensemble.spreads["landscape"])
    np.testing.assert_allclose([weight, mean, squares / weight], [len(pairs), pairs.mean(), pairs.var()], rtol=1e-12)
    energies = np.array([canonical.row(x).energy for x in rows])
    _, mean, squares = row_sums.over_groups(ensemble.spreads["energy"])
    np.testing.assert_allclose([mean[MODEL], squares[MODEL] / 21], [energies.mean(), energies.var()], rtol=1e-11)
    centred = sum(len(x) * x.var() for x in rows)
    # ID7: the centred landscape is the weighted mean of uniform variances
    np.testing.assert_allclose(ensemble.by_n["squares"].sum(), centred, rtol=1e-12)
    counts = {name: values.sum() for name, values in ensemble.counts.items()}
    assert (counts["rows"], counts["rows_without"], counts["alone"], counts["prompts"]) == (21, 18, 3, 3)
    # prompts 1 and 65 share a group
    assert ensemble.counts["prompts"][:2].tolist() == [1, 2]


def test_leaving_a_group_out_is_summing_the_others():
    z = np.random.default_rng(5).standard_normal((4, 1, 6, 6)) + 40
    whole = summed(z, np.arange(4)).ensemble(0)
    fewer = summed(z[[0, 1, 3]], np.array([0, 1, 3])).ensemble(0)
    for name in whole.spreads:
        live = tuple(part[:4] for part in whole.spreads[name])
        left = row_sums.over_groups(live, left_out=True)
        for x, y in zip(left, row_sums.over_groups(fewer.spreads[name]), strict=True):
            np.testing.assert_allclose(x[2], y, rtol=1e-10, atol=1e-12)


def test_padding_is_left_out_and_batches_do_not_matter():
    z = np.random.default_rng(6).standard_normal((2, 1, 7, 7))
    tokens = np.ones((2, 7), bool)
    tokens[1, 4:] = False
    together = summed(z, np.array([3, 4]), tokens).ensemble(0)
    apart = HeadSums(np.random.default_rng(0))
    for prompt, n in ((0, 7), (1, 4)):
        rule = by_rule(1, n, n, causal=True, window=None, device=torch.device("cpu"))
        part = torch.from_numpy(z[prompt : prompt + 1, :, :n, :n])
        apart.add(Seen(rule, scores=part), torch.ones(1, n, dtype=torch.bool), np.array([prompt + 3]))
    for name, values in together.sums.items():
        np.testing.assert_allclose(values, apart.ensemble(0).sums[name], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("with_sink", [False, True])
def test_prompts_that_see_alike_are_swept_together(with_sink):
    """Equal lengths share a sweep, the one of another length has its own; dipoles go prompt by prompt either way."""
    rng = torch.Generator().manual_seed(9)
    query, key = (torch.randn(4, heads, 9, 5, generator=rng, dtype=torch.float64) for heads in (4, 2))
    sink = torch.randn(4, generator=rng, dtype=torch.float64) if with_sink else None
    tokens = torch.ones(4, 9, dtype=torch.bool)
    tokens[3, 6:] = False
    together, apart = HeadSums(np.random.default_rng(0)), HeadSums(np.random.default_rng(0))

    def seen(chosen: slice) -> Seen:
        rule = by_rule(len(query[chosen]), 9, 9, causal=True, window=None, device=query.device)
        return Seen(rule, query[chosen], key[chosen], 0.7, sink=sink)

    together.add(seen(slice(None)), tokens, np.arange(4))
    for prompt in range(4):
        chosen = slice(prompt, prompt + 1)
        apart.add(seen(chosen), tokens[chosen], np.array([prompt]))
    for head in range(4):
        one, other = together.ensemble(head), apart.ensemble(head)
        for field in ("sums", "counts", "by_n", "dipoles"):
            assert getattr(one, field).keys() == getattr(other, field).keys()
            for name, values in getattr(one, field).items():
                np.testing.assert_allclose(values, getattr(other, field)[name], rtol=1e-12, atol=1e-12, err_msg=name)
        assert one.counts["prompts"][:5].tolist() == [1, 1, 1, 1, 0]
        assert bool(one.no_dipoles) == with_sink


def test_left_padding_changes_the_number_of_keys():
    z = torch.from_numpy(np.random.default_rng(7).standard_normal((1, 1, 7, 7)))
    seen = torch.ones(7, 7, dtype=torch.bool).tril() & (torch.arange(7) >= 3)
    sums = HeadSums(np.random.default_rng(0))
    sums.add(Seen(by_mask(seen[None, None], 1), scores=z), torch.arange(7)[None] >= 3, np.arange(1))
    ensemble = sums.ensemble(0)
    assert ensemble.counts["rows"].sum() == 3 and ensemble.counts["alone"].sum() == 1
    expected = sum(canonical.row(z[0, 0, i, 3 : i + 1].numpy()).entropy for i in range(4, 7))
    np.testing.assert_allclose(ensemble.sums["entropy"][:, MODEL].sum(), expected, rtol=1e-13)
    first = sum(canonical.pattern(z[0, 0, i, 3 : i + 1].numpy())[0] for i in range(4, 7))
    np.testing.assert_allclose(ensemble.sums["sink"][:, MODEL].sum(), first, rtol=1e-13)


def test_removing_the_first_key_costs_the_logarithm_of_what_is_kept():
    """ID5 on every row, from the two sweeps."""
    z = np.random.default_rng(8).standard_normal((1, 2, 9, 9))
    for heads in (z, z + 10 * (np.arange(9) == 0)):
        whole, others = row_sums.dense(heads[0], B), row_sums.dense(heads[0][..., 1:], B)
        a, b = (row_sums.thermodynamics(part, GRID)["log_partition"][..., MODEL] for part in (whole, others))
        kept = canonical.pattern(heads[0])[..., 1:].sum(axis=-1)
        np.testing.assert_allclose(a - b, -np.log(kept), atol=1e-11)


def test_memory_does_not_grow_with_the_square_of_the_context():
    """Largest block that is asked for, at two contexts."""
    sizes = {}
    for n in (600, 2400):
        query, key = torch.randn(2, n, 4), torch.randn(1, n, 4)
        asked, plain = [], products(query, key, 0.5)

        def watched(rows, keys, asked=asked, plain=plain):
            z = plain(rows, keys)
            asked.append(z.numel())
            return z

        sweep(watched, 2, Rows(torch.zeros(n, dtype=torch.long), torch.arange(1, n + 1)), B)
        sizes[n] = max(asked)
    assert max(sizes.values()) <= blockwise.ENTRIES["cpu"]


def test_visible_rules():
    rule = by_rule(2, 3, 5, causal=False, window=None, device=torch.device("cpu"))
    assert isinstance(rule, Visible) and rule.stop.tolist() == [[5] * 3] * 2
