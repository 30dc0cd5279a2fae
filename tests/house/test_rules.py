"""House rules that a program can see: file size, no printing, seeding or broad except, references that resolve."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "gedanken").rglob("*.py"))
LINES = 400
"""Rule 2 of docs/architecture.md, §11."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(params=SOURCES, ids=name)
def source(request) -> Path:
    return request.param


def test_a_file_is_at_most_400_lines(source):
    assert len(source.read_text().splitlines()) <= LINES


def test_a_module_says_what_it_is(source):
    if source.name != "__init__.py" and source.read_text().strip():
        assert ast.get_docstring(ast.parse(source.read_text())), "no docstring"


def test_nothing_prints_seeds_or_swallows(source):
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called != "print", f"line {node.lineno} prints"
            assert called not in ("np.random.seed", "torch.manual_seed", "random.seed"), f"line {node.lineno} seeds"
            assert called not in ("hasattr", "eval", "exec"), f"line {node.lineno}: {called}"
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            assert caught not in ("everything", "Exception", "BaseException"), f"line {node.lineno} catches {caught}"
        if isinstance(node, ast.ImportFrom):
            assert node.module != "__future__", "postponed annotations hide shapes from the checker"


def test_no_line_promises_work(source):
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", source.read_text())


def test_references_resolve():
    bibliography = set(
        re.findall(r"^@\w+\{([\w:-]+),", (ROOT / "src" / "gedanken" / "references.bib").read_text(), re.M)
    )
    for path in [*SOURCES, *(ROOT / "docs").rglob("*.md")]:
        for key in re.findall(r"\[@([\w:-]+)", path.read_text()):
            assert key in bibliography, f"{name(path)} cites {key}, which references.bib does not have"


def test_every_reference_is_cited():
    bibliography = set(
        re.findall(r"^@\w+\{([\w:-]+),", (ROOT / "src" / "gedanken" / "references.bib").read_text(), re.M)
    )
    text = "".join(path.read_text() for path in [*SOURCES, *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
    assert not {key for key in bibliography if f"@{key}" not in text}


def test_importing_the_package_imports_nothing_heavy():
    heavy = ("numpy", "scipy", "polars", "torch", "altair", "rich", "typer")
    code = f"import sys, gedanken; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_scanning_and_reporting_do_not_import_torch():
    code = (
        "import sys, gedanken.experiment.scan, gedanken.report.build, gedanken.cli.main;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_names_all_resolve():
    import gedanken

    assert all(getattr(gedanken, public) is not None for public in gedanken.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gedanken.nothing
