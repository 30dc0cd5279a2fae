"""The tables of a lab: their columns, keys and version. This file is the contract; docs/schema.md is made from it."""

from types import MappingProxyType

import polars as pl

VERSION = 1
"""Version of the tables. A lab with a higher version is refused; a lower one is read."""

_ADDRESS = {"run": pl.String, "step": pl.Int64, "site": pl.String, "variable": pl.String, "setting": pl.String}
_HONESTY = {"n": pl.Int64, "status": pl.String, "flags": pl.List(pl.String)}

TABLES = MappingProxyType(
    {
        "measurements": {
            **_ADDRESS,
            "value": pl.Float64,
            "stderr": pl.Float64,
            "low": pl.Float64,
            "high": pl.Float64,
            **_HONESTY,
            "fingerprint": pl.String,
        },
        "nulls": {
            **_ADDRESS,
            "null": pl.String,
            "median": pl.Float64,
            "low": pl.Float64,
            "high": pl.Float64,
            "p": pl.Float64,
            "draws": pl.Int64,
            "fingerprint": pl.String,
        },
        "curves": {
            **_ADDRESS,
            "x": pl.List(pl.Float64),
            "y": pl.List(pl.Float64),
            "low": pl.List(pl.Float64),
            "high": pl.List(pl.Float64),
            "null_low": pl.List(pl.Float64),
            "null_high": pl.List(pl.Float64),
            **_HONESTY,
            "fingerprint": pl.String,
        },
        "sites": {
            "run": pl.String,
            "step": pl.Int64,
            "site": pl.String,
            "kind": pl.String,
            "stack": pl.String,
            "layer": pl.Int64,
            "block": pl.String,
            "part": pl.String,
            "expert": pl.Int64,
            "head": pl.Int64,
            "rows": pl.Int64,
            "cols": pl.Int64,
            "dtype": pl.String,
            "raw_name": pl.String,
            "notes": pl.List(pl.String),
            "fingerprint": pl.String,
        },
        "runs": {
            "run": pl.String,
            "source": pl.String,
            "revision": pl.String,
            "architecture": pl.String,
            "configuration": pl.String,
            "text_hash": pl.String,
            "tokenizer_hash": pl.String,
            "code_version": pl.String,
            "dtype": pl.String,
            "device": pl.String,
            "threads": pl.Int64,
            "null_of": pl.String,
            "created": pl.Datetime("us", "UTC"),
        },
        "steps": {
            "run": pl.String,
            "step": pl.Int64,
            "tokens": pl.Int64,
            "time": pl.Float64,
            "loss": pl.Float64,
            "learning_rate": pl.Float64,
            "fingerprint": pl.String,
            "created": pl.Datetime("us", "UTC"),
        },
        "settings": {
            "setting": pl.String,
            "instrument": pl.String,
            "version": pl.Int64,
            "fields": pl.String,
            "default": pl.Boolean,
        },
        "variables": {
            "variable": pl.String,
            "instrument": pl.String,
            "symbol": pl.String,
            "unit": pl.String,
            "lower": pl.Float64,
            "upper": pl.Float64,
            "scale": pl.String,
            "definition": pl.String,
            "reference": pl.String,
            "aliases": pl.List(pl.String),
            "no_null": pl.String,
        },
        "null_draws": {
            "null": pl.String,
            "shape": pl.String,
            "variable": pl.String,
            "setting": pl.String,
            "draws": pl.List(pl.Float64),
        },
        "prompts": {
            "run": pl.String,
            "documents": pl.List(pl.Int64),
            "tokens": pl.List(pl.List(pl.String)),
            "created": pl.Datetime("us", "UTC"),
        },
        "members": {
            "run": pl.String,
            "seed": pl.Int64,
            "variable": pl.String,
            "value": pl.Float64,
            "fingerprint": pl.String,
            "created": pl.Datetime("us", "UTC"),
        },
        "neighbours": {
            "run": pl.String,
            "site": pl.String,
            "relation": pl.String,
            "rank": pl.Int64,
            "token": pl.String,
            "token_id": pl.Int64,
            "other": pl.String,
            "other_id": pl.Int64,
            "cosine": pl.Float64,
            "edge": pl.Float64,
            "null_edge": pl.Float64,
            "share": pl.Float64,
            "followers": pl.Int64,
            "created": pl.Datetime("us", "UTC"),
        },
        "alarms": {
            "run": pl.String,
            "step": pl.Int64,
            "site": pl.String,
            "alarm": pl.String,
            "variable": pl.String,
            "value": pl.Float64,
            "limit": pl.Float64,
            "sentence": pl.String,
            "created": pl.Datetime("us", "UTC"),
        },
        "verdicts": {
            "study": pl.String,
            "claim": pl.String,
            "part": pl.String,
            "runs": pl.List(pl.String),
            "statement": pl.String,
            "figures": pl.String,
            "rule": pl.String,
            "verdict": pl.String,
            "sentence": pl.String,
            "quantity": pl.String,
            "effect": pl.Float64,
            "low": pl.Float64,
            "high": pl.Float64,
            "n": pl.Int64,
            "against": pl.String,
            "reason": pl.String,
            "exact": pl.String,
            "created": pl.Datetime("us", "UTC"),
        },
    }
)

LEFT_OUT = "_left_out"
"""Ends the name under which `curves` holds a value with each group of prompts left out in turn (x: the group)."""

OF_A_SNAPSHOT = ("measurements", "nulls", "curves", "sites")
"""The tables a task writes, in reverse: the part file of `measurements`, last, says that the task is done."""

KEYS = MappingProxyType(
    {
        "measurements": tuple(_ADDRESS),
        "nulls": (*_ADDRESS, "null"),
        "curves": tuple(_ADDRESS),
        "sites": ("run", "step", "site"),
        "runs": ("run",),
        "steps": ("run", "step"),
        "settings": ("setting",),
        "variables": ("variable",),
        "null_draws": ("null", "shape", "variable", "setting"),
        "prompts": ("run",),
        "members": ("run", "seed", "variable"),
        "neighbours": ("run", "site", "relation", "token_id", "rank"),
        "alarms": ("run", "step", "site", "alarm"),
        "verdicts": ("study", "claim", "part", "runs"),
    }
)


def frame(table: str, rows: list[dict] | None = None) -> pl.DataFrame:
    """Rows of a table as a frame with exactly its columns. An unknown column raises polars' SchemaError."""
    columns = TABLES[table]
    if unknown := {key for row in rows or () for key in row} - set(columns):
        raise ValueError(f"table {table} has no column {', '.join(sorted(unknown))}")
    return pl.DataFrame({name: [row.get(name) for row in rows or ()] for name in columns}, schema=columns)
