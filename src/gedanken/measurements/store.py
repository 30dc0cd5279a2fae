"""Lab: a folder (or fsspec URL) of Parquet part files that many writers may fill without talking to each other.

A part is written under a temporary name and renamed, so it is whole or absent. `compact` merges parts into one that
lists their keys; readers drop a part whose key a merged part lists, so a kill between writing and deleting is harmless.
"""

import hashlib
import io
import json
import os
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import fsspec
import polars as pl

from gedanken.measurements import schema
from gedanken.status import Failure

_MERGED = "merged-"
_ORDER = ("variable", "run", "site", "step")
"""Merged parts are sorted this way, so that one variable of all steps is a few consecutive row groups."""

LISTINGS = 10
"""Times that parts are listed at most, where others keep replacing them."""


def digest(*texts: object, size: int = 12) -> str:
    """Hash of any printable values, as hexadecimal of 2·size digits."""
    return hashlib.blake2b("\0".join(map(str, texts)).encode(), digest_size=size).hexdigest()


def part_key(run: str, *rest: object) -> str:
    """Name of a part: it begins with its run, so that a run's parts can be found by name."""
    return f"{digest(run, size=4)}-{digest(run, *rest)}"


def write_whole(path: Path, content: bytes) -> None:
    """Write a local file under a temporary name, then rename it: it is there whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class Lab:
    """A folder of tables. `lab.measurements`, `lab.nulls` … are lazy frames with the columns of schema.TABLES.

    path: a local folder or any fsspec URL; it is created at the first write.
    Raises Failure if the folder was written by a newer version or is not a lab.
    """

    def __init__(self, path: str | os.PathLike = "lab"):
        self.path = os.fspath(path)
        self._fs, self._root = fsspec.core.url_to_fs(self.path)
        self._local = "file" in (self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,))
        self._merged: dict[str, dict] = {}
        self._check_version()

    def __reduce__(self):
        return type(self), (self.path,)

    def __repr__(self) -> str:
        return f"Lab({self.path!r})"

    def _repr_html_(self) -> str:
        return self.runs.collect()._repr_html_()

    # reading

    measurements = property(lambda self: self.table("measurements"))
    nulls = property(lambda self: self.table("nulls"))
    curves = property(lambda self: self.table("curves"))
    sites = property(lambda self: self.table("sites"))
    runs = property(lambda self: self.table("runs"))
    steps = property(lambda self: self.table("steps"))
    settings = property(lambda self: self.table("settings"))
    variables = property(lambda self: self.table("variables"))
    null_draws = property(lambda self: self.table("null_draws"))
    prompts = property(lambda self: self.table("prompts"))
    members = property(lambda self: self.table("members"))
    neighbours = property(lambda self: self.table("neighbours"))
    alarms = property(lambda self: self.table("alarms"))
    verdicts = property(lambda self: self.table("verdicts"))

    def table(self, name: str) -> pl.LazyFrame:
        """One table, lazily: every live part, the current snapshot of each (run, step), the newest row of each key (of null
        draws, the longest)."""
        raw, merged = self._live(name)
        frame = self._rows(raw, merged, name)
        if name in schema.OF_A_SNAPSHOT:
            current = self.table("steps").select("run", "step", "fingerprint")
            return frame.join(current, on=["run", "step", "fingerprint"], how="semi", nulls_equal=True)
        if "created" in schema.TABLES[name]:
            frame = frame.sort("created")
        if name == "null_draws":
            frame = frame.sort(pl.col("draws").list.len())
        return frame.unique(subset=list(schema.KEYS[name]), keep="last", maintain_order=True)

    def done(self) -> frozenset[str]:
        """Keys of the tasks whose measurements are all here."""
        raw, merged = self._live("measurements")
        keys = {Path(name).stem for name in raw}
        return frozenset(keys.union(*(self._about(name)["keys"] for name in merged)))

    # writing

    def write(self, table: str, rows: pl.DataFrame | list[dict], key: str) -> None:
        """Add one part, whole or not at all. Raises Failure if the disk is full or the folder cannot be written."""
        frame = rows if isinstance(rows, pl.DataFrame) else schema.frame(table, rows)
        self._put(f"{table}/{key}.parquet", frame, {})

    def record(self, table: str, rows: list[dict]) -> None:
        """Add rows of a table that is not of a snapshot (runs, settings …); its part is named by its content."""
        if rows:
            frame = schema.frame(table, rows)
            key = digest(frame.write_json())
            run = rows[0].get("run")
            self.write(table, frame, f"{digest(run, size=4)}-{key}" if run else key)

    def compact(self) -> None:
        """Merge the parts of every table into one each. Safe to kill, and to run beside writers and another compaction."""
        for table in schema.TABLES:
            raw, merged = self._live(table)
            if raw or len(merged) > 1:
                # Parts that vanish are being merged by somebody else.
                with suppress(FileNotFoundError):
                    self._rewrite(table, lambda frame: frame, keep=lambda key: True)

    def delete(self, run: str) -> None:
        """Forget a run. Raises Failure if there is none of that name."""
        self.require(run)
        self._change_run(run, lambda frame: frame.filter(pl.col("run") != run))

    def rename(self, run: str, new: str) -> None:
        """Give a run another name. Raises Failure if there is none of that name, or if the new one is taken."""
        self.require(run)
        if new in self._names():
            raise Failure(f"A run named {new!r} is already in {self.path}.", f"gedanken runs list --lab {self.path}")
        self._change_run(run, lambda frame: frame.with_columns(pl.col("run").replace(run, new)))

    def merge(self, other: "Lab") -> None:
        """Copy every part of another lab into this one."""
        for name in schema.TABLES:
            raw, merged = other._live(name)
            for path in [*raw, *merged]:
                self._put_bytes(f"{name}/{Path(path).name}", other._fs.cat_file(path))

    # parts

    def _check_version(self) -> None:
        about = f"{self._root}/lab.json"
        if not self._fs.exists(about):
            return
        try:
            version = json.loads(self._fs.cat_file(about))["version"]
        except (ValueError, KeyError, TypeError) as broken:
            raise Failure(f"{self.path}/lab.json is not a lab's description ({broken}).") from broken
        if version > schema.VERSION:
            raise Failure(
                f"The lab {self.path} was written by a newer gedanken (tables version {version}, this one reads "
                f"{schema.VERSION}).",
                "pip install --upgrade gedanken",
            )

    def _parts(self, table: str) -> list[str]:
        self._fs.invalidate_cache()
        try:
            return sorted(p for p in self._fs.ls(f"{self._root}/{table}", detail=False) if p.endswith(".parquet"))
        except FileNotFoundError:
            return []

    def _live(self, table: str) -> tuple[list[str], list[str]]:
        """Paths of the raw and the merged parts that count. Listed anew if one is replaced meanwhile."""
        for _ in range(LISTINGS):
            with suppress(FileNotFoundError):
                return self._listed(table)
        return self._listed(table)

    def _listed(self, table: str) -> tuple[list[str], list[str]]:
        parts = self._parts(table)
        merged = [p for p in parts if Path(p).name.startswith(_MERGED)]
        replaced = {name for p in merged for name in self._about(p)["replaces"]}
        merged = [p for p in merged if Path(p).name not in replaced]
        listed = {key for p in merged for key in self._about(p)["keys"]}
        raw = [p for p in parts if not Path(p).name.startswith(_MERGED) and Path(p).stem not in listed]
        return raw, merged

    def _about(self, merged: str) -> dict:
        """What a merged part says of itself: the keys it holds, the merged parts it replaces."""
        if merged not in self._merged:
            with self._fs.open(merged) as file:
                text = pl.read_parquet_metadata(file)["gedanken"]
            self._merged[merged] = json.loads(text)
        return self._merged[merged]

    def _overlap(self, merged: Iterable[str]) -> bool:
        """Whether two merged parts hold one key (labs merged after a common scan, or compacted by two at once)."""
        keys = [key for name in merged for key in self._about(name)["keys"]]
        return len(set(keys)) < len(keys)

    def _rows(self, raw: list[str], merged: list[str], table: str) -> pl.LazyFrame:
        """All rows of the parts, those of a snapshot once."""
        frame = self._scan([*merged, *raw], table)
        if table in schema.OF_A_SNAPSHOT and self._overlap(merged):
            return frame.unique(subset=[*schema.KEYS[table], "fingerprint"], keep="any")
        return frame

    def _scan(self, paths: list[str], table: str) -> pl.LazyFrame:
        empty = schema.frame(table).lazy()
        if not paths:
            return empty
        if self._local:
            return pl.scan_parquet(paths, schema=schema.TABLES[table], missing_columns="insert", glob=False)
        frames = [pl.read_parquet(io.BytesIO(self._fs.cat_file(path))) for path in paths]
        return pl.concat([empty, *(frame.lazy() for frame in frames)], how="diagonal")

    def _change_run(self, run: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        """Apply `change` to every table that has runs, `runs` last: until then a repeated call finishes the work."""
        self.compact()
        prefix = digest(run, size=4)
        tables = [name for name, columns in schema.TABLES.items() if columns.get("run") and name != "runs"]
        for table in [*tables, "runs"]:
            if any(self._live(table)):
                self._rewrite(table, change, keep=lambda key: not key.startswith(prefix))

    def _rewrite(self, table: str, change: Callable[[pl.DataFrame], pl.DataFrame], keep: Callable[[str], bool]) -> None:
        raw, merged = self._live(table)
        frame = change(self._rows(raw, merged, table).collect())
        keys = {Path(p).stem for p in raw}.union(*(self._about(p)["keys"] for p in merged))
        about = {"keys": sorted(filter(keep, keys)), "replaces": [Path(p).name for p in merged]}
        order = [name for name in _ORDER if name in frame.columns]
        frame = frame.sort(order) if order else frame
        self._put(f"{table}/{_MERGED}{uuid.uuid4().hex}.parquet", frame, {"gedanken": json.dumps(about)})
        for path in [*raw, *merged]:
            with suppress(FileNotFoundError):
                self._fs.rm_file(path)

    def _put(self, name: str, frame: pl.DataFrame, metadata: dict[str, str]) -> None:
        buffer = io.BytesIO()
        frame.write_parquet(buffer, metadata=metadata, row_group_size=32_768)
        self._put_bytes(name, buffer.getvalue())

    def _put_bytes(self, name: str, content: bytes) -> None:
        try:
            if not self._fs.exists(f"{self._root}/lab.json"):
                self._replace("lab.json", json.dumps({"version": schema.VERSION}).encode())
            self._replace(name, content)
        except OSError as broken:
            raise Failure(
                f"Could not write to the lab {self.path}: {broken.strerror or broken}. What was measured is kept.",
                "free some space or name another folder with --lab, then run the same command again",
            ) from broken

    def _replace(self, name: str, content: bytes) -> None:
        """Put a file in place whole: by rename on a disk, as one object elsewhere."""
        path = f"{self._root}/{name}"
        if self._local:
            write_whole(Path(path), content)
        else:
            self._fs.pipe_file(path, content)

    # names

    def _names(self) -> list[str]:
        return self.runs.select("run").collect()["run"].to_list()

    def require(self, run: str) -> None:
        """Raise Failure, naming the runs there are, if there is none called `run`."""
        names = self._names()
        if run not in names:
            raise Failure(f"There is no run {run!r} in {self.path}; it holds {', '.join(names) or 'none'}.")
