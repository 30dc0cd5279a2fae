"""Capacity, guarantee, budget and bound as readings of a table: values, intervals, flags, refusals, nulls."""

import math
from dataclasses import replace

import numpy as np
import pytest

from gedanken.captures.point_moments import accumulate
from gedanken.instruments.moments.cosine_edge import CosineEdge
from gedanken.instruments.moments.cosine_edge_by_token_id import CosineEdgeByTokenId
from gedanken.instruments.moments.greedy_guarantee import GreedyGuarantee
from gedanken.instruments.moments.packing_capacity import PackingCapacity
from gedanken.instruments.moments.vocabulary_budget import VocabularyBudget
from gedanken.instruments.moments.welch_bound import WelchBound
from gedanken.kinds import Moments
from gedanken.status import Flag, Refusal
from gedanken.theory import packing

RNG = np.random.default_rng(0)


def with_edge(edge, n, d):
    """Moments of n directions in d dimensions with zero mean cosine and exactly this ε, and no error."""
    q = (edge / 2) ** 2
    second = np.zeros((d, d))
    # one heavy eigenvalue over equal ones: trace n, squared norm n + n(n−1)q
    x = math.sqrt((n + n * (n - 1) * q - n**2 / d) * (d - 1) / d)
    np.fill_diagonal(second, (n - x - n / d) / (d - 1))
    second[0, 0] = n / d + x
    total = np.zeros(d)
    total[0] = math.sqrt(n)
    row = np.zeros(d)
    row[0] = 1.0
    return Moments(n, total, second, np.tile(row, (2, 1)))


@pytest.mark.parametrize(("d", "edge", "k"), [(4096, 0.0645, 3.9945e7), (2048, 0.09, 1.9847e7), (3072, 0.09, 5.9597e8)])
def test_published_values_through_a_reading(d, edge, k):
    table = with_edge(edge, 32_000, d)
    assert CosineEdge().measure(table, RNG)["cosine_edge"].value == pytest.approx(edge, rel=1e-9)
    capacity = PackingCapacity().measure(table, RNG)["packing_capacity"]
    assert capacity.value == pytest.approx(math.log10(k), abs=2e-5)  # k is printed to five digits
    assert Flag.extrapolated in capacity.flags and Flag.clamped not in capacity.flags
    share = VocabularyBudget().measure(replace(table, tables=2), RNG)
    assert share["vocabulary_share"].value == pytest.approx(64_000 / k, rel=5e-5)
    assert share["feature_budget"].value == pytest.approx(k - 64_000, rel=5e-5)


def test_llama_2_row():
    table = with_edge(0.0645, 32_000, 4096)
    found = {form: PackingCapacity(form).measure(table, RNG)["packing_capacity"] for form in packing.FORMS}
    assert 10 ** found["jl"].value == pytest.approx(8.415, rel=1e-4)
    assert 10 ** found["jl_random"].value == pytest.approx(277.2, rel=2e-4)
    assert 10 ** found["ratio"].value == pytest.approx(2.158e9, rel=3e-4)
    assert Flag.below_guarantee in found["jl"].flags and Flag.below_guarantee in found["jl_random"].flags
    assert Flag.below_guarantee not in found["full"].flags
    assert Flag.extrapolated not in found["jl"].flags  # a proven bound has no fitted range
    guarantee = GreedyGuarantee().measure(table, RNG)["greedy_guarantee"].value
    assert 10**guarantee == pytest.approx(2.775e4, rel=2e-4)


def test_below_the_guarantee():
    capacity = PackingCapacity().measure(with_edge(0.09, 32_000, 8192), RNG)["packing_capacity"]
    assert Flag.below_guarantee in capacity.flags


@pytest.mark.parametrize(("edge", "word"), [(0.15, "gap"), (0.25, "above 0.2")])
def test_refused_outside_the_first_class(edge, word):
    table = with_edge(edge, 5000, 512)
    for instrument in (PackingCapacity(), PackingCapacity("jl"), PackingCapacity(z=3.0), VocabularyBudget()):
        with pytest.raises(Refusal, match=word) as refused:
            instrument.measure(table, RNG)
        assert refused.value.flag == Flag.not_near_orthogonal
    GreedyGuarantee().measure(table, RNG)  # a proof holds at any ε


def gaussian(n, d, offset=0.0, seed=0):
    table = np.random.default_rng(seed).standard_normal((n, d)) + offset
    return accumulate(lambda: iter([table]), n, "unit")


def test_interval_goes_through_its_end_points():
    table = gaussian(2000, 1024, 0.05)
    edge = CosineEdge().measure(table, RNG)["cosine_edge"]
    capacity = PackingCapacity().measure(table, RNG)["packing_capacity"]
    ends = [packing.FORMS["full"].log_capacity(1024, x) / math.log(10) for x in (edge.low, edge.value, edge.high)]
    assert [capacity.low, capacity.value, capacity.high] == pytest.approx(ends, rel=1e-12)
    budget = VocabularyBudget().measure(table, RNG)
    assert budget["vocabulary_share"].low == pytest.approx(2000 / 10**capacity.high, rel=1e-12)
    assert budget["vocabulary_share"].low < budget["vocabulary_share"].value < budget["vocabulary_share"].high


def test_a_random_table_lies_in_its_null():
    table = gaussian(3000, 1024)
    instruments = CosineEdge(), PackingCapacity(), PackingCapacity("ratio"), GreedyGuarantee(), VocabularyBudget()
    for instrument in instruments:
        reading = instrument.measure(table, RNG)
        for name, band in instrument.null(table, reading).items():
            assert band.p > 1e-3 and band.low <= band.median <= band.high  # the guarantee is a whole number
            assert band.low - (band.high - band.low) < reading[name].value < band.high + (band.high - band.low)
    reading = PackingCapacity("ratio").measure(table, RNG)
    band = PackingCapacity("ratio").null(table, reading)["packing_capacity"]
    assert 10**band.median == pytest.approx(22.03 * 1024, rel=1e-3)  # e^{4/C} d
    assert reading["packing_capacity_excess"].value == pytest.approx(reading["packing_capacity"].value - band.median)


def test_unknown_form():
    with pytest.raises(ValueError, match="no capacity form 'fulll'"):
        PackingCapacity("fulll")


def test_floor_and_bound():
    reading = WelchBound().measure(gaussian(2000, 64), RNG)
    assert reading["welch_bound"].value == pytest.approx(0.1230, abs=5e-5)
    assert reading["cosine_edge_floor"].value == pytest.approx(2 * math.sqrt(1936 / (64 * 1999)), rel=1e-14)
    assert CosineEdge().measure(gaussian(2000, 64), RNG)["cosine_edge"].value > reading["cosine_edge_floor"].value


def test_strata_are_tables_of_their_own():
    table = np.random.default_rng(1).standard_normal((800, 32))
    table[:200] += 0.5
    whole = accumulate(lambda: iter([table]), 800, "unit")
    curve = CosineEdgeByTokenId().measure(whole, RNG)["cosine_edge_by_token_id"]
    parts = [accumulate(lambda part=part: iter([part]), 100, "unit") for part in np.split(table, 8)]
    edges = [CosineEdge().measure(part, RNG)["cosine_edge"].value for part in parts]
    np.testing.assert_allclose(curve.y, edges, atol=1e-12)
    np.testing.assert_allclose(curve.x, (np.arange(8) + 0.5) / 8)
    inside = (curve.null_low < curve.y) & (curve.y < curve.null_high)
    assert not inside[:2].any() and inside[2:].sum() >= 5
