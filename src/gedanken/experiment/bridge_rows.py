"""Rows of a bridge: what it found over depth as curves, the measured states as the measurements of a scan."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from gedanken.analysis.bridge import BY_PROMPT, DEPTH, INSTRUMENT, MEASURED
from gedanken.experiment import rows as make
from gedanken.experiment.bridge_readings import READ, Found
from gedanken.interventions.replay import Replay
from gedanken.kinds import Kind
from gedanken.measurements.store import Lab, digest, part_key
from gedanken.site import Site
from gedanken.sources.base import Snapshot
from gedanken.sources.particles.reduced import LayerFacts
from gedanken.sources.running import RunningSource

VERSION = 1

Key = tuple[str, str, str]
"""Rung or control, mode, view; the measured states have the mode ""."""
ByMover = Mapping[Key, Found]
"""What was found of one prompt."""


@dataclass(frozen=True)
class Outcome:
    """What a bridge found: mean arc distance by key and prompt, the replay's largest mean angle."""

    run: str
    replay_error: float
    distance: dict[Key, Float[np.ndarray, " prompt"]]
    facts: list[LayerFacts]
    dimension: float
    """Participation ratio of the centred tokens that enter the first block."""
    trimmed: list[int]
    """By place over depth: how many coordinates the trimmed view leaves out; empty where there is no such view."""


def keep(
    lab: Lab, source: RunningSource, snapshot: Snapshot, outcome: Outcome, found: list[ByMover], replay: Replay
) -> None:
    """Write a bridge: its run, what was found over depth as curves, and the measured states as measurements."""
    about = source.describe()
    told = json.loads(about.get("configuration") or "{}") | {
        "participation_ratio": outcome.dimension,
        "norm": replay.norm,
        "trimmed": outcome.trimmed,
        "layers": [asdict(facts) for facts in outcome.facts],
    }
    about |= {"run": outcome.run, "configuration": json.dumps(told, sort_keys=True, default=str), "null_of": None}
    lab.record("runs", [make.run_row(source, 1) | about])
    lab.record("steps", [make.step_row(snapshot)])
    lab.record("settings", [make.setting_row(instrument) for instrument in READ])
    lab.record("settings", [_setting_row(*key) for key in found[0]])
    lab.record("variables", [row for instrument in READ for row in make.variable_rows(instrument)])
    key = part_key(outcome.run, snapshot.step, snapshot.fingerprint, VERSION)
    address = {
        "run": outcome.run,
        "step": snapshot.step,
        "fingerprint": snapshot.fingerprint,
        "status": "ok",
        "flags": [],
    }
    lab.write("curves", list(_curves(address, outcome, found)), key)
    sites, values = _measured(address, [by[MEASURED, "", "whole"] for by in found], replay)
    lab.write("sites", sites, key)
    lab.write("measurements", values, key)


def _curves(address: dict, outcome: Outcome, found: list[dict]) -> Iterator[dict]:
    """Over depth, the mean over prompts and its 95 % interval by a normal law; and the distance by prompt."""
    address = address | {"site": "stream.resid_post"}
    for key in found[0]:
        at = address | {"setting": _setting(*key), "n": len(found)}
        passes = found[0][key].get("pass")
        for name in DEPTH:
            if name not in found[0][key]:
                continue
            values = np.array([by[key][name] for by in found])
            mean, low, high = _interval(values)
            x = passes if passes is not None and len(passes) == len(mean) else np.arange(len(mean), dtype=float)
            yield at | {"variable": f"bridge_{name}", "x": x.tolist(), "y": mean, "low": low, "high": high}
        if key in outcome.distance:
            y = outcome.distance[key].tolist()
            yield at | {"variable": BY_PROMPT, "x": list(map(float, range(len(y)))), "y": y}


def _measured(address: dict, readings: list[dict], replay: Replay) -> tuple[list[dict], list[dict]]:
    """The measured states as sites and measurements, as a scan of the stream would keep them."""
    sites, values = [], []
    for place in range(len(replay) + 1):
        site = Site("resid", "resid_post", place - 1) if place else Site("resid", "resid_pre", 0)
        here = address | {"site": str(site)}
        sites.append({
            "run": here["run"], "step": here["step"], "site": here["site"], "kind": str(Kind.points), "layer": site.layer,
            "block": site.block, "part": site.part, "notes": [], "fingerprint": here["fingerprint"],
        })  # fmt: skip
        for instrument in READ:
            for variable in instrument.variables:
                if variable.name in DEPTH:
                    mean, low, high = _interval(np.array([by[variable.name][place : place + 1] for by in readings]))
                    values.append(here | {
                        "variable": variable.name, "setting": instrument.setting, "n": len(readings), "value": mean[0],
                        "low": low[0], "high": high[0],
                    })  # fmt: skip
    return sites, values


def _interval(values: Float[np.ndarray, "prompt place"]) -> tuple[list, list, list]:
    """The mean over prompts and 1.96 standard errors to either side; None where there is no number."""
    mean = values.mean(axis=0)
    half = 1.96 * values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.zeros_like(mean)
    return tuple([float(v) if np.isfinite(v) else None for v in row] for row in (mean, mean - half, mean + half))


def _setting(rung: str, mode: str, view: str) -> str:
    return digest(INSTRUMENT, VERSION, rung, mode, view, size=8)


def _setting_row(rung: str, mode: str, view: str) -> dict[str, Any]:
    fields = json.dumps({"rung": rung, "mode": mode, "view": view}, sort_keys=True)
    return {"setting": _setting(rung, mode, view), "instrument": INSTRUMENT, "version": VERSION, "fields": fields,
            "default": False}  # fmt: skip
