"""gedanken compare: what tuning changed."""

from pathlib import Path
from typing import Annotated

import typer

from gedanken.cli.console import JsonOption, LabOption, QuietOption, ThreadsOption, progress, show


def compare(
    base: Annotated[str, typer.Argument(help="The model before: folder, file or hub id.")],
    tuned: Annotated[str, typer.Argument(help="The model after, or a LoRA adapter of it.")],
    lab: LabOption = "lab",
    top: Annotated[int, typer.Option(min=1, help="Changes to print, largest first in units of their null band.")] = 12,
    report: Annotated[bool, typer.Option(help="Write report.html into the lab.")] = True,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure two models and their difference: ΔW spectra, subspace overlaps, every variable's change with its error."""
    from gedanken.analysis.compare import changes
    from gedanken.experiment.scan import compare as measure
    from gedanken.measurements.store import Lab

    tables = Lab(lab)
    with progress("measuring both and their difference", quiet or as_json) as update:
        found = measure(base, tuned, tables, threads=threads, progress=update)
    page = None
    if report:
        from gedanken.report.build import build

        page = build(tables, Path(lab) / "report.html")
    if quiet:
        return
    rows = changes(tables, found.base, found.tuned).head(top).to_dicts() if found.both_measured else []
    if as_json:
        show([{**vars(found), "changes": rows, "report": page and str(page)}], True)
        return
    show(_overlaps(tables, found.change), False, title=found.change)
    if rows:
        for row in rows:
            del row["setting"]
        typer.echo()
        show(rows, False, title="largest changes, in widths of the null's 95 % band")
    if found.unshared:
        typer.echo(f"not compared: {len(found.unshared)} sites that only one model has, or of another shape")
    if page:
        typer.echo(f"report: {page}")


def _overlaps(tables, run: str) -> list[dict]:
    """Per part of the model: how far it moved, and its overlaps against what chance gives."""
    import polars as pl

    wanted = ("relative_change", "stable_rank", "left_overlap", "change_left_overlap")
    rows = tables.measurements.filter((pl.col("run") == run) & pl.col("variable").is_in(wanted))
    parts = tables.sites.filter(pl.col("run") == run).select("site", "part")
    chance = tables.nulls.filter((pl.col("run") == run) & (pl.col("variable") == "left_overlap")).select(
        "site", "median"
    )
    table = rows.join(parts, on="site").group_by("part", "variable").agg(pl.col("value").median()).collect()
    floor = chance.join(parts, on="site").group_by("part").agg(pl.col("median").median().alias("overlap_by_chance"))
    table = table.filter(pl.col("value").is_not_null())
    wide = (
        table.pivot(on="variable", index="part", values="value")
        .join(floor.collect(), on="part", how="left")
        .sort("part")
    )
    order = ["part", *(name for name in wanted if name in wide.columns), "overlap_by_chance"]
    names = {"stable_rank": "stable_rank_of_ΔW"}
    return wide.select(order).rename({old: new for old, new in names.items() if old in order}).to_dicts()
