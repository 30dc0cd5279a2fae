"""Documentation that lags the code fails the build."""

import re
from pathlib import Path

from gedanken.cli.reference import pages, readme

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def test_the_reference_pages_are_those_of_the_code():
    """Otherwise: make docs."""
    folder = ROOT / "docs" / "reference"
    assert {path.name: path.read_text() for path in folder.glob("*.md")} == pages()


def test_the_readme_lists_what_there_is():
    """Otherwise: make docs."""
    text = (ROOT / "README.md").read_text()
    assert readme(text, ROOT / "src" / "gedanken") == text


def test_links_between_pages_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in LINK.findall(page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_commands_named_in_the_docs_exist():
    from gedanken.cli.main import app

    groups = {group.name for group in app.registered_groups}
    commands = {command.name for command in app.registered_commands} | groups
    for page in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "docs" / "tutorial.md",
        ROOT / "docs" / "how-to.md",
    ]:
        for word in re.findall(r"(?:^ +|[`/])gedanken ([a-z]+)", page.read_text(), re.M):
            assert word in commands, f"{page.name} names the command {word}"
