"""Bridge: a trained model's token states over depth, beside simulations of them with its own attention and controls.

From the states that enter the first block, or each layer's, tokens are moved by a ladder of simulations: `replay` (whole
blocks), `attention` (without the MLP), `attention_unbiased`, and particles of softmax attention with V = (tr V/d)·1 and
three choices of β. Layers are the model's own discrete ones, step 1. A shared layer can be iterated beyond its depth.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from gedanken.analysis.bridge import BY_PROMPT, CONTROLS, DEPTH, INSTRUMENT, MEASURED, MODES, REPLAY, REPLAYED, RUNGS
from gedanken.captures.reduce import reduced
from gedanken.experiment import rows as make
from gedanken.instruments.base import Value
from gedanken.instruments.moments.polarization import Polarization
from gedanken.instruments.points.cluster_count import ClusterCount
from gedanken.instruments.points.interaction_energy import InteractionEnergy
from gedanken.interventions.replay import Replay
from gedanken.kinds import Kind
from gedanken.measurements.store import Lab, digest, part_key
from gedanken.site import Site
from gedanken.sources.base import Snapshot
from gedanken.sources.checkpoints import Checkpoint
from gedanken.sources.particles import layers
from gedanken.sources.particles.flow import Flow, normalised
from gedanken.sources.particles.interaction import Interaction
from gedanken.sources.particles.trained import identity_twin, trained_attention
from gedanken.sources.running import Running, RunningSource
from gedanken.status import Failure

VERSION = 1
READ = (Polarization(), InteractionEnergy(), ClusterCount())
"""The instruments that read measured and simulated states alike, at their standard β."""
BEYOND = 40
"""Passes beyond the trained depth at which the states are read, evenly."""

Path = list[Float[np.ndarray, "n d"]]
Step = Callable[[int, Float[np.ndarray, "n d"]], Float[np.ndarray, "n d"]]
Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class LayerFacts:
    """A layer's attention in a few numbers: three β's, tr V/d, how symmetric B is, and how many of V's eigenvalues have
    a positive real part. B is the mean over heads for the identity part, V their sum."""

    identity: float
    spectral: float
    logit: float
    value: float
    symmetric: float
    positive: float


@dataclass(frozen=True)
class Outcome:
    """What a bridge found: mean arc distance by (rung or control, mode) and prompt, the replay's largest mean angle."""

    run: str
    replay_error: float
    distance: dict[tuple[str, str], Float[np.ndarray, " prompt"]]
    facts: list[LayerFacts]
    dimension: float
    """Participation ratio of the centred tokens that enter the first block."""


def bridge(
    source: RunningSource, lab: Lab | None = None, *, iterate: int = 0, progress: Progress | None = None
) -> Outcome:
    """Measure, simulate and compare; kept in the lab as the run `source.run`~, whose curves stand over depth.

    iterate: passes of a shared layer in all, if more than the model's depth. Raises Failure if the model cannot be
    replayed: its blocks are unknown, in two stacks, not shared though they are to be iterated.
    """
    snapshot = list(source.snapshots())[-1]
    if not isinstance(snapshot.state, Running):
        raise snapshot.state.failure
    running = snapshot.state
    told = Replay(running.load(), running.model.config)
    if iterate > len(told) and not told.shared:
        raise Failure("Only a layer that is shared by all passes can be iterated beyond the model's depth.")
    ladder = _Ladder(told, _random_twin(running), _checkpoint(source), max(iterate, len(told)))
    prompts = running.prompts.tokens
    ladder.look(prompts)
    found = []
    for number, tokens in enumerate(prompts):
        found.append(ladder.of_prompt(tokens, np.random.default_rng([running.options.seed, number])))
        if progress:
            progress(number + 1, len(prompts))
        if found[-1][REPLAY, "free"]["arc_distance"].max() > REPLAYED:
            # What the blocks give again is not what the model gave: nothing else may be read off them.
            found = [{key: found[-1][key] for key in ((REPLAY, "free"), (MEASURED, ""))}]
            break
    made = replace(snapshot, run=f"bridge-{source.run}")
    outcome = _outcome(made.run, found, ladder, len(told))
    if lab is not None:
        _keep(lab, source, made, outcome, found, ladder)
    return outcome


