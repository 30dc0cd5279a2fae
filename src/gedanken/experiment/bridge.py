"""Bridge: a trained model's token states over depth, beside simulations of them with its own attention and controls.

From the states that enter the first block, or each layer's, tokens are moved by a ladder of simulations: `replay` (whole
blocks), `attention` (without the MLP), `attention_unbiased`, `attention_symmetric`, and particles of softmax attention
with V = (tr V/d)·1 and three choices of β. Layers are the model's own discrete ones, step 1. A shared layer can be
iterated beyond its depth.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from gedanken.analysis.bridge import CONTROLS, MEASURED, NULL, REPLAY, REPLAYED, RUNGS
from gedanken.experiment.bridge_readings import Look, compared, looks, mean_distance, readings
from gedanken.experiment.bridge_rows import ByMover, Outcome, keep
from gedanken.interventions.replay import Replay
from gedanken.measurements.store import Lab
from gedanken.sources.checkpoints import Checkpoint
from gedanken.sources.particles import layers
from gedanken.sources.particles.flow import Flow, normalised
from gedanken.sources.particles.interaction import Interaction
from gedanken.sources.particles.reduced import BETAS, LayerFacts, layer_facts, scalar_twin, with_gains
from gedanken.sources.particles.trained import trained_attention
from gedanken.sources.running import Running, RunningSource
from gedanken.status import Failure, Progress, Refusal

BEYOND = 20
"""Passes beyond the trained depth at which the states are read, at even logarithms."""

Path = list[Float[np.ndarray, "n d"]]
Step = Callable[[int, Float[np.ndarray, "n d"]], Float[np.ndarray, "n d"]]


def bridge(
    source: RunningSource, lab: Lab | None = None, *, iterate: int = 0, progress: Progress | None = None
) -> Outcome:
    """Measure, simulate and compare; kept in the lab as the run `bridge-` + the source's, its curves over depth.

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
    with told.evaluating():
        found = _every_prompt(ladder, running, progress)
    made = replace(snapshot, run=f"bridge-{source.run}")
    outcome = _outcome(made.run, found, ladder)
    if lab is not None:
        keep(lab, source, made, outcome, found, told)
    return outcome


def _every_prompt(ladder: "_Ladder", running: Running, progress: Progress | None) -> list[ByMover]:
    """What was found of each prompt; of the replay alone where that is not the model."""
    prompts, found = running.prompts.tokens, []
    ladder.look(prompts)
    for number, tokens in enumerate(prompts):
        found.append(ladder.of_prompt(tokens, np.random.default_rng([running.options.seed, number])))
        if progress:
            progress(number + 1, len(prompts))
        if found[-1][REPLAY, "free", "whole"]["arc_distance"].max() > REPLAYED:
            # What the blocks give again is not what the model gave: nothing else may be read off them.
            return [{key: by for key, by in found[-1].items() if key[0] in (REPLAY, MEASURED)}]
    return found


