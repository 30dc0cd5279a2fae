"""gedanken cite: the papers behind what a lab holds, as BibTeX."""

import re
from importlib.resources import files
from typing import Annotated

import typer

from gedanken.cli.console import LabOption
from gedanken.status import Failure


def cite(
    lab: LabOption = "lab",
    variable: Annotated[
        list[str] | None, typer.Option(help="Only this variable's references (may be repeated).")
    ] = None,
) -> None:
    """Print the BibTeX of every definition, estimator and null behind a lab's numbers."""
    import polars as pl

    from gedanken.measurements.store import Lab

    rows = Lab(lab).variables.select("variable", "reference").collect()
    if variable:
        rows = rows.filter(pl.col("variable").is_in(variable))
    if rows.is_empty():
        raise Failure(f"The lab {lab} holds nothing to cite.", "gedanken scan MODEL")
    keys = {key for text in rows["reference"] for key in re.findall(r"@([\w:-]+)", text)}
    entries = bibliography()
    typer.echo("\n\n".join(entries[key] for key in sorted(keys)))


def bibliography() -> dict[str, str]:
    """Key → entry of references.bib."""
    text = (files("gedanken") / "references.bib").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=@)", text.strip())
    return {re.match(r"@\w+\{([^,]+),", entry)[1]: entry.strip() for entry in entries if entry.startswith("@")}
