"""Variants: what sets a setting apart from its instrument's default, in words. Table → mapping."""

import json

import polars as pl

from gedanken.analysis.wording import named, number


def variants(settings: pl.DataFrame) -> dict[str, str]:
    """setting → "z = 3, centred": the fields, and the version, in which it departs from the newest default.

    Empty for that default. Where a lab holds no default of an instrument, its settings are compared with the first.
    """
    found = {}
    for rows in settings.partition_by("instrument"):
        ordered = rows.sort(pl.col("default").fill_null(False), "version", "setting", descending=[True, True, False])
        fields = {
            row["setting"]: {**json.loads(row["fields"] or "{}"), "version": row["version"]}
            for row in ordered.iter_rows(named=True)
        }
        usual = next(iter(fields.values()))
        for setting, own in fields.items():
            found[setting] = ", ".join(_word(k, v) for k, v in own.items() if k not in usual or usual[k] != v)
    return found


def _word(key: str, value) -> str:
    name = named(key)
    if isinstance(value, bool):
        return name if value else f"not {name}"
    return f"{name} = {number(value) if isinstance(value, int | float) else value}"
