"""gedanken pack: the packing experiment, into a lab."""

from pathlib import Path
from typing import Annotated

import typer

from gedanken.cli.console import JsonOption, LabOption, QuietOption, ThreadsOption, progress, show


def pack(
    d: Annotated[list[int], typer.Option("--d", "-d", help="Dimension (may be repeated).")],
    k: Annotated[list[int], typer.Option("--k", "-k", help="Number of vectors (may be repeated: each with each d).")],
    recipe: Annotated[str, typer.Option(help="better, or published: the paper's loss and optimiser.")] = "better",
    p: Annotated[int | None, typer.Option("--p", help="Exponent of the loss (default: the recipe's).")] = None,
    evaluations: Annotated[int, typer.Option(help="Evaluations of the loss and its gradient.")] = 5000,
    rate: Annotated[float | None, typer.Option(help="Learning rate (default: the recipe's).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random start.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, or an accelerator: cuda, cuda:1, mps.")] = "cpu",
    every: Annotated[bool, typer.Option("--every", help="Measure on the way too: at steps 1, 2, 4 …")] = False,
    lab: LabOption = "lab",
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Pack k unit vectors into d dimensions as nearly orthogonal as an optimiser can, and measure them."""
    from gedanken.sources.packing.recipe import named
    from gedanken.sources.packing.source import PackingSource

    changes = {"p": p, "evaluations": evaluations, "rate": rate, "seed": seed}
    changes = {name: value for name, value in changes.items() if value is not None}
    steps = () if every else (0, evaluations)
    wanted = [
        PackingSource(
            count, dimension, named(recipe, dimension, **changes), steps=steps, device=device, threads=threads
        )
        for dimension in d
        for count in k
    ]
    for source in wanted:
        _measure(source, lab, threads, quiet or as_json)
    if as_json or not quiet:
        _show([source.run for source in wanted], lab, as_json)


def _measure(source, lab: str, threads: int | None, quiet: bool) -> None:
    """Optimise and measure one packing; it is kept beside the lab's tables, so that a killed command can go on."""
    from dataclasses import replace

    from gedanken.experiment import run
    from gedanken.experiment.packing import packing_plan
    from gedanken.measurements.store import Lab

    folder = None if "://" in lab else Path(lab) / "packings" / source.run
    with progress(f"packing {source.k} vectors in {source.d} dimensions", quiet) as update:
        run(replace(source, folder=folder, progress=update), packing_plan(), Lab(lab), threads=threads)


def _show(runs: list[str], lab: str, as_json: bool) -> None:
    import polars as pl

    from gedanken.analysis.capacity import beside, packing_cells
    from gedanken.measurements.store import Lab

    cells = packing_cells(Lab(lab))
    columns = ("d", "k", "loss", "p", "epsilon", "least", "welch", "full", "random", "full_k")
    found = beside(cells.filter(pl.col("run").is_in(runs)))
    show(
        found.select(columns).to_dicts(), as_json, title="largest |cos|: reached (epsilon), and what it is held against"
    )
