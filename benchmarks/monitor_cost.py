"""What a monitor costs a plain hand-written training loop: cpu8, and 8 layers × 256.

Arms take turns in blocks of 100 steps of one run, so that a slow minute of the machine hits all of them:
    bare      no monitor
    weights   spectra of every matrix every 25 steps          at most 3 % (8 × 256: 2 %)
    all       gradients and ΔW every 100 steps as well        at most 5 %
`inside` is the time within the monitor's calls over that of the bare steps; `wall` compares whole blocks, and so counts what
writing in the background takes from training.

With `p99`: what writing adds to the slowest steps, of which p99 may grow by 1 %; `all` against `unwritten`, the same with
nothing written, in pairs of blocks. In a hundred steps, three are measured (weights) and one is measured in full, so p99
lies in the gap between those two kinds: which of them a hiccup elsewhere pushes it to, and by how many per cent, is chance,
however many steps there are. If neither kind takes more than 1 % longer, nor do plain steps reach them, then p99 has not
grown by more; that is what is measured, kind by kind, with the 95 % interval of resampled pairs. Steps are of one sequence
instead of eight: the measured ones then cost little beside the measurement, and whatever writing adds is a larger share.
Sharper than any difference of times: the share of the measured steps in which the writer is at work at all. It cannot
lengthen them by more.

    python benchmarks/monitor_cost.py [ROUNDS]
    python benchmarks/monitor_cost.py p99 [PAIRS]      (60 pairs: about five minutes on quiet cores)
"""

import logging
import sys
import tempfile
import time
from collections import defaultdict

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import gedanken as gd

