"""gedanken simulate: tokens as particles, measured as they move."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gedanken.cli.console import JsonOption, LabOption, QuietOption, ThreadsOption, progress, show

MODELS = {"sa": "softmax", "usa": "unnormalised"}


def simulate(
    config: Annotated[
        Path | None, typer.Argument(help="TOML file of settings; options below come before what stands there.")
    ] = None,
    beta: Annotated[float | None, typer.Option("--beta", help="Inverse temperature β (default: 5).")] = None,
    n: Annotated[int | None, typer.Option("--n", "-n", help="Tokens (default: 1000).")] = None,
    d: Annotated[int | None, typer.Option("--d", "-d", help="Coordinates of a token (default: 2, the circle).")] = None,
    model: Annotated[str | None, typer.Option(help="sa: softmax attention, or usa: unnormalised.")] = None,
    time: Annotated[
        float | None, typer.Option(help="The end (default: when the clusters of a random start stand).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the start and of noise (default: 0).")] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="An ensemble of so many random starts, kept as one run.")
    ] = None,
    saves: Annotated[int | None, typer.Option(min=1, help="States measured after the start (default: 100).")] = None,
    log_times: Annotated[bool, typer.Option("--log-times", help="Save at evenly spaced logarithms of time.")] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting (may be repeated).", metavar="NAME=VALUE")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Take query, key and value matrices from this model.", metavar="MODEL")
    ] = None,
    layer: Annotated[int, typer.Option(min=0, help="With --weights: the layer.")] = 0,
    head: Annotated[int | None, typer.Option(min=0, help="With --weights: one head (default: all).")] = None,
    bridge: Annotated[
        str | None,
        typer.Option(help="Simulate this model's own tokens, layer by layer, beside what it does.", metavar="MODEL"),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="With --bridge: a file or folder, stdlib or logic (default: random tokens).",
            metavar="FILE|stdlib|logic",
        ),
    ] = None,
    prompts: Annotated[int, typer.Option(min=2, help="With --bridge: how many prompts.")] = 8,
    context: Annotated[int, typer.Option(min=3, help="With --bridge: tokens of a prompt at most.")] = 40,
    iterate: Annotated[
        int, typer.Option(min=0, help="With --bridge: passes of a shared layer (default: the model's depth).")
    ] = 0,
    run: Annotated[str | None, typer.Option(help="Name of the run in the lab (default: from the settings).")] = None,
    lab: LabOption = "lab",
    report: Annotated[bool, typer.Option(help="Write report.html into the lab.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and its cost.")] = False,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Simulate tokens that attend to one another on a sphere, and measure them over time.

    A killed simulation goes on where it stopped when the same command is given again.
    """
    if bridge:
        _bridge(bridge, text, (prompts, context, seed or 0), iterate, run, lab, report, quiet, as_json)
        return
    given = {"inverse_temperature": beta, "particles": n, "dimension": d, "seed": seed, "saves": saves, "end": time}
    given = {name: value for name, value in given.items() if value is not None} | _named(set_ or ())
    if model is not None:
        if model.lower() not in MODELS:
            raise typer.BadParameter(f"--model is sa or usa, not {model!r}")
        given["attention"] = MODELS[model.lower()]
    if weights:
        from gedanken.experiment.simulate import trained_settings

        given = trained_settings(weights, layer, head) | given
    wanted = _request(config, given, run, log_times)
    if dry_run:
        _preview(wanted, seeds, as_json)
    elif seeds:
        _ensemble(wanted, seeds, lab, report, quiet, as_json)
    else:
        _single(wanted, lab, report, threads, quiet, as_json)


def _named(pairs) -> dict[str, Any]:
    """NAME=VALUE as TOML would read the value; a bare word is text."""
    import tomllib

    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set takes NAME=VALUE, not {pair!r}")
        try:
            found[name] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            found[name] = text
    return found


def _request(config: Path | None, given: dict[str, Any], run: str | None, log_times: bool):
    """The simulation asked for; one without an end ends when the clusters of a random start stand."""
    from gedanken.experiment.simulate import counting_time, default_run, log_spaced
    from gedanken.sources.particles.simulation import Simulation

    made = Simulation.read(config, **given) if config else Simulation.of(**given)
    if not {"end", "times"} & made.model_fields_set:
        made = made.model_copy(update={"end": counting_time(made)})
    if log_times:
        made = made.model_copy(update={"times": log_spaced(made.end, made.saves)})
    name = run or (made.run if "run" in made.model_fields_set else default_run(made))
    return made.model_copy(update={"run": name})


