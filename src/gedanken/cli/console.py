"""What the commands share: options, tables for people and JSON for programs, progress with an estimate."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

LabOption = Annotated[str, typer.Option("--lab", "-l", help="Folder (or fsspec URL) of the tables.", metavar="FOLDER")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but failures.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", "-t", min=1, help="Matrices decomposed at a time, one core each (default: all cores)."),
]


WIDE = 200
"""Columns of a table that is not printed on a terminal."""

PATIENCE = 2.0
"""Seconds of work that need no progress line."""


def show(rows: list[dict[str, Any]], as_json: bool, *, title: str = "") -> None:
    """Rows as a table, or as a JSON list."""
    if as_json:
        typer.echo(json.dumps(rows, default=str, indent=2, ensure_ascii=False))
        return
    if not rows:
        typer.echo("none")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name in rows[0]:
        numeric = all(isinstance(row[name], int | float) or row[name] is None for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row.values()))
    Console(markup=False, width=None if sys.stdout.isatty() else WIDE).print(table)


def cell(value: Any) -> str:
    """A value as people read it: four digits, a real minus sign, an en dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−")
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    return str(value)


@contextmanager
def progress(label: str, quiet: bool) -> Iterator[Callable[[float, float], None] | None]:
    """A progress callback: a bar with the time left on a terminal, a line every tenth elsewhere."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        yield from _bar(label)
    else:
        yield _lines(label)


def _bar(label: str) -> Iterator[Callable[[float, float], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(
        *columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(label: str) -> Callable[[float, float], None]:
    printed, start = 0, time.monotonic()

    def update(done: float, total: float) -> None:
        nonlocal printed
        tenth, spent = int(10 * done / total) if total else 10, time.monotonic() - start
        if tenth > printed and spent > PATIENCE:
            printed = tenth
            left = f", about {spent * (total - done) / done:.0f} s left" if done < total else ""
            typer.echo(f"{label}: {10 * tenth} %{left}", err=True)

    return update
