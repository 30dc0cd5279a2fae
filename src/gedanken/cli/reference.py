"""python -m gedanken.cli.reference ROOT: the pages made from the code itself: docs/reference, and two parts of README.md."""

import ast
import re
import sys
from pathlib import Path

from gedanken.analysis.wording import cited
from gedanken.instruments import catalogue, describe
from gedanken.measurements import schema


def pages() -> dict[str, str]:
    """File name → text of each page in docs/reference."""
    found = {f"{name}.md": describe.page(name).text for name in catalogue.names()}
    return found | {"README.md": _index(), "tables.md": _tables()}


def readme(text: str, sources: Path) -> str:
    """README.md with its table of what is measured, and its tree of `sources`, as they now are."""
    for part, lines in {"measured": _measured(), "tree": _tree(sources)}.items():
        marked = re.compile(f"(<!-- {part} -->\n).*?(<!-- /{part} -->)", re.DOTALL)
        text = marked.sub(lambda found, lines=lines: f"{found[1]}{lines}\n{found[2]}", text)
    return text


def write(root: Path) -> None:
    """Write every page of a checkout, and remove those of instruments that are gone."""
    folder = root / "docs" / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    texts = pages()
    for path in folder.glob("*.md"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    file = root / "README.md"
    file.write_text(readme(file.read_text(encoding="utf-8"), root / "src" / "gedanken"), encoding="utf-8")


def _index() -> str:
    lines = [
        "# Reference",
        "",
        "Made from the instruments themselves (`make docs`). [The tables of a lab](tables.md).",
        "",
    ]
    for kind in _kinds():
        lines += [f"## Reads {kind}", ""]
        for instrument in catalogue.of_kind(kind):
            names = ", ".join(f"`{variable.name}`" for variable in instrument.variables)
            lines.append(f"- [{instrument.name()}]({instrument.name()}.md): {names}")
        lines.append("")
    return "\n".join(lines)


def _tables() -> str:
    lines = ["# The tables of a lab", "", f"Version {schema.VERSION}. One folder of Parquet parts each.", ""]
    for table, columns in schema.TABLES.items():
        lines += [
            f"## {table}",
            "",
            f"One row per {', '.join(schema.KEYS[table])}.",
            "",
            "| column | type |",
            "|---|---|",
        ]
        lines += [f"| `{name}` | {kind} |" for name, kind in columns.items()]
        lines.append("")
    return "\n".join(lines)


def _measured() -> str:
    lines = ["| reads | instrument | variables | reference |", "|---|---|---|---|"]
    for kind in _kinds():
        for instrument in catalogue.of_kind(kind):
            names = ", ".join(f"`{variable.name}`" for variable in instrument.variables)
            reference = cited(instrument.paragraphs()["Reference"]).replace("|", "\\|")
            lines.append(
                f"| {kind} | [{instrument.name()}](docs/reference/{instrument.name()}.md) | {names} | {reference} |"
            )
    return "\n".join(lines)


def _kinds() -> list[str]:
    return sorted({catalogue.get(name).reads for name in catalogue.names()})


def _tree(sources: Path) -> str:
    """A line for each module: its path and the first sentence of its docstring."""
    lines = ["```"]
    for path in sorted(sources.rglob("*.py"), key=lambda path: (path.parent.as_posix(), path.name)):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if text:
            lines.append(f"{path.relative_to(sources).as_posix():<52} {_first_sentence(text)}")
    return "\n".join([*lines, "```"])


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[a-zA-Z)])\. ", paragraph)[0].rstrip(".")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
