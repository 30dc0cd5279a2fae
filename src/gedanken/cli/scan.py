"""gedanken scan: measure a model's weights, or what it shows on a text."""

from pathlib import Path
from typing import Annotated

import typer

from gedanken.cli.console import JsonOption, LabOption, QuietOption, ThreadsOption, progress, show


def scan(
    model: Annotated[str, typer.Argument(help="Folder, file, hub id (org/name@revision) or glob of checkpoints.")],
    lab: LabOption = "lab",
    run: Annotated[
        str | None, typer.Option(help="Name of the run in the lab (default: from the model's name).")
    ] = None,
    site: Annotated[
        list[str] | None, typer.Option(help="Only sites that match, e.g. 'layers.*.attn.W_Q'.", metavar="GLOB")
    ] = None,
    instrument: Annotated[
        list[str] | None, typer.Option(help="Only this instrument, or NAME:FIELD=VALUE of it (repeatable).")
    ] = None,
    product: Annotated[list[str] | None, typer.Option(help="Also W_QK, W_OV (per head), W_UE, or W_EU.")] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="Run the model on this text: a file or folder, stdlib, or logic.", metavar="FILE|stdlib|logic"
        ),
    ] = None,
    prompts: Annotated[int, typer.Option(min=2, help="With --text: how many prompts.")] = 200,
    context: Annotated[int, typer.Option(min=2, help="With --text: tokens of a prompt at most.")] = 80,
    device: Annotated[str, typer.Option(help="With --text: cpu, cuda, auto (all devices) …")] = "cpu",
    dtype: Annotated[str, typer.Option(help="With --text: float32, bfloat16 …")] = "float32",
    batch: Annotated[int | None, typer.Option(min=1, help="With --text: prompts at a time.")] = None,
    nulls: Annotated[
        bool,
        typer.Option(
            "--nulls",
            help="Also nulls that need the data: entries in random order; with --text, shuffled and resampled tokens and "
            "random weights.",
        ),
    ] = False,
    bootstrap: Annotated[int, typer.Option(min=0, help="Draws for the p-value of each tail fit (0: none).")] = 0,
    null_draws: Annotated[int, typer.Option(min=0, help="Draws of each null (0: no null bands).")] = 39,
    report: Annotated[bool, typer.Option(help="Write report.html into the lab.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be measured, and its cost.")] = False,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a model's weights and embeddings, or with --text its activations: tables into the lab, one HTML report."""
    from gedanken.experiment.scan import plan_for, scan_plan, sources_of

    plan = scan_plan(
        instruments=instrument or (),
        sites=site or (),
        products=product or (),
        draws=null_draws,
        nulls=nulls,
        bootstrap=bootstrap,
    )
    options = {"prompts": prompts, "context": context, "device": device, "dtype": dtype, "batch": batch} if text else {}
    sources = sources_of(model, text, run_name=run, nulls=nulls, **options)
    for source in sources:
        own = plan_for(source, plan)
        if dry_run:
            _print_plan(source, own, as_json)
        else:
            _measure(source, own, lab, threads, quiet or as_json, report and source is sources[-1], as_json)


def _print_plan(source, plan, as_json: bool) -> None:
    from gedanken.experiment.preview import preview

    found = preview(source, plan)
    show(found.rows, as_json, title=f"{source.run}: {found.sentence}")


def _measure(source, plan, lab: str, threads: int | None, quiet: bool, with_report: bool, as_json: bool) -> None:
    from gedanken.experiment import run as measure_all
    from gedanken.measurements.store import Lab

    tables = Lab(lab)
    with progress(f"measuring {source.run}", quiet) as update:
        outcome = measure_all(source, plan, tables, threads=threads, progress=update)
    page = None
    if with_report:
        from gedanken.report.build import build

        page = build(tables, Path(lab) / "report.html" if "://" not in lab else Path("report.html"))
    if as_json:
        show([{"run": source.run, **vars(outcome), "lab": lab, "report": page and str(page)}], True)
    elif not quiet:
        _say(source.run, outcome, lab, page)
    if outcome.failures and not outcome.tasks and not outcome.already_done:
        raise typer.Exit(1)


def _say(name: str, outcome, lab: str, page: Path | None) -> None:
    for sentence in outcome.said:
        typer.echo(sentence, err=True)
    for sentence in outcome.failures:
        typer.echo(f"left out: {sentence}", err=True)
    if outcome.tasks:
        typer.echo(f"{name}: {outcome.values:,} values, {outcome.refused:,} refused (each with its reason), in {lab}/")
        if outcome.skipped:
            typer.echo(f"{outcome.skipped:,} tensors are no matrices (biases, norms, copies) and were not measured")
    elif outcome.already_done:
        typer.echo(f"{name}: everything asked for is already in {lab}/")
    if page:
        typer.echo(f"report: {page}")
