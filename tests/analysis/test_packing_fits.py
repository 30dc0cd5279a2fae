"""Fits: recovery of known constants, closed forms, and the specification's table for the published cells."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gedanken.analysis import packing_intervals as intervals
from gedanken.analysis.packing_fits import SHAPES, beyond, checked, errors, fit, predict, read_cells
from gedanken.status import Failure
from gedanken.theory.packing import FORMS, welch_bound

DATA = Path(__file__).parents[2].parent / "shared" / "data"
published = pytest.mark.skipif(not DATA.is_dir(), reason="the published cells are not beside the repository")

# Printed: cells, form, subset; C (a, b, c), R², RMSE, MAPE %, NRMSE %, median log10 k error.
TABLE = [
    ("random", "jl", "all", (3.02391,), 0.99854, 0.00261, 1.387, 0.934, None),
    ("optimised", "jl", "all", (0.736807,), 0.96944, 0.02958, 1026.6, 5.468, None),
    ("optimised", "ratio", "all", (1.298840,), 0.99857, 0.00639, 7.743, 1.181, None),
    ("optimised", "full", "all", (0.489455, 1.05894, 1.41895, 0.97092), 0.99980, 0.00241, 5.232, 0.445, None),
    ("optimised", "jl", "k > d", (0.738454,), 0.97054, 0.02908, 52.02, 5.491, 1.843),
    ("optimised", "ratio", "k > d", (1.298840,), 0.99853, 0.00650, 4.388, 1.228, 0.0887),
    ("optimised", "full", "k > d", (0.489455, 1.05894, 1.41895, 0.97092), 0.99979, 0.00245, 1.786, 0.462, 0.0273),
]
BY_DIMENSION = [1.305, 1.311, 1.230, 1.192, 1.208, 1.150, 1.172, 1.236, 1.217]


def digits(value):
    """Half a unit of the last printed digit."""
    text = repr(value)
    return 0.5 * 10.0 ** -len(text.partition(".")[2]) * 1.02


def grid(epsilon, dims=(32, 64, 256, 1024), counts=(2000, 4000, 8000, 16_000, 32_000)):
    rows = [(d, k, epsilon(k, d)) for d in dims for k in counts]
    return pl.DataFrame(rows, schema=["d", "k", "epsilon"], orient="row")


@published
@pytest.mark.parametrize(("cells", "form", "subset", "constants", "r2", "rmse", "mape", "nrmse", "log10_k"), TABLE)
def test_the_table_of_the_specification(cells, form, subset, constants, r2, rmse, mape, nrmse, log10_k):
    table = read_cells(DATA / f"packing_{cells}.csv")
    found = fit(beyond(table) if subset == "k > d" else table, form)
    for value, printed in zip(found.parameters.values(), constants, strict=True):
        assert value == pytest.approx(printed, abs=digits(printed))
    told = found.errors
    for value, printed in [(told.r_squared, r2), (told.rmse, rmse), (told.mape, mape), (told.nrmse, nrmse)]:
        assert value == pytest.approx(printed, abs=digits(printed))
    if log10_k is not None:
        assert told.median_log10_k == pytest.approx(log10_k, abs=digits(log10_k))
    assert (told.n, found.beyond.n) == {"random": (208, 200), "optimised": (110 if subset == "k > d" else 114, 110)}[
        cells
    ]


@published
def test_the_constant_of_ratio_by_dimension():
    found = intervals.by_dimension(read_cells(DATA / "packing_optimised.csv"))
    assert found["C"].to_list() == pytest.approx(BY_DIMENSION, abs=digits(1.305))


@published
def test_the_published_cells_lie_above_the_welch_bound():
    cells = beyond(read_cells(DATA / "packing_optimised.csv"))
    assert all(e > 1.3 * welch_bound(k, d) for d, k, e in cells.iter_rows())
    ratios = [e / math.sqrt((k - d) / (d * (k - 1))) for d, k, e in cells.iter_rows()]  # the first of Welch's bounds
    assert (min(ratios), max(ratios), np.median(ratios)) == (
        pytest.approx(1.30, abs=0.005),
        pytest.approx(3.06, abs=0.005),
        pytest.approx(2.00, abs=0.005),
    )


@published
def test_the_headline_is_two_orders_only_with_the_cells_whose_optimum_is_zero():
    cells = read_cells(DATA / "packing_optimised.csv")
    found = {
        (row["cells"], row["measure"]): row
        for row in intervals.headline(cells, np.random.default_rng(0), 40).to_dicts()
    }
    every, some = found["all", "mape"], found["k > d", "mape"]
    assert every["reduction"] == pytest.approx(1026.6 / 7.743, rel=1e-4)
    assert some["reduction"] == pytest.approx(52.02 / 4.388, rel=3e-4)
    assert 2 < some["low"] < some["reduction"] < some["high"] < 100
    assert every["low"] < 100 < every["high"]  # without them in the draw, the headline is gone
    assert found["k > d ≥ 512", "mape"]["n"] == 62
    assert intervals.share_within_dimension(cells) > 0.9


@published
def test_the_constant_of_random_vectors_is_that_of_the_trials():
    cells = read_cells(DATA / "packing_random.csv")
    for trials, C in [(1, 3.405), (100, 3.026), (1000, 2.953)]:
        assert fit(intervals.random_cells(cells, trials), "jl").parameters["C"] == pytest.approx(C, abs=digits(C))


@pytest.mark.parametrize("name", ["jl_optimised", "ratio", "full"])
def test_exact_cells_give_their_constants_back(name):
    form = FORMS[name]
    found = fit(grid(form.overlap), name.partition("_")[0])
    for parameter in found.parameters:
        # curve_fit stops at a relative step of 1e-8; C, a and b of `full` trade against each other
        assert found.parameters[parameter] == pytest.approx(getattr(form, parameter), rel=1e-4)
    assert found.errors.mape == pytest.approx(0.0, abs=1e-3)
    assert found.form.domain == ((32, 1024), 32_000)
    assert found.form.is_extrapolated(2048, 0.05) and not found.form.is_extrapolated(1024, 0.05)


@pytest.mark.parametrize("name", ["jl", "ratio"])
def test_one_parameter_has_a_closed_form(name):
    """ε = √C·g, so √C = Σgε/Σg²; its variance is s²/Σg², and C's 4C times that."""
    rng = np.random.default_rng(0)
    cells = grid(lambda k, d: FORMS["full"].overlap(k, d) * (1 + 0.05 * rng.standard_normal()))
    k, d, epsilon = (cells[column].to_numpy().astype(float) for column in ("k", "d", "epsilon"))
    g = predict(name, k, d, 1.0)
    root = g @ epsilon / (g @ g)
    variance = np.sum((epsilon - root * g) ** 2) / (len(k) - 1) / (g @ g)
    found = fit(cells, name)
    assert found.parameters["C"] == pytest.approx(root**2, rel=1e-7)
    assert found.stderr("C") == pytest.approx(math.sqrt(4 * root**2 * variance), rel=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_the_vectorised_form_is_the_scalar_one(name):
    form = FORMS["full"] if name == "full" else FORMS["jl_random" if name == "jl" else "ratio"]
    parameters = [getattr(form, parameter) for parameter in SHAPES[name].names]
    k, d = np.array([2.0, 100, 100, 32_000]), np.array([4.0, 99, 100, 64])
    held = [form.overlap(*pair) if pair[0] > pair[1] or name == "jl" else 0.0 for pair in zip(k, d, strict=True)]
    np.testing.assert_allclose(predict(name, k, d, *parameters), held, rtol=1e-12)


def test_errors_by_hand():
    cells = pl.DataFrame({"d": [4, 8, 16], "k": [8, 8, 64], "epsilon": [0.5, 0.01, 0.3]})
    form = FORMS["ratio"]
    gaps = np.array([form.overlap(8, 4) - 0.5, -0.01, form.overlap(64, 16) - 0.3])
    told = errors(form, cells)
    assert told.rmse == pytest.approx(math.sqrt(np.mean(gaps**2)), rel=1e-12)
    assert told.mape == pytest.approx(100 * np.mean(np.abs(gaps) / [0.5, 0.01, 0.3]), rel=1e-12)
    assert told.nrmse == pytest.approx(100 * told.rmse / 0.49, rel=1e-12)
    counts = [abs(form.log_count(4, 0.5) - math.log(8)), abs(form.log_count(16, 0.3) - math.log(64))]
    assert told.median_log10_k == pytest.approx(np.mean(counts) / math.log(10), rel=1e-12)


def test_noise_is_within_the_intervals_and_b_is_told_from_one():
    rng = np.random.default_rng(0)
    cells = grid(FORMS["ratio"].overlap, dims=(32, 64, 128, 256, 512, 1024))
    noisy = intervals.simulated_cells(cells, "ratio", 0.01, rng)
    table = intervals.fit_table(noisy, rng, ("ratio", "full"), draws=25)
    rows = {(row["form"], row["parameter"]): row for row in table.filter(cells="all").to_dicts()}
    # 1.2934 within six standard errors, a, b, c of the wider form within six of 1
    assert abs(rows["ratio", "C"]["value"] - 1.2934008) < 6 * rows["ratio", "C"]["stderr"]
    for name in "abc":
        assert abs(rows["full", name]["value"] - 1) < 6 * rows["full", name]["stderr"]
    assert all(
        row["low"] <= row["value"] * (1 + 1e-3) and row["high"] >= row["value"] * (1 - 1e-3) for row in rows.values()
    )


def test_leaving_one_dimension_out_predicts_it():
    found = intervals.leaving_one_dimension_out(grid(FORMS["ratio"].overlap), "ratio")
    assert found["left_out"].to_list() == [32, 64, 256, 1024]
    assert found["C"].to_list() == pytest.approx([1.2934008] * 4, rel=1e-6)
    assert found["mape"].max() < 1e-4


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ({"d": [4], "k": [8]}, "epsilon is missing"),
        ({"d": [4], "k": [8], "epsilon": [1.5]}, "makes no sense"),
        ({"d": [4], "k": [1], "epsilon": [0.5]}, "makes no sense"),
        ({"d": [0], "k": [8], "epsilon": [0.5]}, "makes no sense"),
        ({"d": [4], "k": [8], "epsilon": [float("nan")]}, "makes no sense"),
        ({"d": [4], "k": [8], "epsilon": [None]}, "makes no sense"),
        ({"d": ["four"], "k": [8], "epsilon": [0.5]}, "not all numbers"),
    ],
)
def test_cells_that_make_no_sense(rows, sentence):
    with pytest.raises(Failure, match=sentence):
        checked(pl.DataFrame(rows))


def test_too_few_cells_and_no_file(tmp_path):
    with pytest.raises(Failure, match="too few"):
        fit(pl.DataFrame({"d": [4, 8], "k": [4, 7], "epsilon": [0.0, 0.1]}), "ratio")
    with pytest.raises(Failure, match="could not be read"):
        read_cells(tmp_path / "none.csv")
