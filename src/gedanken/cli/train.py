"""gedanken train: train a small model and watch its spectra."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from gedanken.cli.console import JsonOption, LabOption, QuietOption, cell, show


def train(
    preset: Annotated[
        str | None,
        typer.Option(
            help="smoke, cpu8, cpu12, cpu16, depth-ladder, D8, D12 or D16 (default: the run's own, else cpu8)."
        ),
    ] = None,
    style: Annotated[str | None, typer.Option(help="gpt2, llama or neox.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the checkpoints (default: runs/NAME).")] = None,
    lab: LabOption = "lab",
    seed: Annotated[int | None, typer.Option(help="Of the weights and the order of the data.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimizer updates.")] = None,
    text: Annotated[str | None, typer.Option(help="stdlib, a file or folder, or datasets:NAME.")] = None,
    control: Annotated[
        str | None,
        typer.Option(help="frozen, shuffled, no-warm-up; or a planted failure: rate-jump, frozen-layer, rank-one."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with fields of the recipe.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any field of the recipe (may be repeated).", metavar="NAME=VALUE")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last whole checkpoint.")] = False,
    init: Annotated[
        Path | None, typer.Option(help="Checkpoint folder whose weights to start from, with a fresh optimizer.")
    ] = None,
    arm: Annotated[
        str | None, typer.Option(help="C0 to C7: the spectral warm-up's start, from the weights of --from.")
    ] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", help="With --arm: checkpoint folder of a finished run of another seed.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Steps between spectra.")] = 25,
    early: Annotated[int, typer.Option(min=0, help="Steps between spectra up to step 200 (0: as later).")] = 0,
    gradients_every: Annotated[
        int, typer.Option(min=0, help="Steps between spectra of gradients and of ΔW (0: none).")
    ] = 100,
    checkpoint_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between checkpoints (default: a tenth of the run).")
    ] = None,
    null_of: Annotated[str | None, typer.Option(help="The run that a control run is to be compared with.")] = None,
    measure: Annotated[bool, typer.Option(help="Measure spectra into the lab.")] = True,
    report: Annotated[bool, typer.Option(help="Write report.html into the lab.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the recipe and what it would cost.")] = False,
    threads: Annotated[int | None, typer.Option("--threads", "-t", min=1, help="Of torch, while training.")] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a small transformer, save it as transformers does, and measure its spectra as it learns."""
    # Threads that wait by spinning take the core from the one they wait for as soon as cores are shared: a step of the
    # smallest preset took fifteen times as long on two busy cores. It only counts if set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    given = {"style": style, "seed": seed, "steps": steps, "text": text, "control": control, "arm": arm,
             "threads": threads}  # fmt: skip
    fields = _fields(config, set_ or (), {name: value for name, value in given.items() if value is not None})
    recipe = _recipe(preset, fields, out if resume else None)
    if dry_run:
        _print_cost(recipe, every, as_json)
        return
    source = _source(
        recipe,
        out,
        resume=resume,
        every=every,
        early=early,
        checkpoint_every=checkpoint_every,
        initial=init,
        warmed_from=from_,
        null_of=null_of,
    )
    for sentence in source.said:
        typer.echo(sentence, err=True)
    if resume and not (quiet or as_json):
        step, last = source.trainer.step, recipe.steps
        typer.echo(f"{source.run} {'is at its end' if step == last else 'goes on'}: step {step} of {last}.", err=True)
    _train(source, lab if measure else None, gradients_every, quiet or as_json)
    page = _report(lab) if measure and report else None
    result = {"run": source.run, "step": source.trainer.step, "out": str(source.out), "lab": lab if measure else None}
    result |= {"validation_loss": source.trainer.validation_loss(), "report": page and str(page)}
    if as_json:
        show([result], True)
    elif not quiet:
        typer.echo(f"{source.run}: step {source.trainer.step}, validation loss {cell(result['validation_loss'])}")
        typer.echo(f"checkpoints: {source.out}" + (f"\nreport: {page}" if page else ""))


