"""What must not change unnoticed: the commands with their options, and every value measured on one small model.

After an intended change: python tests/golden/test_golden.py, then read the difference. A value that moved asks for a
higher `version` of its instrument, so that labs measure it again.
"""

import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from gedanken.cli.main import app
from gedanken.experiment.scan import scan
from gedanken.measurements.store import Lab

HERE = Path(__file__).parent
WIDTH = 40


def commands() -> dict[str, list[str]]:
    """Command → its arguments and options."""
    found = {}

    def walk(command, path: str) -> None:
        if children := getattr(command, "commands", None):
            for name, child in children.items():
                walk(child, f"{path} {name}")
        else:
            words = [option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)]
            found[path] = sorted(words)

    walk(get_command(app), "gedanken")
    return found


def values() -> dict[str, float | str]:
    """site, variable and fields → value (or the flag of its refusal) on a model whose weights are written down here."""
    grid = np.arange(WIDTH * WIDTH).reshape(WIDTH, WIDTH)
    noise = {name: np.sin(1.7 * grid**1.3 + shift) for shift, name in enumerate(("q", "k", "v", "o"))}
    tensors = {f"model.layers.0.self_attn.{name}_proj.weight": matrix for name, matrix in noise.items()}
    # Smooth columns alone have rank 20, and a tail fitted down to rounding depends on the BLAS.
    rows, cell = np.arange(200)[:, None] + 0.31 * np.arange(WIDTH), np.arange(200 * WIDTH).reshape(200, WIDTH)
    tensors["model.embed_tokens.weight"] = np.cos(0.9 * rows**1.21) + 0.1 * np.sin(1.1 * cell**1.3)
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(folder)
        scan(tensors, lab, run_name="golden", draws=0)
        table = lab.measurements.join(lab.settings, on="setting").collect()
    return {
        f"{row['site']} {row['variable']} {row['fields']}": row["flags"][0] if row["value"] is None else row["value"]
        for row in table.sort("site", "variable", "fields").iter_rows(named=True)
    }


def test_commands_and_options_are_those_written_down():
    assert commands() == json.loads((HERE / "commands.json").read_text())


def test_values_are_those_written_down():
    before, now = json.loads((HERE / "values.json").read_text()), values()
    assert now.keys() == before.keys()
    for name, value in before.items():
        if isinstance(value, str):
            assert now[name] == value, name
        else:
            # Another BLAS rounds differently: 1e-13 in λ₁, amplified by small values and by logarithms of them.
            assert math.isclose(now[name], value, rel_tol=1e-6, abs_tol=1e-9), (name, value, now[name])


@pytest.mark.parametrize("name", ["commands.json", "values.json"])
def test_what_is_written_down_is_not_empty(name):
    assert len(json.loads((HERE / name).read_text())) > 10


if __name__ == "__main__":
    for name, content in {"commands": commands(), "values": values()}.items():
        (HERE / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    sys.stdout.write("written\n")