class _Ladder:
    """Everything that moves tokens, for one model."""

    def __init__(self, replay: Replay, random: Replay | None, checkpoint: Checkpoint | None, passes: int):
        self.replay, self.random, self.passes = replay, random, passes
        self._checkpoint = checkpoint
        self.facts: list[LayerFacts] = []
        self.dimension, self.reachable = float("nan"), False
        self.looks: list[Look] = []
        self._flows: dict[str, list[Flow]] = {}
        depth = len(replay)
        beyond = np.geomspace(depth, passes, BEYOND + 1).round()[1:] if passes > depth else []
        self.read_at = [*range(depth + 1), *dict.fromkeys(int(place) for place in beyond)]

    def look(self, prompts: Sequence[np.ndarray]) -> None:
        """What must be known of the states before particles can stand for them: norms and the mask."""
        states = [self.replay.record(tokens) for tokens in prompts]
        self.looks = looks(states)
        centred = np.concatenate([path[0] - path[0].mean(axis=0) for path in states])
        spread = np.linalg.svd(centred, compute_uv=False) ** 2
        self.dimension = float(spread.sum() ** 2 / (spread**2).sum())
        self.reachable = self._can_be_reached(states[-1][0])
        causal, d = self.replay.causal(states[-1][0]), states[0][0].shape[1]
        post, read = self.replay.norm == "post", {}
        for layer, stored in enumerate(self.replay.layers):
            if stored not in read:
                read[stored] = self._attention(stored, layer, causal)
            if read[stored] is None:
                self._flows, self.facts = {}, []
                return
            seen, facts = read[stored]
            squared = float(np.mean([np.mean((path[layer] ** 2).sum(axis=1)) for path in states])) if post else float(d)
            self.facts.append(facts.at(squared))
            for name in BETAS:
                twin = scalar_twin(seen, vars(self.facts[-1])[name])
                self._flows.setdefault(f"particles_{name}", []).append(Flow(twin, d))

    def _attention(self, stored: int, layer: int, causal: bool) -> tuple[Interaction, LayerFacts] | None:
        """A layer's matrices and its numbers; None where the norms or the matrices are not as particles need them."""
        if self.replay.norm == "other" or self._checkpoint is None:
            return None
        try:
            seen = trained_attention(self._checkpoint, stored, causal=causal)
        except (Failure, Refusal):
            return None
        seen = with_gains(seen, self.replay.gains[layer])
        return seen, layer_facts(seen)

    def _can_be_reached(self, start: np.ndarray) -> bool:
        """Whether queries and keys pass where they can be changed, and with them the scores."""
        with self.replay.without_mlp():
            before = self.replay.step(0, start)
            try:
                with self.replay.uniform():
                    return not np.array_equal(before, self.replay.step(0, start))
            except Failure:
                return False

    def of_prompt(self, tokens: np.ndarray, rng: np.random.Generator) -> ByMover:
        """Everything about one prompt."""
        measured = self.replay.record(tokens)
        if self.random:
            self.random.record(tokens)
        found = {(MEASURED, "", look.view): readings(dict(enumerate(measured)), look) for look in self.looks}
        for name, context, step in self._movers(rng):
            with context:
                far = self.passes if name in (REPLAY, *RUNGS, "uniform") else len(measured) - 1
                free = self._free(measured[0], step, far)
                forced = {n + 1: step(n, state) for n, state in enumerate(measured[:-1])}
            for look in self.looks:
                found[name, "free", look.view] = compared(free, measured, look) | readings(free, look)
                if name != REPLAY:
                    found[name, "forced", look.view] = compared({0: measured[0]} | forced, measured, look)
        return found

    def _free(self, start: np.ndarray, step: Step, passes: int) -> dict[int, np.ndarray]:
        """The states at the passes that are read, by pass."""
        kept, now = {0: start}, start
        for layer in range(passes):
            now = step(layer, now)
            if layer + 1 in self.read_at:
                kept[layer + 1] = now
        return kept

    def _movers(self, rng: np.random.Generator) -> Iterator[tuple[str, AbstractContextManager, Step]]:
        own = self.replay
        yield REPLAY, nullcontext(), own.step
        yield "attention", own.without_mlp(), own.step
        if own.biased:
            yield "attention_unbiased", _both(own.without_mlp(), own.without_biases()), own.step
        if self.reachable:
            yield "attention_symmetric", _both(own.without_mlp(), own.without_biases(), own.symmetric()), own.step
        for name, flows in self._flows.items():
            yield name, nullcontext(), _particle_step(flows, own.norm)
        yield "frozen", nullcontext(), lambda layer, points: points
        if self.reachable:
            yield "uniform", _both(own.without_mlp(), own.uniform()), own.step
        for kind in ("gaussian", "rotated"):
            yield kind, _both(own.without_mlp(), own.twin(kind, rng)), own.step
        if own.reusable:
            half = len(own) // 2
            yield "other_layer", own.without_mlp(), lambda layer, x: own.step(layer, x, (layer + half) % len(own))
        if self.random:
            yield NULL, self.random.without_mlp(), self.random.step


def _particle_step(flows: list[Flow], norm: str) -> Step:
    """One discrete layer of particles: on directions after a norm, on the stream in units of √d before one."""

    def step(layer: int, points: np.ndarray) -> np.ndarray:
        flow = flows[min(layer, len(flows) - 1)]
        if norm == "post":
            return layers.post_norm(flow, normalised(points), 1.0)
        unit = np.sqrt(points.shape[1])
        return unit * layers.pre_norm(flow, points / unit, 1.0)

    return step


@contextmanager
def _both(*contexts: AbstractContextManager) -> Iterator[None]:
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        yield


def _random_twin(running: Running) -> Replay | None:
    """The model with freshly drawn weights; None if there is no configuration to draw from."""
    try:
        return Replay(replace(running, options=replace(running.options, null="random")).load(), running.model.config)
    except Failure:
        return None


def _checkpoint(source: RunningSource) -> Checkpoint | None:
    state = list(source.models.snapshots())[-1].state
    return state if isinstance(state, Checkpoint) else None


def _outcome(run: str, found: list[ByMover], ladder: _Ladder) -> Outcome:
    error = float(np.mean([by[REPLAY, "free", "whole"]["arc_distance"] for by in found], axis=0).max())
    distance = {
        key: np.array([mean_distance(by[key]) for by in found])
        for key in found[0]
        if key[0] in (*RUNGS, *CONTROLS, NULL)
    }
    trimmed = [int(heavy.sum()) for look in ladder.looks for heavy in look.heavy]
    return Outcome(run, error, distance, ladder.facts, ladder.dimension, trimmed)


def random_tokens(model: str, prompts: int, context: int, seed: int = 0, run: str | None = None) -> RunningSource:
    """A model on token ids drawn evenly from its vocabulary. Raises Failure if it does not tell how large that is."""
    probe = RunningSource.of(model, [np.array([0, 1])] * 2)
    vocabulary = next(iter(probe.snapshots())).state.model.vocabulary
    if vocabulary is None:
        raise Failure(f"{model} does not tell the size of its vocabulary, so no tokens can be drawn.", "--text FILE")
    rng = np.random.default_rng(seed)
    tokens = list(rng.integers(0, vocabulary, (prompts, context)))
    return RunningSource.of(
        model, tokens, run=f"{probe.models.run}+random", prompts=prompts, context=context, seed=seed
    )
