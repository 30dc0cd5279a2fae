"""Bridge: how far simulations of a trained model stay from its measured token states, and how much better than controls.

Skill S = 1 − D(simulation)/D(control), D the mean arc distance over layers and tokens; prompts are what is resampled.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float

from gedanken.analysis.intervals import RESAMPLES, Estimate
from gedanken.analysis.particle_pictures import PICTURE

INSTRUMENT = "bridge"
MODES = {"free": "from the first states alone", "forced": "at each layer from the measured states"}
VIEWS = {
    "whole": "as they are",
    "centred": "with the mean token removed",
    "trimmed": "without the coordinates that carry more than 5 % of the variance",
}
"""How states are looked at. What is judged is the whole."""
MEASURED, REPLAY = "measured", "replay"
RUNGS = {
    "attention": "attention alone, with norms, gains and biases",
    "attention_unbiased": "attention alone, without biases",
    "attention_symmetric": "attention alone, without biases, with the symmetric part of its scores",
    "particles_identity": "softmax attention with V = (tr V/d)·1 and β of the identity part",
    "particles_spectral": "softmax attention with V = (tr V/d)·1 and β of the spectral norm",
    "particles_logit": "softmax attention with V = (tr V/d)·1 and β matched to the variance of the logits",
}
CONTROLS = {
    "frozen": "tokens that do not move",
    "uniform": "attention with all scores zero",
    "gaussian": "Gaussian attention matrices of the same norms",
    "rotated": "attention matrices of the same singular values, rotated",
    "other_layer": "the attention of another layer",
}
"""In the mode `forced`, `frozen` is persistence: the layer before."""
NULL = "random_weights"
"""Attention of the model with random weights: shown, and no control of the claim."""
LABELS = {
    MEASURED: "measured",
    REPLAY: "whole block",
    "attention": "attention alone",
    "attention_unbiased": "attention without biases",
    "attention_symmetric": "symmetric attention",
    "particles_identity": "particles, β of tr B",
    "particles_spectral": "particles, β of ‖sym B‖",
    "particles_logit": "particles, β of the logits",
    "frozen": "frozen",
    "uniform": "uniform attention",
    "gaussian": "Gaussian matrices",
    "rotated": "rotated matrices",
    "other_layer": "another layer",
    NULL: "random weights",
}
"""In pictures."""
DEPTH = ("arc_distance", "displacement_cosine", "gram_correlation", "anisotropy", "polarization",
         "interaction_energy_normalised", "cluster_count")  # fmt: skip
"""What stands over depth, each as the curve `bridge_` + name."""
BY_PROMPT = "bridge_distance_by_prompt"
VARIABLES = (*(f"bridge_{name}" for name in DEPTH), BY_PROMPT)
REPLAYED = 1e-4
"""Mean angle, in rad, above which the replay of the blocks is not that of the model and nothing is judged."""


@dataclass(frozen=True)
class Bridged:
    """One bridge of a lab: `distance[rung or control, mode]` by prompt, and the largest mean angle of the replay."""

    run: str
    replay_error: float
    distance: dict[tuple[str, str], Float[np.ndarray, " prompt"]]

    @property
    def rungs(self) -> list[str]:
        return [name for name in RUNGS if (name, "free") in self.distance]

    def resolution(self, mode: str) -> float:
        """The skill that the replay's own tolerance of 1e−4 rad makes, at the nearest control."""
        return REPLAYED / min(
            float(self.distance[key].mean()) for key in self.distance if key[0] in CONTROLS and key[1] == mode
        )

    def skills(self, rung: str, mode: str, rng: np.random.Generator) -> dict[str, Estimate]:
        """S of a rung against every control that was run."""
        mine = self.distance[rung, mode]
        held = {name: self.distance[name, mode] for name in CONTROLS if (name, mode) in self.distance}
        return {name: skill(mine, control, rng) for name, control in held.items()}


def skill(
    simulated: Float[np.ndarray, " prompt"],
    control: Float[np.ndarray, " prompt"],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Estimate:
    """1 − ΣD(simulated)/ΣD(control) with its 95 % interval, prompts resampled in pairs."""
    chosen = rng.integers(0, len(simulated), (resamples, len(simulated)))
    draws = 1 - simulated[chosen].sum(axis=1) / control[chosen].sum(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(1 - float(simulated.sum() / control.sum()), float(low), float(high), len(simulated))


def bridges(lab, runs: Iterable[str] = (), view: str = "whole") -> list[Bridged]:
    """The bridges of a lab, by name, in one of the VIEWS."""
    found, wanted = _curves(lab).filter(pl.col("view") == view), set(runs)
    made = []
    for (run,), part in found.partition_by("run", as_dict=True).items():
        if wanted and run not in wanted:
            continue
        by_prompt = part.filter(pl.col("variable") == BY_PROMPT)
        replay = part.filter(pl.col("variable") == "bridge_arc_distance", pl.col("rung") == REPLAY)
        distance = {(rung, mode): np.array(y) for rung, mode, y in by_prompt.select("rung", "mode", "y").iter_rows()}
        made.append(Bridged(run, max(max(y) for y in replay["y"]), distance))
    return made


def bridge_pictures(lab) -> pl.DataFrame:
    """Rows of the pictures `bridge_…`, with `_centred` or `_trimmed` of a view and `_forced`, in the columns of PICTURE.

    `label` is the rung or control, `group` how it is drawn; `kind` is `measured` of the measured states.
    """
    rows = []
    for row in _curves(lab).filter(pl.col("variable") != BY_PROMPT).iter_rows(named=True):
        rung, view = row["rung"], "" if row["view"] == "whole" else f"_{row['view']}"
        picture = row["variable"] + view + ("_forced" if row["mode"] == "forced" else "")
        group = "coloured" if rung in (MEASURED, REPLAY, *RUNGS) else "grey"
        for x, y, low, high in zip(row["x"], row["y"], row["low"], row["high"], strict=True):
            if y is not None:
                rows.append({"run": row["run"], "picture": picture, "kind": MEASURED if rung == MEASURED else "simulated",
                             "group": group, "label": LABELS[rung], "time": x, "y": y, "low": low, "high": high})  # fmt: skip
    columns = {name: [row.get(name) for row in rows] for name in PICTURE}
    return pl.DataFrame(columns, schema=PICTURE).sort("run", "picture", "group", "label", "time")


def _curves(lab) -> pl.DataFrame:
    """The curves of all bridges with their rung, mode and view."""
    settings = lab.settings.filter(pl.col("instrument") == INSTRUMENT).select("setting", "fields").unique().collect()
    told = [
        (setting, *(json.loads(fields).get(name, "whole") for name in ("rung", "mode", "view")))
        for setting, fields in settings.iter_rows()
    ]
    named = pl.DataFrame(told, schema=dict.fromkeys(("setting", "rung", "mode", "view"), pl.String), orient="row")
    curves = lab.curves.filter(pl.col("variable").is_in(VARIABLES)).collect()
    return curves.join(named, on="setting").sort("run", "variable", "view", "mode", "rung")