def _preview(simulation, seeds: int | None, as_json: bool) -> None:
    from gedanken.experiment.simulate import cost

    row = {"run": simulation.run, "tokens": simulation.particles, "dimension": simulation.dimension}
    row |= {"inverse_temperature": simulation.inverse_temperature, "attention": simulation.attention}
    show([row | {"end": simulation.end, "seeds": seeds or 1} | cost(simulation, seeds)], as_json)


def _single(simulation, lab: str, with_report: bool, threads: int | None, quiet: bool, as_json: bool) -> None:
    from gedanken.experiment import run as measure_all
    from gedanken.experiment.simulate import Watched, particle_plan
    from gedanken.measurements.store import Lab
    from gedanken.sources.particles.source import ParticleSource

    folder = None if "://" in lab else Path(lab) / "simulations" / f"{simulation.run}-{simulation.fingerprint}"
    tables = Lab(lab)
    with progress(f"simulating {simulation.run}", quiet or as_json) as update:
        source = Watched(ParticleSource(simulation, folder), update)
        outcome = measure_all(source, particle_plan(simulation), tables, threads=threads)
    page = _page(tables, lab) if with_report else None
    if as_json:
        show([{"run": simulation.run, **vars(outcome), "lab": lab, "report": page and str(page)}], True)
    elif not quiet:
        did = f"{outcome.values:,} values" if outcome.tasks else "everything asked for is already"
        typer.echo(f"{simulation.run}: {did} in {lab}/")
        if page:
            typer.echo(f"report: {page}")
    if outcome.failures:
        typer.echo("\n".join(f"left out: {sentence}" for sentence in outcome.failures), err=True)
        raise typer.Exit(1)


def _ensemble(simulation, seeds: int, lab: str, with_report: bool, quiet: bool, as_json: bool) -> None:
    from gedanken.analysis.mode_selection import count_map
    from gedanken.experiment.simulate import ensemble
    from gedanken.measurements.store import Lab

    tables = Lab(lab)
    with progress(f"simulating {simulation.run}", quiet or as_json) as update:
        told = update and (lambda done: update(done, seeds))
        found = ensemble(tables, simulation, range(simulation.seed, simulation.seed + seeds), told)
    page = _page(tables, lab) if with_report else None
    if as_json:
        show(found.to_dicts(), True)
    elif not quiet:
        columns = ("d", "inverse_temperature", "n", "k_max", "probability", "low", "high", "counts", "runs")
        show(count_map(found).select(columns).to_dicts(), False, title=f"{simulation.run}: P(cluster count = k_max)")
        if page:
            typer.echo(f"report: {page}")


def _page(tables, lab: str) -> Path:
    from gedanken.report.build import build

    return build(tables, Path(lab) / "report.html" if "://" not in lab else Path("report.html"))


def _bridge(
    model: str,
    text: str | None,
    size: tuple[int, int, int],
    iterate: int,
    run: str | None,
    lab: str,
    with_report: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """size: prompts, tokens of a prompt, seed."""
    from gedanken.experiment.bridge import bridge, random_tokens
    from gedanken.measurements.store import Lab
    from gedanken.sources.running import RunningSource

    prompts, context, seed = size
    if text:
        source = RunningSource.of(model, text, run=run, prompts=prompts, context=context, seed=seed)
    else:
        source = random_tokens(model, prompts, context, seed, run)
    tables = Lab(lab)
    with progress(f"simulating {source.run}", quiet or as_json) as update:
        found = bridge(source, tables, iterate=iterate, progress=update)
    page = _page(tables, lab) if with_report else None
    others = [view for view in ("centred", "trimmed") if view in {view for *_, view in found.distance}]
    rows = [
        {"run": found.run, "simulated": name, "mode": mode, "arc_distance": float(by_prompt.mean())}
        | {other: float(found.distance[name, mode, other].mean()) for other in others}
        | {"prompts": len(by_prompt)}
        for (name, mode, view), by_prompt in found.distance.items()
        if view == "whole"
    ]
    if as_json or not quiet:
        show(rows, as_json, title=f"{found.run}: replay exact to {found.replay_error:.1e} rad")
    if page and not (as_json or quiet):
        typer.echo(f"report: {page}\nverdict: gedanken study metastable_clustering --claim MC18 --lab {lab}")
