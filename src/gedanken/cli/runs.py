"""gedanken runs: what a lab holds."""

from pathlib import Path
from typing import Annotated

import typer

from gedanken.cli.console import JsonOption, LabOption, show
from gedanken.status import Failure

app = typer.Typer(help="The runs of a lab: list, show, export, delete, rename, merge.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the run, as `gedanken runs list` prints it.")]


def _lab(path: str):
    from gedanken.measurements.store import Lab

    return Lab(path)


@app.command("list")
def list_runs(lab: LabOption = "lab", as_json: JsonOption = False) -> None:
    """One line a run: snapshots, sites, values and refusals."""
    from gedanken.measurements.views import overview

    show(overview(_lab(lab)).to_dicts(), as_json)


@app.command("show")
def show_run(run: Name, lab: LabOption = "lab", as_json: JsonOption = False) -> None:
    """One run: where it came from, and what stands and was refused of each variable."""
    from gedanken.measurements.views import provenance, summary

    tables = _lab(lab)
    tables.require(run)
    if as_json:
        show([{**provenance(tables, run), "variables": summary(tables, run).to_dicts()}], True)
        return
    for name, value in provenance(tables, run).items():
        typer.echo(f"{name:<14} {value if value is not None else '–'}")
    show(summary(tables, run).to_dicts(), False)


@app.command()
def export(
    run: Name,
    out: Annotated[Path, typer.Option(help="File to write: .parquet, .csv or .json.")],
    lab: LabOption = "lab",
) -> None:
    """One run's measurements with labels and nulls, as one flat file."""
    from gedanken.measurements.views import flat

    tables = _lab(lab)
    tables.require(run)
    frame = flat(tables, run)
    writers = {
        ".parquet": frame.write_parquet,
        ".csv": lambda path: _plain(frame).write_csv(path),
        ".json": frame.write_json,
    }
    if out.suffix not in writers:
        raise Failure(f"{out.name} has no known ending; there are {', '.join(writers)}.")
    try:
        writers[out.suffix](out)
    except OSError as broken:
        raise Failure(f"Could not write {out}: {broken.strerror or broken}.") from broken
    typer.echo(f"{out}: {frame.height} rows")


def _plain(frame):
    """CSV has no lists: flags joined by blanks."""
    import polars as pl

    return frame.with_columns(pl.col(pl.List(pl.String)).list.join(" "))


@app.command()
def delete(run: Name, lab: LabOption = "lab") -> None:
    """Forget a run and everything measured of it."""
    _lab(lab).delete(run)
    typer.echo(f"deleted {run}")


@app.command()
def rename(run: Name, new: Annotated[str, typer.Argument(help="Its new name.")], lab: LabOption = "lab") -> None:
    """Give a run another name."""
    _lab(lab).rename(run, new)
    typer.echo(f"{run} is now {new}")


@app.command()
def merge(other: Annotated[str, typer.Argument(help="The lab to copy from.")], lab: LabOption = "lab") -> None:
    """Copy every run of another lab into this one."""
    tables = _lab(lab)
    tables.merge(_lab(other))
    typer.echo(f"{lab} now holds everything of {other}")


@app.command()
def compact(lab: LabOption = "lab") -> None:
    """Merge the many small files of each table into one."""
    _lab(lab).compact()
    typer.echo(f"compacted {lab}")
