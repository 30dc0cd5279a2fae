"""Twelve published models: width, overlap, class and capacity, as printed [@guha2026representational].

Rows and tying of the table are from the models' configurations (the paper prints three of them). Many printed ε lie on
a grid of 2⁻¹⁵, the rounding of bfloat16 sums: another computation may differ by 2·10⁻⁴. `excluded` are those that the
paper leaves out of its plot of ε against width (all Gemma models, and one outlier that is not among the twelve).
"""

import polars as pl

_ROWS = [
    # model, family, d, V, tied, ε, printed capacity (None: indeterminate)
    ("Llama 2 7B", "Llama", 4096, 32_000, False, 0.06450, 3.99e7),
    ("Llama 3 8B", "Llama", 4096, 128_256, False, 0.05945, 1.42e7),
    ("Llama 3.1 70B", "Llama", 8192, 128_256, False, 0.04413, 4.39e7),
    ("Qwen 2.5 0.5B", "Qwen", 896, 151_936, True, 0.36035, None),
    ("Qwen 2.5 7B", "Qwen", 3584, 152_064, False, 0.07501, 1.20e8),
    ("Gemma 3 270M", "Gemma", 640, 262_144, True, 0.41554, None),
    ("Gemma 3 12B", "Gemma", 3840, 262_208, True, 0.08635, 2.51e9),
    ("Phi 2", "Phi", 2560, 51_200, False, 0.05497, 4.57e5),
    ("TinyLlama 1.1B", "Llama", 2048, 32_000, False, 0.06329, 4.81e5),
    ("DeepSeek R1", "DeepSeek", 7168, 129_280, False, 0.05917, 1.16e9),
    ("Qwen 3 0.6B", "Qwen", 1024, 151_936, True, 0.25204, None),
    ("GPT OSS 20B", "GPT OSS", 2880, 201_088, False, 0.28120, None),
]

SCHEMA = {
    "model": pl.String, "family": pl.String, "d": pl.Int64, "V": pl.Int64, "tied": pl.Boolean, "epsilon": pl.Float64,
    "low": pl.Float64, "high": pl.Float64, "excluded": pl.Boolean,
}  # fmt: skip
"""Columns of a frame of models. `low` and `high` are the 95 % interval of ε, null where it is not known."""

TOLERANCE = 2e-4
"""How far a published ε may be from a recomputed one, absolutely."""


def published_models() -> pl.DataFrame:
    """The twelve rows, with columns of SCHEMA and the printed `capacity`. Their intervals are ε ± TOLERANCE."""
    names = ("model", "family", "d", "V", "tied", "epsilon", "capacity")
    table = pl.DataFrame(_ROWS, schema=names, orient="row").with_columns(
        low=pl.col("epsilon") - TOLERANCE, high=pl.col("epsilon") + TOLERANCE, excluded=pl.col("family") == "Gemma"
    )
    return table.select(*(pl.col(name).cast(kind) for name, kind in SCHEMA.items()), "capacity")