BLOCK = 100
CONTEXT, BATCH, VOCABULARY = 128, 8, 2048
LIMITS = {128: {"weights": 0.03, "all": 0.05}, 256: {"weights": 0.02, "all": 0.05}}


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x):
        batch, length, width = x.shape
        y = self.ln_1(x)
        split = (m(y).view(batch, length, self.heads, -1).transpose(1, 2) for m in (self.q, self.k, self.v))
        mixed = functional.scaled_dot_product_attention(*split, is_causal=True)
        x = x + self.o(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(functional.gelu(self.up(self.ln_2(x))))


class Model(nn.Module):
    def __init__(self, layers: int, width: int, heads: int):
        super().__init__()
        self.embedding, self.positions = nn.Embedding(VOCABULARY, width), nn.Embedding(CONTEXT, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.positions.weight
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.embedding.weight.T


class Loop:
    """A run that goes on block by block, whichever arm watches it."""

    def __init__(self, width: int, heads: int, batch: int):
        self.model, self.batch = Model(8, width, heads), batch
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 1e-3)
        self.generator = torch.Generator().manual_seed(0)

    def block(self, monitor: gd.Monitor | None, steps: range) -> np.ndarray:
        """Of each step when it began, when the update was made, and when the monitor's call was over."""
        return np.array([self._step(monitor, step) for step in steps])

    def _step(self, monitor: gd.Monitor | None, step: int) -> tuple[float, float, float]:
        start = time.perf_counter()
        tokens = torch.randint(0, VOCABULARY, (self.batch, CONTEXT + 1), generator=self.generator)
        logits = self.model(tokens[:, :-1])
        loss = functional.cross_entropy(logits.reshape(-1, VOCABULARY), tokens[:, 1:].reshape(-1))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        trained = time.perf_counter()
        if monitor:
            monitor(self.model, step, loss=loss)
        return start, trained, time.perf_counter()


def numbered(block: int) -> range:
    """The steps of a block. Block 0 draws nulls and keeps the first copy, which is paid once and not counted: two steps."""
    return range(2) if block == 0 else range(block * BLOCK, (block + 1) * BLOCK)


def measured(width: int, heads: int, rounds: int) -> None:
    loop = Loop(width, heads, BATCH)
    steps, inside = defaultdict(list), defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        arms = {
            "bare": None,
            "weights": gd.Monitor(f"{folder}/weights", "run", gradients_every=0, updates_every=0),
            "all": gd.Monitor(f"{folder}/all", "run"),
        }
        for round_ in range(rounds + 1):
            for name, monitor in arms.items():
                found = loop.block(monitor, numbered(round_))
                if round_:
                    start, trained, end = found.T
                    steps[name] += list(end - start)
                    inside[name] += float(np.sum(end - trained))
        for monitor in filter(None, arms.values()):
            monitor.close()
    bare = sum(steps["bare"])
    print(f"8 layers × {width}: {1e3 * np.median(steps['bare']):.0f} ms a step, {rounds * BLOCK} steps of each arm")
    for name in ("weights", "all"):
        wall = sum(steps[name]) / bare - 1
        limit = 100 * LIMITS[width][name]
        print(
            f"  {name:8} inside {100 * inside[name] / bare:5.2f} %   wall {100 * wall:+6.2f} %   (limit {limit:.0f} %)"
        )


def slowest(pairs: int) -> None:
    loop, steps, writing = Loop(128, 4, 1), {"all": [], "unwritten": []}, []
    with tempfile.TemporaryDirectory() as folder:
        arms = {name: gd.Monitor(f"{folder}/{name}", "run") for name in steps}
        arms["unwritten"]._write = lambda task, rows: None
        write = arms["all"]._write

        def timed(task, rows) -> None:
            start = time.perf_counter()
            write(task, rows)
            writing.append((start, time.perf_counter()))

        arms["all"]._write = timed
        for pair in range(pairs + 1):
            # First one, then the other: what drifts favours neither.
            for name in sorted(arms, reverse=bool(pair % 2)):
                found = loop.block(arms[name], numbered(pair))
                if pair:
                    steps[name].append(found)
        for monitor in arms.values():
            monitor.close()
    full, weights = [0], [25, 50, 75]
    plain = np.delete(np.arange(BLOCK), full + weights)
    dear = np.array(steps["all"])[:, full + weights].reshape(-1, 3)
    start, end = np.array(writing).T
    shared = [np.maximum(0, np.minimum(end, last) - np.maximum(start, first)).sum() for first, _, last in dear]
    busy = sum(shared) / np.sum(dear[:, 2] - dear[:, 0])
    written, unwritten = (
        np.array(steps[name])[:, :, 2] - np.array(steps[name])[:, :, 0] for name in ("all", "unwritten")
    )
    p99 = np.quantile(unwritten, 0.99)
    beyond = [int((arm[:, plain] > p99).sum()) for arm in (written, unwritten)]
    print(
        f"p99 {1e3 * p99:.0f} ms (plain steps {1e3 * np.median(unwritten[:, plain]):.0f} ms), {pairs} pairs of blocks; "
        f"writing adds {_growth(written, unwritten, weights)} to steps with weights' spectra, "
        f"{_growth(written, unwritten, full)} to those with all (limit 1 %); "
        f"plain steps beyond p99: {beyond[0]} and, unwritten, {beyond[1]} of {pairs * len(plain)}; "
        f"the writer is at work in {100 * busy:.2f} % of the time of measured steps"
    )


def _growth(written: np.ndarray, unwritten: np.ndarray, places: list[int]) -> str:
    """Of the median step at these places of a block, in per cent, with its interval."""

    def growth(rows) -> float:
        medians = [float(np.median(arm[np.ix_(rows, places)])) for arm in (written, unwritten)]
        return 100 * (medians[0] / medians[1] - 1)

    rng, count = np.random.default_rng(0), len(written)
    low, high = np.quantile([growth(rows) for rows in rng.integers(count, size=(2000, count))], [0.025, 0.975])
    return f"{growth(np.arange(count)):+.2f} % ({low:+.2f} to {high:+.2f})"


def main() -> None:
    # On random tokens a loss says nothing, and alarms of it are no news.
    logging.getLogger("gedanken.monitor").setLevel(logging.ERROR)
    if sys.argv[1:2] == ["p99"]:
        slowest(int(sys.argv[2]) if len(sys.argv) > 2 else 60)
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    for width, heads in ((128, 4), (256, 4)):
        measured(width, heads, rounds)


if __name__ == "__main__":
    main()
