"""gedanken instruments: what can be measured, how it is defined, and whether a file of one's own is sound."""

from pathlib import Path
from typing import Annotated

import typer

from gedanken.cli.console import JsonOption, show

app = typer.Typer(help="The instruments: list, show, check.", no_args_is_help=True)


@app.command("list")
def list_instruments(as_json: JsonOption = False) -> None:
    """One line an instrument: what it reads and the variables it reports."""
    from gedanken.instruments import catalogue

    rows = [
        {"instrument": name, "reads": str(found.reads), "variables": [variable.name for variable in found.variables]}
        for name in catalogue.names()
        for found in [catalogue.get(name)]
    ]
    show(sorted(rows, key=lambda row: (row["reads"], row["instrument"])), as_json)


@app.command("show")
def show_instrument(
    name: Annotated[str, typer.Argument(help="Instrument or variable.")], as_json: JsonOption = False
) -> None:
    """Definition, null, references and settings of one instrument."""
    from gedanken.instruments import describe

    page = describe.page(name)
    if as_json:
        show([page.record], True)
    else:
        typer.echo(page.text)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A Python file that defines one instrument.")],
    as_json: JsonOption = False,
) -> None:
    """Run the conformance suite on an instrument of one's own. The file is executed."""
    from gedanken.instruments import catalogue, conformance

    results = list(conformance.conformance(catalogue.load_file(file)))
    if as_json:
        show([{"check": r.name, "ok": r.ok, "sentence": r.sentence} for r in results], True)
    else:
        for result in results:
            typer.echo(f"{'ok  ' if result.ok else 'FAIL'} {result.name}{'' if result.ok else ': ' + result.sentence}")
    if not all(result.ok for result in results):
        raise typer.Exit(1)
