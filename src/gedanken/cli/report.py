"""gedanken report: the lab as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from gedanken.cli.console import LabOption, QuietOption


def report(
    lab: LabOption = "lab",
    out: Annotated[Path | None, typer.Option(help="File to write (default: report.html in the lab).")] = None,
    panel: Annotated[
        str | None, typer.Option(help="Only this panel's chart, as .svg or .png: sphere, circle, growth …")
    ] = None,
    run: Annotated[str | None, typer.Option(help="With --panel: the run to draw.")] = None,
    theme: Annotated[str, typer.Option(help="With --panel: light or dark.")] = "light",
    quiet: QuietOption = False,
) -> None:
    """Write the report of everything in a lab: one file, no network needed. With --panel, one chart for a paper."""
    from gedanken.measurements.store import Lab
    from gedanken.report.build import build

    if panel:
        from gedanken.report.export import export

        choices = {"run": run} if run else {}
        page = export(Lab(lab), panel, out or Path(f"{panel}.svg"), theme, **choices)
        if not quiet:
            typer.echo(page)
        return
    page = build(Lab(lab), out or Path(lab) / "report.html")
    if not quiet:
        typer.echo(page)
