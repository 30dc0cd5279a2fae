"""Peak memory of reading a large checkpoint, one tensor at a time.

Writes a synthetic sharded bfloat16 checkpoint (2 GB by default) into a temporary folder, reads every tensor, and prints
the peak anonymous resident memory above the interpreter's, as a ratio to the largest tensor in float64.

    python benchmarks/checkpoint_memory.py [GIGABYTES]
"""

import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from gedanken.sources.tensor_files.open import open_tensor_file

SHARD_BYTES = 500_000_000
COLUMNS = 2048
LAYER = {"attn.q_proj.weight": 2048, "attn.k_proj.weight": 512, "attn.v_proj.weight": 512, "attn.o_proj.weight": 2048}
LAYER |= {"mlp.gate_proj.weight": 8192, "mlp.up_proj.weight": 8192, "mlp.down_proj.weight": 8192}
EMBEDDING_ROWS = 32_000


def write_shard(path: Path, shapes: dict[str, tuple[int, int]], rng: np.random.Generator) -> None:
    """A safetensors file of bfloat16 noise: the upper halves of float32 values."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * shape[1]
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for rows, columns in shapes.values():
            for begin in range(0, rows, 1024):
                block = rng.standard_normal((min(1024, rows - begin), columns), np.float32)
                stream.write((block.view(np.uint32) >> 16).astype(np.uint16).tobytes())


def write_checkpoint(folder: Path, total: int) -> None:
    """Shards and index of a Llama-shaped model of about `total` bytes."""
    rng = np.random.default_rng(0)
    shapes = {"model.embed_tokens.weight": (EMBEDDING_ROWS, COLUMNS)}
    layer_bytes = 2 * COLUMNS * sum(LAYER.values())
    for layer in range(max(1, (total - 2 * COLUMNS * EMBEDDING_ROWS) // layer_bytes)):
        shapes |= {f"model.layers.{layer}.{name}": (rows, COLUMNS) for name, rows in LAYER.items()}
    weight_map, shard, size = {}, {}, 0
    for name, shape in [*shapes.items(), (None, (SHARD_BYTES, 1))]:
        if size + 2 * shape[0] * shape[1] > SHARD_BYTES:
            file = f"model-{len(set(weight_map.values())) + 1:05d}.safetensors"
            write_shard(folder / file, shard, rng)
            weight_map |= dict.fromkeys(shard, file)
            shard, size = {}, 0
        shard[name] = shape
        size += 2 * shape[0] * shape[1]
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def anonymous_bytes() -> int:
    """Resident memory of this process that no file backs (Linux)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


class PeakMemory(threading.Thread):
    """Samples anonymous memory every two milliseconds; `above` is the peak above what it was at the start."""

    def __init__(self):
        super().__init__(daemon=True)
        self.base, self.peak, self.running = anonymous_bytes(), 0, True

    def run(self) -> None:
        while self.running:
            self.peak = max(self.peak, anonymous_bytes())
            time.sleep(0.002)

    def above(self) -> int:
        self.running = False
        self.join()
        return self.peak - self.base


def main() -> None:
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(Path(folder), int(gigabytes * 1e9))
        memory = PeakMemory()
        memory.start()
        begin = time.perf_counter()
        file = open_tensor_file(folder)
        opened = time.perf_counter() - begin
        total = 0
        for name, info in file.tensors.items():
            file.read(name)
            total += info.nbytes
        seconds = time.perf_counter() - begin
        peak = memory.above()
    largest = 8 * max(info.size for info in file.tensors.values())
    print(f"{len(file.tensors)} tensors, {total / 1e9:.2f} GB, opened in {opened:.3f} s, read in {seconds:.1f} s")
    print(f"peak anonymous memory {peak / 1e6:.0f} MB = {peak / largest:.2f} × largest tensor in float64")


if __name__ == "__main__":
    main()
