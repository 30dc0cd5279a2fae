"""Claims of how overlaps depend on how many vectors are packed into how many dimensions (RC4, RC5, RC6, RC7)."""

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from gedanken.analysis.packing_fits import beyond, fit
from gedanken.analysis.packing_intervals import (
    ENDS,
    headline,
    leaving_one_dimension_out,
    random_cells,
    resampled,
    share_within_dimension,
    simulated_cells,
)
from gedanken.analysis.wording import interval, number
from gedanken.status import Failure
from gedanken.studies.base import Claim, Judgement, Verdict, not_testable
from gedanken.studies.representational_capacity.evidence import Cells, Evidence
from gedanken.studies.representational_capacity.wording import WORDS, against_rule, with_interval

PACK = (
    "It needs packings of at least two dimensions: gedanken pack --d 16 --d 32 --d 64 --k 200 --k 500 --k 1000 --k 2000, "
    "or --set cells=FILE with columns d, k, epsilon."
)
RANDOM = "It needs overlaps of random vectors: --set random_cells=FILE with columns d, k, epsilon."
CLOSE, SMALL = 0.01, 2.0
"""RC4: how far C may be from the oracle's, and how large the mean relative error in per cent."""
FAILS, BETTER, ORDERS = 5.0, 2.0, 100.0
"""RC5: times the error on random data; RC6: reductions of the error."""
NEAR_ONE = 0.1
"""RC7: how far a and c may be from 1."""
NOISE = 0.01
"""RC7: relative noise of the simulated control."""


def each(evidence: Evidence, judge: Callable[[Evidence, Cells], Iterator[Judgement]]) -> Iterator[Judgement]:
    """The judgements for every set of packings, or the one that says what makes them."""
    sets = [cells for cells in evidence.cells if len(cells.optimised)]
    if not sets:
        yield not_testable(PACK)
    for cells in sets:
        try:
            yield from judge(evidence, cells)
        except Failure as few:
            yield not_testable(f"{few.sentence} {PACK}", cells.name, "too few")


def random_law(evidence: Evidence) -> Iterator[Judgement]:
    """RC4, of the measured overlaps of random vectors, against the exact law at the same cells."""
    sets = [cells for cells in evidence.cells if cells.random is not None]
    if not sets:
        yield not_testable(RANDOM)
    for cells in sets:
        yield judge_random(cells.name, cells.random, cells.trials, evidence.rng("RC4"), evidence.draws)


def judge_random(part: str, random: pl.DataFrame, trials: int, rng: np.random.Generator, draws: int) -> Judgement:
    """supported: C within 1 % of the oracle's C, with its interval, and a mean relative error below 2 %."""
    oracle = random_cells(random, trials)
    both = random.with_columns(oracle=oracle["epsilon"])
    found, law = fit(random, "jl"), fit(oracle, "jl")

    def apart(part: pl.DataFrame) -> list[float]:
        # the oracle is a function of (d, k), so it is drawn along with the cells
        drawn = part.join(both.select("d", "k", "oracle").unique(["d", "k"]), on=["d", "k"], how="left")
        twin = drawn.select("d", "k", epsilon="oracle")
        drawn_fit = fit(part, "jl")
        return [drawn_fit.parameters["C"] / fit(twin, "jl").parameters["C"] - 1, drawn_fit.errors.mape]

    ends = np.percentile(resampled(random, apart, rng, draws), ENDS, axis=0)
    effect = found.parameters["C"] / law.parameters["C"] - 1
    told = [
        against_rule(float(ends[0, 0]), float(ends[1, 0]), -CLOSE, CLOSE),
        against_rule(float(ends[0, 1]), float(ends[1, 1]), most=SMALL),
    ]
    verdict = next((v for v in (Verdict.not_supported, Verdict.inconclusive) if v in told), Verdict.supported)
    rival = fit(random, "ratio").errors
    return Judgement(
        verdict,
        f"C = {number(found.parameters['C'], 4)} against the exact law's {number(law.parameters['C'], 4)} for the least of "
        f"{trials:,} draws; mean relative error {number(found.errors.mape)} %, R² {found.errors.r_squared:.4f}. With "
        f"ln(k/d) instead: {number(rival.mape)} %, R² {rival.r_squared:.2f}. C is a property of the draws and the grid.",
        WORDS[verdict], "C over the exact law's, minus 1 [1]", effect, float(ends[0, 0]), float(ends[1, 0]), len(random),
        f"the Beta law of random directions, the least of {trials:,} draws", part,
    )  # fmt: skip


