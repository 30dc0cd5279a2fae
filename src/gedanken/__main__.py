"""python -m gedanken: the command."""

from gedanken.cli.main import run

run()
