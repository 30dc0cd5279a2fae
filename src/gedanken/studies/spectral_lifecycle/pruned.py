"""Pruned: what a lab holds of a model whose blocks were removed, with the scores of its layers."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from gedanken.analysis.layer_scores import layer_scores
from gedanken.experiment.prune import SPECTRAL, measured
from gedanken.experiment.pruned_loss import BY_PROMPT, SITE, VERSION
from gedanken.measurements.store import Lab, digest
from gedanken.status import Failure
from gedanken.studies.spectral_lifecycle.units import OURS, of_a_run, other_profiles

ENDING = "-pruned"
Layers = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Pruned:
    """`losses`: removed blocks → mean surprisal of every test prompt (the empty set: the whole model).

    `documents`: of each prompt. `removals`: by rule and count, the sets removed (of `random` one a seed).
    `importance`: NaN where not measured. `profiles`: the rank exponent of the layers in other settings (units.profiles).
    """

    run: str
    family: str
    layers: int
    losses: Mapping[Layers, Float[np.ndarray, " prompt"]]
    documents: Int[np.ndarray, " prompt"]
    removals: Mapping[tuple[str, int], tuple[Layers, ...]]
    scores: Mapping[str, Float[np.ndarray, " layer"]] = field(default_factory=dict)
    profiles: Mapping[str, Float[np.ndarray, " layer"]] = field(default_factory=dict)

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(int(digest(self.run, size=6), 16))

    @property
    def whole(self) -> Float[np.ndarray, " prompt"]:
        return self.losses[()]

    @property
    def document_count(self) -> int:
        return len(np.unique(self.documents))

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
        losses, documents = _losses(lab, run)
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
        layers = len(scores["rank_exponent"])
        yield Pruned(run, family, layers, losses, documents, sets, scores, _profiles(lab, weights, layers))


def _profiles(lab: Lab, weights: str, layers: int) -> dict[str, np.ndarray]:
    """Those of the weights' run that have a value for every layer."""
    found = {name: values[0] for name, values in other_profiles(lab, weights).items()}
    return {name: values for name, values in found.items() if len(values) == layers}


def _losses(lab: Lab, run: str) -> tuple[dict[Layers, np.ndarray], np.ndarray]:
    """By removed blocks, on the test half; and the document of each of its prompts."""
    curves = lab.curves.filter(pl.col("run") == run, pl.col("site") == SITE, pl.col("variable") == BY_PROMPT)
    settings = lab.settings.filter(pl.col("version") == VERSION).select("setting", "fields")
    found, documents = {}, np.empty(0, int)
    for text, x, y in curves.join(settings, on="setting").select("fields", "x", "y").collect().iter_rows():
        fields = json.loads(text)
        if fields["half"] == "report":
            found[tuple(fields["removed"])], documents = np.array(y), np.array(x, int)
    return found, documents