def plain_form(evidence: Evidence, cells: Cells) -> Iterator[Judgement]:
    """RC5: the error of ln k on optimised vectors with k > d, in units of its error on random ones."""
    outside = _several(cells)
    random = cells.random if cells.random is not None else random_cells(outside, cells.trials)
    scale = fit(random, "jl").errors.mape
    found, every = fit(outside, "jl").errors.mape, fit(cells.optimised, "jl").errors.mape
    drawn = resampled(outside, lambda part: [fit(part, "jl").errors.mape], evidence.rng("RC5"), evidence.draws)
    low, high = (float(end) / scale for end in np.percentile(drawn, ENDS))
    verdict = against_rule(low, high, least=FAILS)
    yield Judgement(
        verdict,
        f"√(C ln k/d) errs by {number(found)} % on average where k > d ({number(every)} % on all cells), and by "
        f"{number(scale)} % on random vectors.",
        WORDS[verdict], "mean relative error on optimised over random vectors, k > d [1]", found / scale, low, high,
        len(outside), "random vectors" + ("" if cells.random is not None else " (exact law)"), cells.name,
    )  # fmt: skip


def _several(cells: Cells) -> pl.DataFrame:
    """The cells with k > d. Raises Failure below two dimensions: an interval draws dimensions."""
    outside = beyond(cells.optimised)
    if outside["d"].n_unique() < 2:
        raise Failure("There are fewer than two dimensions with k > d.")
    return outside


def repaired(evidence: Evidence, cells: Cells) -> Iterator[Judgement]:
    """RC6: by how much ln(k/d) errs less than ln k."""
    _several(cells)
    table = headline(cells.optimised, evidence.rng("RC6"), evidence.draws)
    row = {key: _row(table, *key) for key in table.select("cells", "measure").iter_rows()}
    outside = row["k > d", "mape"]
    random = cells.random if cells.random is not None else random_cells(beyond(cells.optimised), cells.trials)
    rival = fit(random, "ratio").errors.r_squared
    predicted = leaving_one_dimension_out(cells.optimised, "ratio")["mape"].drop_nulls()
    others = "; ".join(
        f"{label} {with_interval(*(row['k > d', key][name] for name in ('reduction', 'low', 'high')))}"
        for key, label in (("rmse", "root mean square"), ("median_percent", "median"), ("median_log10_k", "log₁₀ k"))
    )
    wide = row.get(("k > d ≥ 512", "mape"))
    wider = f" For d ≥ 512 {with_interval(wide['reduction'], wide['low'], wide['high'])}." if wide else ""
    verdict = against_rule(outside["low"], outside["high"], least=BETTER)
    fields = ("mean relative error of ln k over ln(k/d), k > d [1]", outside["reduction"], outside["low"],
              outside["high"], outside["n"])  # fmt: skip
    yield Judgement(
        verdict,
        f"Where k > d the mean relative error falls from {number(outside['jl'])} to {number(outside['ratio'])} %. "
        f"Reductions by other errors: {others}.{wider} For a dimension left out ln(k/d) errs by "
        f"{number(predicted.min())} to {number(predicted.max())} %. On random vectors it gives R² {rival:.2f}.",
        WORDS[verdict], *fields, "ln(k/d) on random vectors; one dimension left out", f"better ({cells.name})",
    )  # fmt: skip
    verdict = against_rule(outside["low"], outside["high"], least=ORDERS)
    yield Judgement(
        verdict,
        f"On k > d the reduction is {number(outside['reduction'])} times, of the {ORDERS:g} that two orders of magnitude "
        "are.",
        WORDS[verdict], *fields, "all cells, where residues of the optimiser decide", f"two orders ({cells.name})",
    )  # fmt: skip
    yield _headline(cells, row["all", "mape"])


