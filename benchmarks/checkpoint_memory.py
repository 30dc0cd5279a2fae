"""Peak memory of scanning a large checkpoint, one tensor at a time in each worker.

Writes synthetic sharded bfloat16 checkpoints (1 and 2 GB by default) into temporary folders, reads every tensor, then
scans them with all instruments, and prints the peak anonymous resident memory above the interpreter's, as a ratio to
the largest tensor in float64: at most 3 for each worker, whatever the number of tensors.

    python benchmarks/checkpoint_memory.py [GIGABYTES ...]
"""

import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from gedanken.experiment.scan import scan
from gedanken.sources.tensor_files.open import open_tensor_file

WORKERS = 2

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


def measured(work) -> tuple[int, float]:
    """Peak anonymous bytes and seconds of a piece of work."""
    memory = PeakMemory()
    memory.start()
    begin = time.perf_counter()
    work()
    return memory.above(), time.perf_counter() - begin


def read_all(folder: str) -> None:
    file = open_tensor_file(folder)
    for name in file.tensors:
        file.read(name)


def main() -> None:
    sizes = [float(word) for word in sys.argv[1:]] or [1.0, 2.0]
    with tempfile.TemporaryDirectory() as warm:
        scan({"w": np.eye(64)}, f"{warm}/lab", run_name="warm")
    for gigabytes in sizes:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as lab:
            write_checkpoint(Path(folder), int(gigabytes * 1e9))
            infos = open_tensor_file(folder).tensors.values()
            largest = 8 * max(info.size for info in infos)
            total = sum(info.nbytes for info in infos) / 1e9
            print(f"{len(infos)} tensors, {total:.2f} GB, largest {largest / 1e6:.0f} MB as float64")
            peak, seconds = measured(lambda folder=folder: read_all(folder))
            print(f"  read   {seconds:6.1f} s   peak {peak / 1e6:5.0f} MB = {peak / largest:.2f} × the largest")
            peak, seconds = measured(lambda folder=folder, lab=lab: scan(folder, lab, threads=WORKERS))
            each = peak / largest / WORKERS
            print(
                f"  scan   {seconds:6.1f} s   peak {peak / 1e6:5.0f} MB = {each:.2f} × for each of {WORKERS} workers (limit 3)"
            )


if __name__ == "__main__":
    main()
