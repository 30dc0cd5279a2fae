"""Readings, captures, snapshots and instruments as rows of the lab's tables."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from gedanken import __version__
from gedanken.captures.base import Capture
from gedanken.captures.of import skipped_of
from gedanken.instruments.base import Curve, Instrument, Reading, Value
from gedanken.measurements.schema import LEFT_OUT
from gedanken.sources.base import Snapshot, Source
from gedanken.sources.running import RunningSource
from gedanken.status import Flag, Refusal, Status


def add_reading(rows: dict[str, list[dict]], address: dict, instrument: Instrument, reading: Reading) -> None:
    """Append a reading's values to `measurements` and its curves to `curves`; refusals are rows like the others."""
    for variable in instrument.variables:
        result = reading[variable.name]
        row = address | {"variable": variable.name, "status": Status.ok, "flags": []}
        if isinstance(result, Refusal):
            row |= {"status": Status.refused, "flags": [str(result.flag)]}
        elif isinstance(result, Value):
            row |= {name: getattr(result, name) for name in ("value", "stderr", "low", "high", "n")}
            row["flags"] = [str(flag) for flag in result.flags]
            if result.left_out:
                rows["curves"].append(address | _left_out(variable.name, result))
        else:
            row |= _curve_columns(result)
        if variable.no_null and row["status"] == Status.ok:
            row["flags"] = [*row["flags"], str(Flag.no_null)]
        rows["curves" if variable.curve else "measurements"].append(row)


def _left_out(variable: str, value: Value) -> dict:
    """A value's `left_out` as a curve by group number, under the variable's name with LEFT_OUT behind it."""
    columns = {"x": [float(i) for i in range(len(value.left_out))], "y": list(value.left_out), "n": value.n}
    return {"variable": variable + LEFT_OUT, "status": Status.ok, "flags": []} | columns


def _curve_columns(curve: Curve) -> dict:
    lists = ("x", "y", "low", "high", "null_low", "null_high")
    columns = {name: np.asarray(getattr(curve, name)).tolist() for name in lists if getattr(curve, name) is not None}
    return columns | {"n": curve.n, "flags": [str(flag) for flag in curve.flags]}


def site_row(snapshot: Snapshot, capture: Capture) -> dict:
    site = capture.site
    return {
        "run": snapshot.run,
        "step": snapshot.step,
        "site": str(site),
        "kind": str(capture.kind),
        "stack": site.stack,
        "layer": site.layer,
        "block": site.block,
        "part": site.part,
        "expert": site.expert,
        "head": site.head,
        "rows": capture.rows,
        "cols": capture.cols,
        "dtype": capture.dtype,
        "raw_name": capture.raw_name,
        "notes": list(capture.notes),
        "fingerprint": snapshot.fingerprint,
    }


def skipped_rows(snapshot: Snapshot) -> list[dict]:
    """Rows of `sites` for the tensors that are not measured: kind `skipped`, the reason among the notes."""
    address = {"run": snapshot.run, "step": snapshot.step, "fingerprint": snapshot.fingerprint, "kind": "skipped"}
    return [
        address
        | {"site": f"other.{tensor.tensor}", "block": "other", "raw_name": tensor.tensor, "notes": [tensor.reason]}
        for tensor in skipped_of(snapshot)
    ]


def step_row(snapshot: Snapshot) -> dict:
    names = ("run", "step", "tokens", "time", "loss", "learning_rate", "fingerprint")
    return {name: getattr(snapshot, name) for name in names} | {"created": datetime.now(UTC)}


def run_row(source: Source, threads: int) -> dict:
    about = {"code_version": __version__, "device": "cpu", "threads": threads, "created": datetime.now(UTC)}
    return {"run": source.run} | about | source.describe()


def prompt_rows(source: Source) -> list[dict]:
    """The row of the table `prompts`: the text that stands beside the numbers of single tokens."""
    if not isinstance(source, RunningSource):
        return []
    documents, tokens = source.shown()
    return [{"run": source.run, "documents": documents, "tokens": tokens, "created": datetime.now(UTC)}]


def setting_row(instrument: Instrument) -> dict:
    return {
        "setting": instrument.setting,
        "instrument": instrument.name(),
        "version": instrument.version,
        "fields": instrument.fields,
        "default": instrument == type(instrument).standard()[0],
    }


def variable_rows(instrument: Instrument) -> Iterator[dict]:
    reference = instrument.paragraphs().get("Reference", "")
    for variable in instrument.variables:
        yield {
            "variable": variable.name,
            "instrument": instrument.name(),
            "symbol": variable.symbol,
            "unit": variable.unit,
            "lower": variable.bounds[0],
            "upper": variable.bounds[1],
            "scale": variable.scale,
            "definition": variable.definition,
            "reference": reference,
            "aliases": list(variable.aliases),
            "no_null": variable.no_null,
        }
