"""What a monitor costs a plain hand-written training loop: cpu8, and 8 layers × 256.

Arms take turns in blocks of 100 steps of one run, so that a slow minute of the machine hits all of them:
    bare      no monitor
    weights   spectra of every matrix every 25 steps          at most 3 % (8 × 256: 2 %)
    all       gradients and ΔW every 100 steps as well        at most 5 %
    unwritten as `all`, with nothing written                  p99 step time of `all` at most 1 % above
The p99 comes with the 95 % interval of resampled blocks: one step in a hundred is measured in full, so a narrow interval
needs many rounds. `inside` is the time within the monitor's calls over that of the bare steps; `wall` compares whole
blocks, and so counts what writing in the background takes from training.

    python benchmarks/monitor_cost.py [ROUNDS]
"""

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


def monitors(folder: str) -> dict[str, gd.Monitor | None]:
    found = {
        "bare": None,
        "weights": gd.Monitor(f"{folder}/weights", "run", gradients_every=0, updates_every=0),
        "all": gd.Monitor(f"{folder}/all", "run"),
        "unwritten": gd.Monitor(f"{folder}/unwritten", "run"),
    }
    found["unwritten"]._write = lambda task, rows: None
    return found


def measured(width: int, heads: int, rounds: int) -> None:
    model = Model(8, width, heads)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(0)
    steps, inside = defaultdict(list), defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        arms = monitors(folder)
        for round_ in range(rounds + 1):
            for name, monitor in arms.items():
                for step in range(round_ * BLOCK, (round_ + 1) * BLOCK if round_ else 2):
                    start = time.perf_counter()
                    tokens = torch.randint(0, VOCABULARY, (BATCH, CONTEXT + 1), generator=generator)
                    logits = model(tokens[:, :-1])
                    loss = functional.cross_entropy(logits.reshape(-1, VOCABULARY), tokens[:, 1:].reshape(-1))
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    trained = time.perf_counter()
                    if monitor:
                        monitor(model, step, loss=loss)
                    # The first round draws nulls and keeps the first copy: paid once, not counted.
                    if round_:
                        steps[name].append(time.perf_counter() - start)
                        inside[name] += time.perf_counter() - trained
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
    written, unwritten = (np.reshape(steps[name], (rounds, BLOCK)) for name in ("all", "unwritten"))
    rng = np.random.default_rng(0)
    drawn = [_growth(written[rows], unwritten[rows]) for rows in rng.integers(rounds, size=(1000, rounds))]
    low, high = np.quantile(drawn, [0.025, 0.975])
    print(
        f"  p99 step {1e3 * np.quantile(written, 0.99):.0f} ms, {1e3 * np.quantile(unwritten, 0.99):.0f} without writing: "
        f"{_growth(written, unwritten):+.1f} % ({low:+.1f} to {high:+.1f}; limit 1 %)"
    )


def _growth(written: np.ndarray, unwritten: np.ndarray) -> float:
    """Of the 99th percentile, in per cent."""
    return 100 * float(np.quantile(written, 0.99) / np.quantile(unwritten, 0.99) - 1)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    for width, heads in ((128, 4), (256, 4)):
        measured(width, heads, rounds)


if __name__ == "__main__":
    main()