def _fields(config: Path | None, pairs, given: dict[str, Any]) -> dict[str, Any]:
    """Fields of the recipe: the file's, then those of --set, then those with options of their own."""
    from gedanken.sources.training.recipe import read_toml

    found = read_toml(config) if config else {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set takes NAME=VALUE, not {pair!r}")
        found[name] = value
    return found | given


def _recipe(name: str | None, fields: dict[str, Any], resumed: Path | None):
    """The preset's recipe with fields replaced; of a run that goes on, its own."""
    from gedanken.sources.training.presets import preset
    from gedanken.sources.training.recipe import recipe

    fields = dict(fields)
    named = fields.pop("preset", None)
    chosen = name or named
    if resumed is not None and chosen is None:
        from gedanken.sources.training.source import read_about

        return recipe(read_about(resumed)["recipe"] | fields)
    return preset(chosen or "cpu8", **fields)


def _source(
    recipe, out: Path | None, *, initial: Path | None, warmed_from: Path | None, null_of: str | None, **options: Any
):
    from gedanken.sources.training.checkpoints import read_weights
    from gedanken.sources.training.source import TrainingSource, default_run

    if null_of is None and recipe.control:
        null_of = default_run(recipe.model_copy(update={"control": ""}))
    weights = read_weights(initial, recipe) if initial else None
    if recipe.arm not in ("", "C0") and not (options["resume"] and warmed_from is None):
        weights = _warmed(recipe, initial, warmed_from)
    out = out or Path("runs") / default_run(recipe)
    return TrainingSource(recipe, out=out, initial=weights, null_of=null_of, **options)


def _warmed(recipe, initial: Path | None, warmed_from: Path | None):
    """The weights that an arm of the spectral warm-up starts from: of the seed's standard start and of a finished run."""
    from gedanken.interventions.spectral_warmup import warmed
    from gedanken.sources.training.checkpoints import read_weights
    from gedanken.sources.training.model import GPT
    from gedanken.sources.training.randomness import generator
    from gedanken.status import Failure

    if initial is not None or warmed_from is None:
        raise Failure(f"The arm {recipe.arm} starts from the weights of a finished run.", "--from CHECKPOINT")
    start = dict(GPT(recipe).named_parameters())
    return warmed(recipe.arm, start, read_weights(warmed_from, recipe), generator(recipe.seed, f"arm {recipe.arm}"))


def _print_cost(recipe, every: int, as_json: bool) -> None:
    from gedanken.sources.training.cost import cost

    found = cost(recipe) | {"snapshots": recipe.steps // every + 1}
    if as_json:
        show([{"recipe": recipe.model_dump(), **found}], True)
        return
    show([{"field": name, "value": cell(value)} for name, value in recipe.model_dump().items()], False)
    minutes = found.pop("minutes")
    for name, value in found.items():
        typer.echo(f"{name:<26} {value:,.4g}" if value > 1e9 else f"{name:<26} {value:,.0f}")
    told = f"about {minutes:.1f}" if minutes is not None else f"unknown: there is no {recipe.device} here"
    typer.echo(f"{'minutes':<26} {told}")


def _train(source, lab: str | None, gradients_every: int, quiet: bool) -> None:
    """The loop: an update, then the monitor, then the view."""
    from gedanken.cli.train_view import view

    with view(source, quiet) as seen, _monitor(source, lab, gradients_every, seen.values) as monitor:
        if monitor is not None:
            monitor.load_state_dict(source.monitor_state)
            source.before_saving = monitor.state_dict
        _look(monitor, source)
        for update in source.updates():
            seen.update(update)
            _look(monitor, source)


def _look(monitor, source) -> None:
    if monitor is None:
        return
    trainer, last = source.trainer, source.trainer.last
    monitor(
        trainer.model,
        trainer.step,
        trainer.tokens,
        loss=last.loss if last else None,
        learning_rate=last.learning_rate if last else None,
        now=source.is_due(trainer.step),
    )


def _monitor(source, lab: str | None, gradients_every: int, sink):
    if lab is None:
        return nullcontext()
    from gedanken.monitor import Monitor

    return Monitor(
        lab,
        source.run,
        source.every,
        gradients_every=gradients_every,
        updates_every=gradients_every,
        steps=source.recipe.steps,
        sinks=[sink],
        about=source.describe(),
    )


def _report(lab: str) -> Path:
    from gedanken.measurements.store import Lab
    from gedanken.report.build import build

    return build(Lab(lab), Path(lab) / "report.html" if "://" not in lab else Path("report.html"))
