"""prune: which blocks a model can spare by every rule, and what their removal costs on text that chose none of them.

Rules that look at activations or losses use the first half of the text, all costs are of the second. The same prompts are
read by every pruned model, so that costs are compared prompt by prompt.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

from gedanken.analysis.document_weights import document_weights
from gedanken.analysis.layer_scores import layer_scores
from gedanken.experiment import rows as make
from gedanken.experiment.pruned_loss import PrunedLoss
from gedanken.experiment.scan import scan
from gedanken.instruments import catalogue
from gedanken.interventions import choose
from gedanken.interventions.cut import cut, save
from gedanken.measurements.store import Lab, digest, part_key
from gedanken.sources.base import Snapshot
from gedanken.sources.running import Running, RunningSource
from gedanken.sources.tokenizers import HubTokenizer
from gedanken.status import Failure, Progress

RULES = {
    "rank_exponent": "lowest rank exponent of the attention matrices (the paper's rule)",
    "rank_exponent_highest": "highest rank exponent: the worst choice, by the paper's rule",
    "tail_exponent": "highest tail exponent",
    "stable_rank": "lowest stable rank",
    "frobenius_norm": "lowest norm",
    "block_influence": "lowest 1 − cos of a block's input and output",
    "angle": "the stretch of blocks whose input and output are nearest",
    "greedy": "one after another, the block whose removal costs least on the first half of the text (of the best eight on a "
    "quarter of it)",
    "last": "the last layers (not protected)",
    "last_protected": "the layers before the last",
    "first": "the layers after the first",
    "random": "at random",
}
"""What decides which layers go. All but `last` keep the first and the last layer."""

SPECTRAL = ("rank_exponent", "tail_exponent", "stable_rank", "frobenius_norm")
SCORED = ("*.attn.*", "*.mlp.*")
"""Matrices of which a model's scores are measured."""
EVERY = (1, 2, 4, 6, 8)
"""Numbers of layers that are removed, up to half of those that may be (spectral lifecycle, §3.10)."""

TRIED = 8
"""Blocks that a greedy step tries on the whole calibration half: the best by a quarter of it. Costs of removals differ by
factors, so the best of all is among them."""

SEEDS = 5
RESAMPLES = 2000


@dataclass(frozen=True)
class Removal:
    """The layers that a rule removes. `seed` counts the draws of `random`."""

    by: str
    layers: tuple[int, ...]
    seed: int = 0

    @property
    def count(self) -> int:
        return len(self.layers)

    @property
    def fields(self) -> str:
        told = {"by": self.by, "remove": self.count, "seed": self.seed, "layers": list(self.layers)}
        return json.dumps(told, sort_keys=True)

    @property
    def setting(self) -> str:
        return digest("prune", self.fields, size=8)


@dataclass(frozen=True)
class Cost:
    """What a removal costs on the second half of the text: in nat a token and in perplexity, each with its 95 % interval
    over documents."""

    removal: Removal
    loss: tuple[float, float, float]
    perplexity: tuple[float, float, float]
    documents: int


@dataclass(frozen=True)
class Pruning:
    """Costs of every removal, the whole model's loss and perplexity, and the importance of every layer (empty if not
    asked for)."""

    run: str
    layers: int
    loss: float
    perplexity: float
    costs: tuple[Cost, ...]
    importance: tuple[Cost, ...]
    running: Running = field(repr=False, compare=False)

    def of(self, by: str, count: int) -> Removal:
        """What a rule removed, the first draw of a random one."""
        return next(c.removal for c in self.costs if (c.removal.by, c.removal.count) == (by, count))

    def write(self, removal: Removal, folder: Path, origin: str) -> None:
        """Write the model without the removed layers, its tokenizer and its list of layers (interventions.cut.save).

        Raises Failure if the folder cannot be written.
        """
        model, tokenizer = self.running.load(), self.running.model.tokenizer()
        cut(model, removal.layers)
        inner = tokenizer.inner if isinstance(tokenizer, HubTokenizer) else None
        save(model, inner, folder, origin=origin, removed=removal.layers, layers=self.layers)