def _headline(cells: Cells, every: dict) -> Judgement:
    """The ratio on all cells: what cells with k ≤ d do to it is a definition."""
    inside = cells.optimised.filter(pl.col("k") <= pl.col("d"))
    share = share_within_dimension(cells.optimised) if len(inside) else 0.0
    said = (
        f"{len(inside)} cells with k ≤ d make {100 * share:.1f} % of the error of ln k: the optimum there is 0, the value "
        "the optimiser's residue, and ln(k/d) predicts 0 by definition."
        if len(inside) else "There are no cells with k ≤ d, so this is the ratio on k > d."
    )  # fmt: skip
    return Judgement(
        Verdict.not_testable, f"From {number(every['jl'])} to {number(every['ratio'])} %. {said}", "true by definition",
        "mean relative error of ln k over ln(k/d), all cells [1]", every["reduction"], every["low"], every["high"],
        every["n"], "k > d only", f"headline, all cells ({cells.name})",
    )  # fmt: skip


def _row(table: pl.DataFrame, cells: str, measure: str) -> dict:
    return table.row(by_predicate=(pl.col("cells") == cells) & (pl.col("measure") == measure), named=True)


def four_parameters(evidence: Evidence, cells: Cells) -> Iterator[Judgement]:
    """RC7: supported if a and c are within 0.1 of 1 in every refit without one dimension, refuted if in none."""
    if beyond(cells.optimised)["d"].n_unique() < 3:
        raise Failure("Leaving one dimension out needs at least three with k > d.")
    whole = fit(cells.optimised, "full").parameters
    refits = leaving_one_dimension_out(cells.optimised, "full")
    control = leaving_one_dimension_out(simulated_cells(cells.optimised, "ratio", NOISE, evidence.rng("RC7")), "full")
    away = pl.max_horizontal((pl.col("a") - 1).abs(), (pl.col("c") - 1).abs())
    worst = refits.select(away).to_series()
    verdict = against_rule(float(worst.min()), float(worst.max()), most=NEAR_ONE)
    spans = {name: interval(refits[name].min(), refits[name].max()) for name in "abc"}
    free = not refits["b"].min() <= 1 <= refits["b"].max()
    yield Judgement(
        verdict,
        f"All cells give {', '.join(f'{name} {number(value)}' for name, value in whole.items())}; refits without one "
        f"dimension a {spans['a']}, b {spans['b']}, c {spans['c']}"
        + ("; b is not 1, so the dimension enters through a power of the logarithm and not by the plain law. " if free
           else "; they admit b = 1. ")
        + f"Data simulated from ln(k/d) with 1 % noise give b {interval(control['b'].min(), control['b'].max())}.",
        WORDS[verdict], "larger of |a − 1| and |c − 1|, over the refits [1]", float(worst.median()), float(worst.min()),
        float(worst.max()), len(refits),
        "data simulated from ln(k/d)", cells.name,
    )  # fmt: skip


CLAIMS = (
    Claim(
        "RC4", "Random unit vectors follow ε = √(C ln k/d).", "C = 3.029, R² 0.9985, mean relative error 1.3 %, 256 cells",
        "supported if C is within 1 % of the exact law's C at the same draws and grid, and the mean relative error < 2 %",
        random_law,
    ),
    Claim(
        "RC5", "The same form fails for optimised vectors even with C refitted.", "mean relative error 975 %, 166 cells",
        "supported if, on k > d, the mean relative error is ≥ 5 times that on random data",
        lambda evidence: each(evidence, plain_form),
    ),
    Claim(
        "RC6", "Replacing ln k by ln(k/d) repairs it with no additional parameter, by two orders of magnitude.",
        "C = 1.293, R² 0.9984, mean relative error 7.9 %, error ratio 123",
        "better if the ratio on k > d is > 2 with a paired bootstrap over d; two orders only if it is ≥ 100",
        lambda evidence: each(evidence, repaired),
    ),
    Claim(
        "RC7", "A four-parameter form confirms k/d and 1/d scaling.", "C 0.458, a 1.067, b 1.447, c 0.972; R² 0.9998",
        "supported if a and c are within 0.1 of 1 in every refit that leaves a d out; b ≠ 1 must be said",
        lambda evidence: each(evidence, four_parameters),
    ),
)  # fmt: skip
