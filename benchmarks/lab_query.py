"""One variable over all steps of a compacted lab of 150 checkpoints × 300 sites × 20 variables: at most 100 ms, warm.

    python benchmarks/lab_query.py

Beside it the bare read of the same file's two columns, which is the bound.
"""

import tempfile
import time
from pathlib import Path

import polars as pl

from gedanken.measurements.store import Lab, part_key

STEPS, SITES, VARIABLES, RUNS = 150, 300, 20, 7


def synthetic(folder: str) -> Lab:
    lab = Lab(folder)
    sites = [
        f"layers.{layer}.attn.W_{part}" for layer in range(SITES // 6) for part in ("Q", "K", "V", "O", "in", "out")
    ]
    axes = [("step", range(STEPS)), ("site", sites), ("variable", [f"variable_{i}" for i in range(VARIABLES)])]
    rows = pl.DataFrame({"run": ["ladder"]})
    for name, values in axes:
        rows = rows.join(pl.DataFrame({name: values}), how="cross")
    value = (pl.int_range(pl.len()) * 2654435761 % 1_000_003).cast(pl.Float64)
    rows = rows.with_columns(setting=pl.lit("s"), value=value, status=pl.lit("ok"), fingerprint=pl.lit("f"))
    lab.write("measurements", rows.with_columns(pl.col("step").cast(pl.Int64)), part_key("ladder", 0))
    lab.record("steps", [{"run": "ladder", "step": s, "fingerprint": "f", "created": 0} for s in range(STEPS)])
    lab.compact()
    return lab


def fastest(work) -> float:
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lab = synthetic(folder)
        part = next((Path(folder) / "measurements").iterdir())
        wanted = pl.col("variable") == "variable_7"
        found = lab.measurements.filter(wanted).collect()
        ours = fastest(lambda: lab.measurements.filter(wanted).select("step", "site", "value").collect())
        bare = fastest(lambda: pl.scan_parquet(part).filter(wanted).select("step", "site", "value").collect())
        print(
            f"{STEPS * SITES * VARIABLES} rows, {part.stat().st_size / 2**20:.1f} MB; {found.height} rows of one variable"
        )
        print(f"lab.measurements  {1e3 * ours:6.1f} ms (limit 100)")
        print(f"bare file scan    {1e3 * bare:6.1f} ms   ratio {ours / bare:.2f}")


if __name__ == "__main__":
    main()