class _Ladder:
    """Everything that moves tokens, for one model."""

    def __init__(self, replay: Replay, random: Replay | None, checkpoint: Checkpoint | None, passes: int):
        self.replay, self.random, self.passes = replay, random, passes
        self._checkpoint = checkpoint
        self.facts: list[LayerFacts] = []
        self.dimension = float("nan")
        self._flows: dict[str, list[Flow]] = {}
        depth = len(replay)
        beyond = np.linspace(depth, passes, BEYOND + 1).round().astype(int)[1:] if passes > depth else []
        self.read_at = [*range(depth + 1), *dict.fromkeys(int(place) for place in beyond)]

    def look(self, prompts: Sequence[np.ndarray]) -> None:
        """What must be known of the states before particles can stand for them: norms and the mask."""
        states = [self.replay.record(tokens) for tokens in prompts]
        centred = np.concatenate([path[0] - path[0].mean(axis=0) for path in states])
        spread = np.linalg.svd(centred, compute_uv=False) ** 2
        self.dimension = float(spread.sum() ** 2 / (spread**2).sum())
        if self.replay.norm == "other" or self._checkpoint is None or self._checkpoint.heads is None:
            return
        causal, d = self.replay.causal(states[-1][0]), states[0][0].shape[1]
        post = self.replay.norm == "post"
        for layer, stored in enumerate(self.replay.layers):
            squared = float(np.mean([np.mean((path[layer] ** 2).sum(axis=1)) for path in states])) if post else float(d)
            seen = _with_gains(trained_attention(self._checkpoint, stored, causal=causal), self.replay.gains[layer])
            self.facts.append(layer_facts(seen, squared))
            for name in ("identity", "spectral", "logit"):
                twin = particles(seen, vars(self.facts[-1])[name])
                self._flows.setdefault(f"particles_{name}", []).append(Flow(twin, d))

    def of_prompt(self, tokens: np.ndarray, rng: np.random.Generator) -> dict[tuple[str, str], dict[str, np.ndarray]]:
        """(rung or control, mode) → curves over depth by name; the measured states have the mode ""."""
        measured = self.replay.record(tokens)
        if self.random:
            self.random.record(tokens)
        found = {(MEASURED, ""): _readings(dict(enumerate(measured)))}
        for name, context, step in self._movers(rng):
            with context:
                far = self.passes if name in (REPLAY, *RUNGS, "uniform") else len(measured) - 1
                free = self._free(measured[0], step, far)
                if name == "uniform" and np.array_equal(free[1], self._attention_once(measured[0])):
                    continue
                forced = {n + 1: step(n, state) for n, state in enumerate(measured[:-1])}
            found[name, "free"] = _compared(free, measured) | _readings(free)
            if name != REPLAY:
                found[name, "forced"] = _compared({0: measured[0]} | forced, measured)
        return found

    def _free(self, start: np.ndarray, step: Step, passes: int) -> dict[int, np.ndarray]:
        """The states at the passes that are read, by pass."""
        kept, now = {0: start}, start
        for layer in range(passes):
            now = step(layer, now)
            if layer + 1 in self.read_at:
                kept[layer + 1] = now
        return kept

    def _attention_once(self, start: np.ndarray) -> np.ndarray:
        """Its first layer with attention as it is, though queries are being changed: what tells that they are."""
        with self.replay.without_mlp():
            return self.replay.step(0, start) if self.facts == [] else self._first
    _first: np.ndarray | None = None

    def _movers(self, rng: np.random.Generator) -> Iterator[tuple[str, AbstractContextManager, Step]]:
        own = self.replay
        yield REPLAY, nullcontext(), own.step
        yield "attention", own.without_mlp(), own.step
        yield "attention_unbiased", _both(own.without_mlp(), own.without_biases()), own.step
        for name, flows in self._flows.items():
            yield name, nullcontext(), _particle_step(flows, own.norm)
        yield "frozen", nullcontext(), lambda layer, points: points
        yield "uniform", _both(own.without_mlp(), own.uniform()), own.step
        for kind in ("gaussian", "rotated"):
            yield kind, _both(own.without_mlp(), own.twin(kind, rng)), own.step
        if own.reusable:
            half = len(own) // 2
            yield "other_layer", own.without_mlp(), lambda layer, x: own.step(layer, x, (layer + half) % len(own))
        if self.random:
            yield "random_weights", self.random.without_mlp(), self.random.step


