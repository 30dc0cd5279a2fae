"""gedanken: the command. Each verb group is a file beside this one; a failure is one sentence and exit code 1."""

import sys
from typing import Annotated

import typer

from gedanken import __version__
from gedanken.cli import (
    cite,
    compare,
    demo,
    embedding,
    instruments,
    pack,
    prune,
    query,
    report,
    runs,
    scan,
    simulate,
    study,
    train,
)
from gedanken.cli.memory import keep_freed_memory
from gedanken.status import Failure

app = typer.Typer(
    name="gedanken",
    help="A physics laboratory for transformers: measured at rest, on text and in training, with error bars and null models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("scan")(scan.scan)
app.command("compare")(compare.compare)
app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("prune")(prune.prune)
app.command("simulate")(simulate.simulate)
app.command("study")(study.study)
app.command("pack")(pack.pack)
app.command("report")(report.report)
app.command("query")(query.query)
app.command("cite")(cite.cite)
app.add_typer(runs.app, name="runs")
app.add_typer(instruments.app, name="instruments")
app.add_typer(embedding.app, name="embedding")


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if show:
        typer.echo(__version__)
        raise typer.Exit


def run() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    keep_freed_memory()
    try:
        app()
    except Failure as failure:
        typer.echo(f"gedanken: {failure.sentence}", err=True)
        if failure.try_next:
            typer.echo(f"  try: {failure.try_next}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo(
            "gedanken: interrupted; what was measured is kept, the same command (train: with --resume) goes on.",
            err=True,
        )
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
