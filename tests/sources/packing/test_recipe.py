"""The published exponents and rates, and settings that make no sense."""

import pytest

from gedanken.sources.packing.recipe import RECIPES, Recipe, better, exponent, published
from gedanken.status import Failure


@pytest.mark.parametrize(("d", "p"), [(32, 17), (64, 14), (256, 10), (1024, 8), (3072, 6), (4096, 6)])
def test_published_exponents(d, p):
    assert exponent(d) == published(d).p == p


@pytest.mark.parametrize(("d", "p"), [(32, 11), (64, 9), (16, 14), (4096, 4)])
def test_exponents_as_the_papers_code_has_them_for_few_vectors(d, p):
    assert exponent(d, k=2000) == published(d, k=2000).p == p


def test_the_published_recipe():
    assert published(1024) == Recipe(8, "plain", 5000, 0.005, decay=False, keep_best=False)
    assert published(1536).rate == 0.0025
    assert exponent(1) == exponent(2) == 20


def test_the_rate_falls_to_zero_or_stays():
    recipe = better(32, evaluations=100)
    assert recipe.rate_at(0) == 0.005
    assert recipe.rate_at(50) == pytest.approx(0.0025)
    assert recipe.rate_at(100) == pytest.approx(0.0, abs=1e-18)
    assert published(32).rate_at(4999) == 0.005


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_takes_changes(name):
    assert RECIPES[name](64, p=22, seed=3).p == 22


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": "hinge"},
        {"p": 1},
        {"p": 5000},
        {"evaluations": 0},
        {"rate": 0.0},
        {"rate": 1e30},
        {"rate": float("nan")},
        {"seed": -1},
    ],
)
def test_a_recipe_that_makes_no_sense_is_a_sentence(wrong):
    with pytest.raises(Failure, match=r"\.$"):
        Recipe(**wrong)
