"""gedanken report: the lab as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from gedanken.cli.console import LabOption, QuietOption


def report(
    lab: LabOption = "lab",
    out: Annotated[Path | None, typer.Option(help="File to write (default: report.html in the lab).")] = None,
    quiet: QuietOption = False,
) -> None:
    """Write the report of everything in a lab: one file, no network needed."""
    from gedanken.measurements.store import Lab
    from gedanken.report.build import build

    page = build(Lab(lab), out or Path(lab) / "report.html")
    if not quiet:
        typer.echo(page)
