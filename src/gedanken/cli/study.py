"""gedanken study: the verdict on a paper's claims, from the runs of a lab."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gedanken.cli.console import JsonOption, LabOption, QuietOption, cell, progress, show


def study(
    name: Annotated[str | None, typer.Argument(help="The study; without a name: the studies there are.")] = None,
    lab: LabOption = "lab",
    run: Annotated[
        list[str] | None, typer.Option(help="Only this run (may be repeated; default: every run of the lab).")
    ] = None,
    claim: Annotated[list[str] | None, typer.Option(help="Only this claim (may be repeated).")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the study (may be repeated).", metavar="NAME=VALUE")
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="Print the claims and the rules that decide them.")] = False,
    report: Annotated[bool, typer.Option(help="Write report.html into the lab.")] = True,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Judge a paper's claims on the runs of a lab: a verdict for each, with its interval and what it was held against."""
    from gedanken.studies import catalogue

    if name is None:
        found = [catalogue.get(each) for each in catalogue.names()]
        show([{"study": s.name, "title": s.title, "claims": len(s.claims), "needs": s.needs} for s in found], as_json)
        return
    chosen = catalogue.get(name)
    if rules:
        _show_rules(chosen, as_json)
        return
    _judge(chosen, lab, run or (), claim or (), _settings(chosen, set_ or ()), report, quiet, as_json)


def _show_rules(chosen, as_json: bool) -> None:
    columns = ("id", "statement", "figures", "rule")
    show([{column: getattr(c, column) for column in columns} for c in chosen.claims], as_json, title=chosen.title)


def _settings(chosen, pairs) -> dict[str, Any]:
    """NAME=VALUE, each value read as the type of its default."""
    found = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set takes NAME=VALUE, not {pair!r}")
        default = chosen.settings.get(key, "")
        try:
            found[key] = text.lower() in ("1", "true", "yes") if isinstance(default, bool) else type(default)(text)
        except ValueError as wrong:
            raise typer.BadParameter(f"{key} must be like {default!r}, not {text!r}") from wrong
    return found


def _judge(chosen, lab: str, runs, claims, settings, with_report: bool, quiet: bool, as_json: bool) -> None:
    from gedanken.measurements.store import Lab

    tables = Lab(lab)
    with progress(f"judging {chosen.name}", quiet or as_json) as update:
        rows = chosen.judge(tables, runs, claims, progress=update, **settings)
    chosen.record(tables, rows)
    page = None
    if with_report:
        from gedanken.report.build import build

        page = build(tables, Path(lab) / "report.html" if "://" not in lab else Path("report.html"))
    if as_json:
        show(rows, True)
    elif not quiet:
        _print_verdicts(chosen, rows)
        if page:
            typer.echo(f"report: {page}")


_COLOURS = {"supported": "green", "not_supported": "red", "inconclusive": "yellow"}


def _print_verdicts(chosen, rows: list[dict]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=False)
    console.print(Text(chosen.title, style="bold"))
    for row in rows:
        word = row["verdict"].replace("_", " ")
        head = Text(f"{row['claim']}{' · ' + row['part'] if row['part'] else ''}  ")
        head.append(word, style=f"bold {_COLOURS.get(row['verdict'], 'dim')}")
        head.append(f" ({row['reason']})" if row["reason"] else "")
        console.print(head)
        console.print(Text(f"  {row['statement']}", style="dim"))
        console.print(Text(f"  {row['sentence']}"))
        if row["effect"] is not None:
            console.print(Text(f"  {_effect(row)}"))
    said = {}
    for row in rows:
        said[row["verdict"]] = said.get(row["verdict"], 0) + 1
    console.print(Text(", ".join(f"{count} {word.replace('_', ' ')}" for word, count in said.items()), style="bold"))


def _effect(row: dict) -> str:
    """`stable rank ratio 0.42 (0.38 to 0.47), 12 models, against layer permutation`."""
    interval = f" ({cell(row['low'])} to {cell(row['high'])})" if row["low"] is not None else ""
    count = f", n = {row['n']}" if row["n"] else ""
    against = f", against {row['against']}" if row["against"] else ""
    return f"{row['quantity']} {cell(row['effect'])}{interval}{count}{against}"
