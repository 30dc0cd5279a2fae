"""Pruned: what a lab holds of a model whose blocks were removed, with the scores of its layers."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from gedanken.analysis.layer_scores import layer_scores
from gedanken.experiment.prune import SPECTRAL, measured
from gedanken.experiment.pruned_loss import BY_PROMPT, SITE
from gedanken.measurements.store import Lab, digest
from gedanken.status import Failure
from gedanken.studies.spectral_lifecycle.units import OURS, of_a_run

ENDING = "-pruned"
Layers = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Pruned:
    """`losses`: removed blocks → mean surprisal of every test prompt (the empty set: the whole model).

    `removals`: by rule and count, the sets removed (of `random` one a seed). `importance`: NaN where not measured.
    """

    run: str
    family: str
    layers: int
    losses: Mapping[Layers, Float[np.ndarray, " prompt"]]
    removals: Mapping[tuple[str, int], tuple[Layers, ...]]
    scores: Mapping[str, Float[np.ndarray, " layer"]] = field(default_factory=dict)

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(int(digest(self.run, size=6), 16))

    @property
    def whole(self) -> Float[np.ndarray, " prompt"]:
        return self.losses[()]

    @property
    def counts(self) -> list[int]:
        return sorted({count for _, count in self.removals})

    @property
    def importance(self) -> Float[np.ndarray, " layer"]:
        """Loss with the block as identity minus the whole model's, in nat a token."""
        found = np.full(self.layers, np.nan)
        for layer in range(self.layers):
            if (layer,) in self.losses:
                found[layer] = self.increase((layer,)).mean()
        return found

    @property
    def interior(self) -> Int[np.ndarray, " layer"]:
        """Interior layers with an importance."""
        inner = np.arange(1, self.layers - 1)
        return inner[np.isfinite(self.importance[inner])]

    def increase(self, removed: Layers) -> Float[np.ndarray, " prompt"]:
        return self.losses[tuple(removed)] - self.whole

    def score(self, variable: str) -> Float[np.ndarray, " layer"]:
        return self.scores[variable]

    def of(self, rule: str, count: int) -> Float[np.ndarray, " prompt"] | None:
        """Increase by a rule that has no draws; None if it was not measured."""
        sets = self.removals.get((rule, count), ())
        return self.increase(sets[0]) if sets and sets[0] in self.losses else None


def pruned(lab: Lab, runs: Iterable[str]) -> Iterator[Pruned]:
    """The pruned models among the runs. Those whose whole loss is not in the lab yet are left out."""
    every = lab.runs.filter(pl.col("run").is_in(list(runs))).collect()
    trained = set(every.filter(pl.col("source") == "training")["run"])
    about = every.filter(pl.col("run").str.ends_with(ENDING))
    for run, source, architecture in about.select("run", "source", "architecture").iter_rows():
        losses = _losses(lab, run)
        if () not in losses:
            continue
        weights = run.removesuffix(ENDING).rsplit("+", 1)[0]
        scores = {}
        for variable in SPECTRAL:
            try:
                scores[variable] = layer_scores(lab, weights, variable)
            except Failure:
                continue
        if "rank_exponent" not in scores:
            continue
        removals: dict[tuple[str, int], list[Layers]] = {}
        rows = measured(lab, run).filter(pl.col("variable") == "loss_increase").sort("seed")
        for by, count, layers in rows.select("by", "remove", "layers").iter_rows():
            removals.setdefault((by, count), []).append(tuple(layers))
        sets = {key: tuple(found) for key, found in removals.items()}
        family = OURS if of_a_run(source, trained) else architecture or "unknown"
        yield Pruned(run, family, len(scores["rank_exponent"]), losses, sets, scores)


def _losses(lab: Lab, run: str) -> dict[Layers, np.ndarray]:
    """By removed blocks, on the test half."""
    curves = lab.curves.filter(pl.col("run") == run, pl.col("site") == SITE, pl.col("variable") == BY_PROMPT)
    rows = curves.join(lab.settings.select("setting", "fields"), on="setting").select("fields", "y").collect()
    found = {}
    for text, y in rows.iter_rows():
        fields = json.loads(text)
        if fields["half"] == "report":
            found[tuple(fields["removed"])] = np.array(y)
    return found
