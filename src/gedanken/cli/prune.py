"""gedanken prune: a model without the layers it can spare, and what that costs beside every other choice."""

from pathlib import Path
from typing import Annotated

import typer

from gedanken.cli.console import JsonOption, LabOption, QuietOption, cell, progress, show

BASELINES = ("rank_exponent", "rank_exponent_highest", "block_influence", "last", "last_protected", "random")
"""Measured beside the rule asked for."""


def prune(
    model: Annotated[str, typer.Argument(help="Folder, GGUF file or hub id (org/name@revision) of a causal model.")],
    by: Annotated[
        str, typer.Option(help="The rule that chooses the layers; 'list' prints the rules.")
    ] = "rank_exponent",
    remove: Annotated[int, typer.Option(min=1, help="Layers to remove.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pruned model; without it nothing is written.")
    ] = None,
    text: Annotated[str, typer.Option(help="Text for the losses: a file, 'stdlib' or 'logic'.")] = "stdlib",
    prompts: Annotated[int, typer.Option(min=2, help="Prompts: the first half chooses, the second is the test.")] = 64,
    context: Annotated[int, typer.Option(min=2, help="Tokens of a prompt.")] = 256,
    every: Annotated[
        bool, typer.Option("--every", help="All rules, 1, 2, 4, 6 and 8 layers, importance of each.")
    ] = False,
    lab: LabOption = "lab",
    run: Annotated[str | None, typer.Option(help="Name of the run that is pruned (default: model and text).")] = None,
    report: Annotated[bool, typer.Option(help="Write report.html into the lab.")] = True,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove layers by a rule: the cost in loss and perplexity beside every baseline, and a model that loads again."""
    from gedanken.experiment.prune import EVERY, RULES, SEEDS
    from gedanken.experiment.prune import prune as measure
    from gedanken.interventions.cut import check_free
    from gedanken.measurements.store import Lab

    if by == "list":
        show([{"rule": rule, "removes": what} for rule, what in RULES.items()], as_json)
        return
    if out is not None:
        check_free(out, model)
    tables = Lab(lab)
    asked = {"by": tuple(RULES), "importance": True} if every else {"by": tuple(dict.fromkeys((by, *BASELINES)))}
    if every and remove not in EVERY:
        raise typer.BadParameter(f"--every measures {', '.join(map(str, EVERY))} layers, so --remove is one of them")
    extent = {"remove": None if every else (remove,), "greedy_to": remove if by == "greedy" else 4}
    with progress(f"pruning {model}", quiet or as_json) as update:
        found = measure(model, text, tables, seeds=SEEDS, prompts=prompts, context=context, run_name=run, progress=update,
                        **extent, **asked)  # fmt: skip
    chosen = found.of(by, remove)
    if out is not None:
        found.write(chosen, out, model)
    page = None
    if report:
        from gedanken.report.build import build

        page = build(tables, Path(lab) / "report.html" if "://" not in lab else Path("report.html"))
    rows = [_row(cost) for cost in found.costs if cost.removal.count == remove or every]
    if as_json:
        about = {"run": found.run, "loss": found.loss, "perplexity": found.perplexity, "removed": list(chosen.layers)}
        show([about | {"costs": rows, "out": out and str(out), "report": page and str(page)}], True)
    elif not quiet:
        _say(found, rows, chosen, out, page)


def _row(cost) -> dict:
    removal = cost.removal
    return {
        "rule": removal.by.replace("_", " ") + (f" {removal.seed}" if removal.by == "random" else ""),
        "removed": list(removal.layers),
        "loss +nat/token": cost.loss[0],
        "95 %": [cost.loss[1], cost.loss[2]],
        "perplexity +": cost.perplexity[0],
        "perplexity 95 %": [cost.perplexity[1], cost.perplexity[2]],
    }


def _say(found, rows: list[dict], chosen, out: Path | None, page: Path | None) -> None:
    whole = f"loss {cell(found.loss)} nat/token, perplexity {cell(found.perplexity)} with all {found.layers} layers"
    show(rows, False, title=f"{found.run}: {whole}")
    typer.echo(f"removed by {chosen.by.replace('_', ' ')}: {', '.join(map(str, chosen.layers))}")
    if out is not None:
        typer.echo(f"model: {out} (its layers: {out / 'layers.yaml'})")
    if page:
        typer.echo(f"report: {page}")
