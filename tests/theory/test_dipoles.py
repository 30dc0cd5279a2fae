"""Free dipoles and isotropic twins: printed anchors, and sums over rows by their definitions."""

import numpy as np

from gedanken.theory import canonical, dipoles


def test_anchors():
    found = [float(dipoles.alignment(x, d)) for d, x in ((2, 1.0), (3, 1.0), (3, 2.0), (64, 8.0), (64, 64.0))]
    expected = [0.4463899659, 0.3130352855, 0.5373147207, 0.1231598391, 0.6204304365]
    np.testing.assert_allclose(found, expected, atol=1e-10)
    capacity = [float(dipoles.free_heat_capacity(x, d)) for d, x in ((3, 2.0), (64, 16.0))]
    np.testing.assert_allclose(capacity, [0.6959126806, 3.3914782041], atol=1e-9)
    np.testing.assert_allclose(dipoles.alignment(32.0, 64), 0.4155, atol=5e-5)


def test_langevin_and_the_plateau():
    x = np.linspace(0.1, 30, 50)
    np.testing.assert_allclose(dipoles.alignment(x, 3), 1 / np.tanh(x) - 1 / x, atol=1e-12)
    np.testing.assert_allclose(dipoles.free_heat_capacity(2000.0, 3), 1.0, atol=1e-3)


def test_isotropic_twins_of_few_and_many_keys():
    rng = np.random.default_rng(0)
    few = dipoles.twin_alignment(np.full(4000, 32.0), np.ones((4000, 100)), 64, rng)
    many = dipoles.twin_alignment(np.full(100, 32.0), np.ones((100, 10_000)), 64, rng)
    # four standard errors and the half of the last printed digit
    assert abs(few.mean() - 0.281) < 4 * few.std() / 4000**0.5 + 5e-4
    assert abs(many.mean() - 0.387) < 4 * many.std() / 100**0.5 + 5e-4


def test_sums_over_rows_are_the_definitions():
    rng = np.random.default_rng(2)
    query, key, scale = rng.standard_normal((2, 3, 5)), rng.standard_normal((1, 7, 5)), 0.4
    seen = np.tril(np.ones((7, 7), bool))[[2, 4, 6]]
    found = dipoles.sampled_sums(scale * query, key, seen, scale, rng)
    expected = {"alignment": 0.0, "strength": 0.0, "susceptibility": 0.0, "longitudinal": 0.0, "mean_key": 0.0}
    for q, see in zip(query[1], seen, strict=True):
        k = key[0, see]
        p = canonical.pattern(scale * k @ q)
        centred = k - k.mean(axis=0)
        lengths = np.linalg.norm(centred, axis=1)
        mean = p @ k
        chi = scale * ((k.T * p) @ k - np.outer(mean, mean))
        expected["alignment"] += q @ (p @ centred) / np.linalg.norm(q) / (p @ lengths)
        expected["strength"] += scale * np.linalg.norm(q) * lengths.mean()
        expected["susceptibility"] += np.trace(chi)
        expected["longitudinal"] += q @ chi @ q / (q @ q * np.trace(chi))
        expected["mean_key"] += np.linalg.norm(mean)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name][1], value, rtol=1e-12)
    # a common vector moves the mean key alone
    moved = dipoles.sampled_sums(scale * query, key + 5.0, seen, scale, np.random.default_rng(0))
    for name in ("alignment", "strength", "susceptibility", "longitudinal"):
        np.testing.assert_allclose(moved[name], found[name], rtol=1e-10)
    assert np.abs(moved["mean_key"] - found["mean_key"]).min() > 1
    assert found["swapped_rows"].sum() == 0
    # the derivative's step squared
    np.testing.assert_allclose(found["response"], found["heat_capacity"], rtol=1e-7)


def test_swapped_keys_are_those_of_another_prompt():
    """Where every row sees every key another row's keys are the same, and another prompt's are not."""
    rng = np.random.default_rng(3)
    query, key, theirs = rng.standard_normal((2, 3, 5)), rng.standard_normal((1, 7, 5)), rng.standard_normal((1, 4, 5))
    whole = np.ones((3, 7), bool), np.ones((2, 4), bool)
    found = dipoles.sampled_sums(query, key, whole[0], 1.0, rng, (theirs, whole[1]))
    expected = dipoles.sampled_sums(query[:, :2], theirs, whole[1], 1.0, rng)
    np.testing.assert_allclose(found["swapped"], expected["alignment"], rtol=1e-12)
    assert found["swapped_rows"].tolist() == [2, 2]
