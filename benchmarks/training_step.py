"""The trainer against a bare hand-written loop of the same model, and what writing takes from its steps.

Arms take turns in blocks of one run each, so that a slow minute of the machine hits all of them:
    bare     batch, forward, loss, backward, clip, AdamW: a dozen lines of PyTorch
    trainer  Trainer.advance                                                 median step at most 1.1 × bare
    source   TrainingSource.updates, nothing written
    written  the same with history and checkpoints                           p99 of a step at most 1 % above `source`
`step` is the update alone; `wall` also counts what stands between two updates (history, checkpoints, validation).
What spectra cost is measured by monitor_cost.py.

    python benchmarks/training_step.py [PRESET] [ROUNDS] [THREADS]
"""

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.nn import functional

from gedanken.sources.training import GPT, Recipe, Trainer, TrainingSource, preset
from gedanken.sources.training.open_data import open_data
from gedanken.sources.training.trainer import training_threads

BLOCK = 25
WARM = 3
"""Steps of each arm that are not counted."""


def bare(recipe: Recipe) -> Iterator[float]:
    """Seconds of each step of a loop that anybody would write."""
    model = GPT(recipe)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    text = torch.randint(0, recipe.vocabulary, (1_000_000,))
    while True:
        start = time.perf_counter()
        places = torch.randint(0, len(text) - recipe.context - 1, (recipe.batch,))
        rows = torch.stack([text[place : place + recipe.context + 1] for place in places])
        logits = model(rows[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
        yield time.perf_counter() - start


def trainer(recipe: Recipe) -> Iterator[float]:
    found = Trainer(recipe, open_data(recipe))
    while True:
        yield found.advance().seconds


def arms(recipe: Recipe, folder: str) -> dict[str, Callable[[], float]]:
    found = {"bare": bare(recipe), "trainer": trainer(recipe)}
    for name, out in (("source", None), ("written", f"{folder}/run")):
        updates = TrainingSource(recipe, out=out, checkpoint_every=BLOCK).updates()
        found[name] = (update.seconds for update in updates)
    return {name: steps.__next__ for name, steps in found.items()}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "cpu8"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    recipe = preset(name, layers=8, threads=threads, steps=10_000)
    inside, wall = defaultdict(list), defaultdict(float)
    with tempfile.TemporaryDirectory() as folder, training_threads(threads):
        runs = arms(recipe, folder)
        for round_ in range(rounds + 1):
            for arm, step in runs.items():
                start = time.perf_counter()
                seconds = [step() for _ in range(BLOCK if round_ else WARM)]
                if round_:
                    inside[arm] += seconds
                    wall[arm] += time.perf_counter() - start
    print(f"{name}, {threads} threads, {rounds * BLOCK} steps of each arm")
    base = np.median(inside["bare"])
    for arm, seconds in inside.items():
        middle, tail = np.median(seconds), np.quantile(seconds, 0.99)
        print(
            f"  {arm:8} step {1e3 * middle:6.1f} ms   {middle / base:5.3f} × bare   p99 {1e3 * tail:6.1f} ms"
            f"   wall {1e3 * wall[arm] / len(seconds):6.1f} ms a step"
        )
    growth = np.quantile(inside["written"], 0.99) / np.quantile(inside["source"], 0.99) - 1
    print(
        f"  trainer {np.median(inside['trainer']) / base:.3f} × bare (limit 1.1)   p99 {100 * growth:+.1f} % (limit 1 %)"
    )


if __name__ == "__main__":
    main()
