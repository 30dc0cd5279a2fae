"""describe: an instrument in words: its paragraphs, variables, parameters and symmetries, from its own declarations."""

import inspect
from dataclasses import asdict, dataclass, fields
from typing import Any

from gedanken.instruments import catalogue
from gedanken.instruments.base import Instrument, Variable


@dataclass(frozen=True)
class Page:
    """`record` for programs, `text` (Markdown) for people."""

    record: dict[str, Any]
    text: str


def page(name: str) -> Page:
    """The page of an instrument, named by itself or by one of its variables. Raises Failure if there is none."""
    found = catalogue.get(name) if name in catalogue.names() else catalogue.of_variable(name)[0]
    return Page(_record(found), _text(found))


def _record(instrument: type[Instrument]) -> dict[str, Any]:
    primary = instrument.standard()[0]
    return {
        "instrument": instrument.name(),
        "reads": str(instrument.reads),
        "paragraphs": instrument.paragraphs(),
        "variables": [asdict(variable) for variable in instrument.variables],
        "parameters": {field.name: getattr(primary, field.name) for field in fields(primary)},
        "settings": [setting.fields for setting in instrument.standard()],
        "symmetries": sorted(symmetry.name for symmetry in instrument.symmetries),
        "version": instrument.version,
    }


def _text(instrument: type[Instrument]) -> str:
    name = instrument.name()
    lines = [f"# {name}", "", _first_line(instrument), ""]
    for label, body in instrument.paragraphs().items():
        lines += [f"**{label}.** {body}", ""]
    lines += ["| variable | symbol | unit | bounds | definition |", "|---|---|---|---|---|"]
    lines += [_variable(variable) for variable in instrument.variables]
    lines += ["", f"Symmetries: {', '.join(sorted(s.value for s in instrument.symmetries)) or 'none'}.", ""]
    lines += [f"Settings of a scan: {'; '.join(f'`{setting.fields}`' for setting in instrument.standard())}.", ""]
    if aliases := {alias: v.name for v in instrument.variables for alias in v.aliases}:
        lines += [f"Also called: {', '.join(f'`{alias}` ({ours})' for alias, ours in aliases.items())}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _first_line(instrument: type[Instrument]) -> str:
    return inspect.cleandoc(inspect.getmodule(instrument).__doc__ or "").split("\n\n")[0].replace("\n", " ")


def _variable(variable: Variable) -> str:
    low = "−∞" if variable.bounds[0] is None else f"{variable.bounds[0]:g}"
    high = "∞" if variable.bounds[1] is None else f"{variable.bounds[1]:g}"
    null = f" No null: {variable.no_null}." if variable.no_null else ""
    symbol = variable.symbol.replace("|", "\\|")
    definition = variable.definition.replace("|", "\\|")
    return f"| `{variable.name}` | {symbol} | {variable.unit} | {low} … {high} | {definition}.{null} |"
