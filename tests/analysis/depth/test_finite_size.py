"""The finite-size rule: refusals that say what is missing, and planted families of each kind."""

import numpy as np
import pytest

from gedanken.analysis.depth.finite_size import Scaling, Trained, collapse, finite_size


def family(sizes=(64, 128, 256, 512), seeds=3, layers=24, noise=0.02, rng=None, **laws) -> list[Trained]:
    """Models whose width, jump and χ follow the given laws of size."""
    rng = rng or np.random.default_rng(0)
    laws = {"width": lambda n: 4.0, "jump": lambda n: 0.3, "chi": lambda n: 5.0, "bimodal": False} | laws
    return [
        Trained(
            size, seed, layers(size) if callable(layers) else layers,
            laws["width"](size) * np.exp(noise * rng.standard_normal()),
            laws["jump"](size) + 0.01 * rng.standard_normal(),
            laws["chi"](size) * np.exp(noise * rng.standard_normal()), laws["bimodal"],
        )
        for size in sizes for seed in range(seeds)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "models, words",
    [
        ([], "0 of 4 sizes"),
        (family(sizes=(64,), seeds=1), "1 of 4 sizes"),
        (family(sizes=(64, 128, 256)), "3 of 4 sizes"),
        (family(seeds=2), "fewer than 3 training seeds at size 64, 128, 256, 512"),
    ],
)
def test_too_little_is_not_testable_and_says_what_is_missing(models, words):
    found = finite_size(models)
    assert found.scaling == Scaling.not_testable and words in found.reason and not found.slopes


def test_five_families_are_no_size_axis():
    assert finite_size(family(), fixed="the models are of several families").scaling == Scaling.not_testable


def test_constant_width_is_a_crossover():
    assert finite_size(family()).scaling == Scaling.crossover


def test_narrowing_with_two_kinds_is_consistent_with_first_order():
    found = finite_size(family(width=lambda n: 400 / n, chi=lambda n: n / 8, bimodal=True))
    assert found.scaling == Scaling.first_order
    assert found.slopes["susceptibility"][0] == pytest.approx(1, abs=0.05)


def test_narrowing_without_two_kinds_is_unresolved():
    assert finite_size(family(width=lambda n: 400 / n, chi=lambda n: n / 8)).scaling == Scaling.unresolved


def test_an_event_in_one_layer_is_no_narrowing():
    """W constant in layers: W/L falls as 1/L, which is no scaling."""
    found = finite_size(family(sizes=(24, 36, 48, 96), layers=lambda n: n, width=lambda n: 1.5, noise=0.01))
    assert found.scaling == Scaling.single_layer


def scaled_family(rng: np.random.Generator) -> list[Trained]:
    """Curves of one scaling function: y = N^(−1/4) f((γ − 0.42) N^(1/2)), Binder cumulants that cross at 0.42."""
    depth = np.linspace(0.05, 0.95, 60)
    models = []
    for size in (16, 32, 64, 128):
        x = (depth - 0.42) * size**0.5
        for seed in range(3):
            y = size**-0.25 / (1 + np.exp(-x)) + 0.002 * rng.standard_normal(60)
            binder = 1 / 3 + np.tanh(x) / 3
            models.append(
                Trained(size, seed, 24, 24 * 4.394 / size**0.5, 0.1 * size**-0.25, float(size**0.5), False,
                        tuple(depth), tuple(y), (0.002,) * 60, tuple(binder))
            )  # fmt: skip
    return models


def test_a_planted_scaling_function_collapses():
    rng = np.random.default_rng(1)
    models = scaled_family(rng)
    # Mean squared deviation in units of errors: 1 for perfect collapse, up to the interpolation's smaller error.
    assert collapse(models) == pytest.approx(1, abs=0.4)
    assert finite_size(models).scaling == Scaling.continuous


def test_without_profiles_there_is_no_collapse():
    assert collapse(family()) is None