def prune(
    model: Any,
    text: Any = "stdlib",
    lab: Lab | str = "lab",
    *,
    by: Iterable[str] = tuple(RULES),
    remove: Sequence[int] | None = None,
    greedy_to: int = 4,
    seeds: int = SEEDS,
    run_name: str | None = None,
    importance: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Pruning:
    """Cost of removing `remove` layers (EVERY, as far as half the interior) by each rule `by`, measured into a lab.

    What the lab holds is not measured again. The spectral rules read the weights' run of the same model; a lab without it
    gets one. greedy goes no further than `greedy_to`. run_name: the run that is pruned (by default from the names of model
    and text). options: of sources.running.Options (prompts, context …).
    Raises Failure if the model cannot be run, a rule is unknown, or there are too few layers.
    """
    lab = lab if isinstance(lab, Lab) else Lab(lab)
    if unknown := set(by) - set(RULES):
        raise Failure(f"No rule is called {', '.join(sorted(unknown))}; there are {', '.join(RULES)}.")
    source = RunningSource.of(model, text, run=run_name, **options)
    weights = source.models.run
    source = replace(source, run=f"{source.run}-pruned")
    snapshot = next(iter(source.snapshots()))
    losses = PrunedLoss(snapshot, lab)
    counts = list(remove or [count for count in EVERY if count <= (losses.layers - 2) // 2])
    by = list(by)
    _follow(losses, _sets(losses.layers, counts, by, greedy_to, seeds) + importance * losses.layers, progress)
    chosen = _removals(losses, _scores(lab, model, weights, by), by, counts, greedy_to, seeds)
    lab.record("runs", [make.run_row(source, 1)])
    lab.record("variables", _VARIABLES)
    singles = [Removal("importance", (layer,)) for layer in range(losses.layers)] if importance else []
    found = losses.of([(), *(removal.layers for removal in (*chosen, *singles))])
    costs = [
        _cost(removal, found[0], losses_, losses)
        for removal, losses_ in zip((*chosen, *singles), found[1:], strict=True)
    ]
    made = Pruning(
        snapshot.run,
        losses.layers,
        *_whole(found[0]),
        tuple(costs[: len(chosen)]),
        tuple(costs[len(chosen) :]),
        snapshot.state,
    )
    _write(lab, snapshot, made, losses)
    return made


def _scores(lab: Lab, model: Any, run: str, by: Iterable[str]) -> Mapping[str, Float[np.ndarray, " layers"]]:
    wanted = sorted({rule.removesuffix("_highest") for rule in by} & set(SPECTRAL))
    there = lab.measurements.filter(pl.col("run") == run).select(pl.col("variable").unique()).collect()["variable"]
    if missing := set(wanted) - set(there):
        instruments = {catalogue.of_variable(variable)[0].name() for variable in missing}
        # The spectra of all matrices serve the robustness settings of what is said about these scores.
        scan(model, lab, run_name=run, instruments=[*sorted(instruments), "singular_values"], sites=SCORED)
    return {variable: layer_scores(lab, run, variable) for variable in wanted}


def _removals(losses: PrunedLoss, scores, by, remove, greedy_to: int, seeds: int) -> list[Removal]:
    layers, made = losses.layers, []
    for count in remove:
        choose.checked(count, layers)
    for rule in by:
        if rule == "greedy":
            made += [
                Removal(rule, found) for found in _greedy(losses, min(greedy_to, max(remove))) if len(found) in remove
            ]
        elif rule == "random":
            rng = np.random.default_rng(0)
            for count in remove:
                drawn = choose.subsets(layers, count, choose.MOST_SUBSETS, rng)
                picked = rng.choice(len(drawn), min(seeds, len(drawn)), replace=False)
                made += [Removal(rule, drawn[i], seed) for seed, i in enumerate(picked)]
        else:
            made += [Removal(rule, _layers_of(rule, count, losses, scores)) for count in remove]
    return made


def _layers_of(rule: str, count: int, losses: PrunedLoss, scores) -> tuple[int, ...]:
    layers = losses.layers
    match rule:
        case "last":
            return choose.last(layers, count)
        case "last_protected":
            return choose.last_protected(layers, count)
        case "first":
            return choose.first(layers, count)
        case "angle":
            return choose.contiguous(losses.influence(), count)
        case "block_influence":
            steps = np.append(np.diagonal(losses.influence(), 1), np.nan)
            return choose.lowest(steps, count)
        case "rank_exponent_highest":
            return choose.lowest(-scores["rank_exponent"], count)
        case "tail_exponent":
            return choose.lowest(-scores["tail_exponent"], count)
    return choose.lowest(scores[rule], count)


def _greedy(losses: PrunedLoss, most: int) -> list[tuple[int, ...]]:
    """The sets of a greedy choice on the calibration half, of 1 … `most` layers."""
    removed: tuple[int, ...] = ()
    found = []
    for _ in range(most):
        candidates = choose.without(removed, losses.layers)
        few = len(candidates) <= TRIED
        order = (
            range(len(candidates)) if few else np.argsort(losses.of(candidates, "scout").mean(axis=1), kind="stable")
        )
        best = [candidates[i] for i in order[:TRIED]]
        removed = best[int(np.argmin(losses.of(best, "fit").mean(axis=1)))]
        found.append(removed)
    return found


def _whole(by_prompt: np.ndarray) -> tuple[float, float]:
    mean = float(by_prompt.mean())
    return mean, float(np.exp(mean))


def _cost(removal: Removal, whole: np.ndarray, pruned: np.ndarray, losses: PrunedLoss) -> Cost:
    """Means over prompts, resampled over documents: the prompts of one document stay together."""
    documents = losses.documents("report")
    rng = np.random.default_rng(int(removal.setting, 16))
    draws = document_weights(documents, rng, RESAMPLES) @ np.stack([whole, pruned]).T
    increase, ratio = pruned.mean() - whole.mean(), np.exp(pruned.mean()) - np.exp(whole.mean())
    low, high = np.quantile(draws[:, 1] - draws[:, 0], [0.025, 0.975])
    ratio_low, ratio_high = np.quantile(np.exp(draws[:, 1]) - np.exp(draws[:, 0]), [0.025, 0.975])
    return Cost(
        removal,
        (float(increase), float(low), float(high)),
        (float(ratio), float(ratio_low), float(ratio_high)),
        len(np.unique(documents)),
    )


def _sets(layers: int, counts: Sequence[int], by: Sequence[str], greedy_to: int, seeds: int) -> int:
    """Sets whose losses are asked for, those of a greedy choice included."""
    steps = range(min(greedy_to, max(counts))) if "greedy" in by else ()
    tried = sum(layers - 2 - step + TRIED for step in steps)
    return 1 + tried + len(counts) * (len(by) + ("random" in by) * (seeds - 1))


def _follow(losses: PrunedLoss, sets: int, progress: Progress | None) -> None:
    """Progress in sets of blocks."""
    if progress is None:
        return
    done = 0.0

    def update(more: float) -> None:
        nonlocal done
        done += more
        progress(done, max(done, sets))

    losses.progress = update


def _write(lab: Lab, snapshot: Snapshot, made: Pruning, losses: PrunedLoss) -> None:
    address = {
        "run": snapshot.run,
        "step": snapshot.step,
        "fingerprint": snapshot.fingerprint,
        "status": "ok",
        "flags": [],
    }
    settings, rows, sites = [], [], []
    for cost in (*made.costs, *made.importance):
        alone = cost.removal.by == "importance"
        site = f"layers.{cost.removal.layers[0]}.resid.resid_post" if alone else "stream.blocks"
        setting = digest("layer_importance", size=8) if alone else cost.removal.setting
        if not alone:
            settings.append(_setting_row(setting, "prune", cost.removal.fields))
        names = ("layer_importance",) if alone else ("loss_increase", "perplexity_increase")
        for name, (value, low, high) in zip(names, (cost.loss, cost.perplexity), strict=False):
            rows.append(
                address
                | {"site": site, "variable": name, "setting": setting, "value": value, "low": low, "high": high}
                | {"n": cost.documents}
            )
        sites.append(_site_row(snapshot, site, cost.removal.layers[0] if alone else None))
    settings.append(_setting_row(digest("layer_importance", size=8), "layer_importance", "{}"))
    rows.append(
        address | {"site": "stream.blocks", "variable": "loss", "setting": digest("layer_importance", size=8)}
        | {"value": made.loss, "n": len(losses.prompts("report"))}
    )  # fmt: skip
    lab.record("settings", settings)
    key = part_key(snapshot.run, snapshot.step, snapshot.fingerprint, *(row["setting"] for row in settings))
    lab.write("sites", list({row["site"]: row for row in sites}.values()), key)
    lab.write("measurements", rows, key)


def _site_row(snapshot: Snapshot, site: str, layer: int | None) -> dict:
    block, part = ("stream", "blocks") if layer is None else ("resid", "resid_post")
    return {
        "run": snapshot.run, "step": snapshot.step, "site": site, "kind": "surprisal", "layer": layer, "block": block,
        "part": part, "raw_name": site, "notes": [], "fingerprint": snapshot.fingerprint,
    }  # fmt: skip


def _setting_row(setting: str, instrument: str, fields: str) -> dict:
    return {"setting": setting, "instrument": instrument, "version": 1, "fields": fields, "default": True}


def _variable(name: str, symbol: str, unit: str, definition: str) -> dict[str, Any]:
    return {
        "variable": name, "instrument": "prune", "symbol": symbol, "unit": unit, "scale": "linear",
        "definition": definition, "reference": "[@liu2026lifecycle]", "aliases": [],
        "no_null": "it is compared with the removal of other layers",
    }  # fmt: skip


_VARIABLES = [
    _variable("loss_increase", "Δℓ", "nat/token", "loss with layers removed minus the whole model's"),
    _variable("perplexity_increase", "ΔPPL", "1", "perplexity with layers removed minus the whole model's"),
    _variable("layer_importance", "I", "nat/token", "loss with the block as identity minus the whole model's"),
    _variable("surprisal_by_prompt", "−ln p", "nat/token", "mean surprisal of each prompt, by its document"),
]


def measured(lab: Lab, run: str) -> pl.DataFrame:
    """The costs that a lab holds of a pruned run: by, remove, seed, layers, variable, value, low, high, n."""
    kept = lab.measurements.filter((pl.col("run") == run) & (pl.col("site") == "stream.blocks"))
    settings = lab.settings.filter(pl.col("instrument") == "prune").select("setting", "fields")
    joined = kept.join(settings, on="setting").collect()
    fields = [json.loads(text) for text in joined["fields"]]
    return joined.select("variable", "value", "low", "high", "n").with_columns(
        pl.Series("by", [f["by"] for f in fields], dtype=pl.String),
        pl.Series("remove", [f["remove"] for f in fields], dtype=pl.Int64),
        pl.Series("seed", [f["seed"] for f in fields], dtype=pl.Int64),
        pl.Series("layers", [f["layers"] for f in fields], dtype=pl.List(pl.Int64)),
    )
