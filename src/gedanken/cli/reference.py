"""python -m gedanken.cli.reference FOLDER: the reference pages, one for each instrument, and the schema of the tables."""

import sys
from pathlib import Path

from gedanken.instruments import catalogue, describe
from gedanken.measurements import schema


def pages() -> dict[str, str]:
    """File name → its text."""
    found = {f"{name}.md": describe.page(name).text for name in catalogue.names()}
    return found | {"README.md": _index(), "tables.md": _tables()}


def write(folder: Path) -> None:
    """Write every page into a folder, and remove those of instruments that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = pages()
    for path in folder.glob("*.md"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _index() -> str:
    lines = ["# Reference", "", "Made from the instruments themselves (`make docs`). [The tables of a lab](tables.md).", ""]
    for kind in sorted({catalogue.get(name).reads for name in catalogue.names()}):
        lines += [f"## Reads {kind}", ""]
        for instrument in catalogue.of_kind(kind):
            names = ", ".join(f"`{variable.name}`" for variable in instrument.variables)
            lines.append(f"- [{instrument.name()}]({instrument.name()}.md): {names}")
        lines.append("")
    return "\n".join(lines)


def _tables() -> str:
    lines = ["# The tables of a lab", "", f"Version {schema.VERSION}. One folder of Parquet parts each.", ""]
    for table, columns in schema.TABLES.items():
        lines += [f"## {table}", "", f"One row per {', '.join(schema.KEYS[table])}.", "", "| column | type |", "|---|---|"]
        lines += [f"| `{name}` | {kind} |" for name, kind in columns.items()]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
