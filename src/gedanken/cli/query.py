"""gedanken query: SQL over the lab's tables."""

from typing import Annotated

import typer

from gedanken.cli.console import JsonOption, LabOption, show
from gedanken.status import Failure


def query(
    sql: Annotated[
        str, typer.Argument(help="e.g. \"SELECT site, value FROM measurements WHERE variable = 'stable_rank'\"")
    ],
    lab: LabOption = "lab",
    as_json: JsonOption = False,
) -> None:
    """Ask the tables in SQL: measurements, nulls, curves, sites, runs, steps, settings, variables, verdicts."""
    import polars as pl

    from gedanken.measurements import schema
    from gedanken.measurements.store import Lab

    tables = Lab(lab)
    try:
        with pl.SQLContext({name: tables.table(name) for name in schema.TABLES}) as context:
            found = context.execute(sql, eager=True)
    except pl.exceptions.PolarsError as broken:
        raise Failure(
            f"The query was not understood: {str(broken).splitlines()[0]}.", "gedanken query --help"
        ) from broken
    show(found.to_dicts(), as_json)
