"""Null bands of measured values: from closed forms, from draws kept by shape, and from draws of the data itself."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from gedanken.captures.base import Capture
from gedanken.captures.reduce import reduced
from gedanken.instruments.base import Curve, Instrument, NullBand, NullModel, Reading, Value
from gedanken.instruments.nulls import Draws
from gedanken.kinds import Kind, Spectrum
from gedanken.measurements.store import Lab, digest
from gedanken.status import Flag, Refusal

CHUNK = 25
"""Draws of one shape that a worker makes at a time, so that a few shapes keep all cores busy."""


@dataclass(frozen=True)
class Request:
    """Null draws to make: `count` draws of a null like `like` (only its shape counts), read by these instruments."""

    null: NullModel
    like: Spectrum
    instruments: tuple[Instrument, ...]
    count: int

    @property
    def shape(self) -> str:
        return self.null.shape_key(self.like)

    @property
    def settings(self) -> frozenset[str]:
        return frozenset(instrument.setting for instrument in self.instruments)


def requests(capture: Capture, instruments: Iterable[Instrument], count: int) -> Iterator[Request]:
    """The draws by shape that measuring a capture will need."""
    by_null = defaultdict(list)
    for instrument in instruments:
        if count and instrument.null_model is not None:
            by_null[instrument.null_model].append(instrument)
    size = capture.rank_bound or min(capture.rows, capture.cols)
    like = Spectrum(np.empty(size), capture.rows, capture.cols, rank_bound=capture.rank_bound)
    for null, readers in by_null.items():
        yield Request(null, like, tuple(readers), count)


def missing(wanted: Iterable[Request], lab: Lab) -> list[Request]:
    """The requests, one for each null and shape, that the lab cannot serve yet."""
    kept = lab.null_draws.select("null", "shape", "setting", pl.col("draws").list.len()).unique().collect()
    have = {(null, shape, setting): draws for null, shape, setting, draws in kept.iter_rows()}
    found: dict[tuple[str, str], Request] = {}
    for request in wanted:
        place = request.null.name, request.shape
        lacking = [i for i in request.instruments if have.get((*place, i.setting), 0) < request.count]
        if lacking and min(request.like.rows, request.like.cols) > 0:
            found[place] = Request(request.null, request.like, tuple(lacking), request.count)
    return list(found.values())


def chunks(request: Request) -> list[tuple[Request, int]]:
    """The request cut into pieces of at most CHUNK draws, numbered."""
    starts = range(0, request.count, CHUNK)
    cut = [(min(CHUNK, request.count - start), number) for number, start in enumerate(starts)]
    return [(Request(request.null, request.like, request.instruments, count), number) for count, number in cut]


def draw(request: Request, number: int = 0) -> dict[tuple[str, str], list[float]]:
    """Values of (variable, setting) on the request's draws; draws on which an instrument refuses are left out."""
    rng = np.random.default_rng(int(digest(request.null.name, request.shape, number, size=8), 16))
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for array in request.null.draws(request.like, request.count, rng):
        _read(array, request.instruments, rng, values)
    return values


def _read(array, instruments: Iterable[Instrument], rng, values: dict[tuple[str, str], list[float]]) -> None:
    for instrument in instruments:
        try:
            reading = instrument.measure(array, rng)
        except Refusal:
            continue
        for name, result in reading.items():
            if isinstance(result, Value):
                values[name, instrument.setting].append(result.value)


def keep(request: Request, pieces: Sequence[dict[tuple[str, str], list[float]]], lab: Lab) -> None:
    """Write the draws of one request, made in pieces, to the lab."""
    rows = [
        {"null": request.null.name, "shape": request.shape, "variable": name, "setting": setting, "draws": draws}
        for name, setting in dict.fromkeys(place for piece in pieces for place in piece)
        for draws in [[value for piece in pieces for value in piece.get((name, setting), ())]]
    ]
    lab.write("null_draws", rows, digest(request.null.name, request.shape, request.count, *sorted(request.settings)))


class Kept:
    """Null draws by shape, from the lab; drawn in place where it has none (or where there is no lab)."""

    def __init__(self, lab: Lab | None = None):
        self.lab = lab
        self._found: dict[tuple[str, str], dict[tuple[str, str], Draws]] = {}
        self._drawn: set[tuple[str, str, str]] = set()

    def __reduce__(self):
        return type(self), (self.lab,)

    def draws(self, instrument: Instrument, array: Spectrum, count: int) -> dict[str, Draws]:
        """Variable → its values on the draws, which have Frobenius norm 1."""
        null = instrument.null_model
        place = null.name, null.shape_key(array)
        if place not in self._found:
            self._found[place] = self._from_lab(*place)
        found = self._found[place]
        names = [v.name for v in instrument.variables if not v.no_null and not v.curve]
        # A variable that is refused on every draw has none; asking once is enough.
        asked = (*place, instrument.setting)
        if asked not in self._drawn and not all((name, instrument.setting) in found for name in names):
            self._drawn.add(asked)
            drawn = draw(Request(null, array, (instrument,), count))
            found.update({key: Draws.of(values) for key, values in drawn.items()})
        return {name: found[name, instrument.setting] for name in names if (name, instrument.setting) in found}

    def _from_lab(self, null: str, shape: str) -> dict[tuple[str, str], Draws]:
        if self.lab is None:
            return {}
        rows = self.lab.null_draws.filter((pl.col("null") == null) & (pl.col("shape") == shape)).collect()
        rows = rows.filter(pl.col("draws").list.len() > 0)
        return {(row["variable"], row["setting"]): Draws.of(row["draws"]) for row in rows.iter_rows(named=True)}


class Shuffled:
    """Values on draws of a site's own data (Instrument.data_null), each draw reduced and read once by all."""

    def __init__(self, capture: Capture, raw: Callable, instruments: Iterable[Instrument], count: int, rng):
        self._capture, self._raw, self._count, self._rng = capture, raw, count, rng
        drawn = [instrument for instrument in instruments if count and instrument.data_null is not None]
        if capture.kind in (Kind.stream, Kind.moments):
            # Sums have no entries that could be shuffled: surrogates of a covariance are drawn by instruments of streams.
            drawn = [instrument for instrument in drawn if instrument.reads != Kind.spectrum]
        self._instruments = drawn

    @cached_property
    def _values(self) -> dict[tuple[str, str], list[float]]:
        values: dict[tuple[str, str], list[float]] = defaultdict(list)
        for null in {instrument.data_null for instrument in self._instruments}:
            readers = [instrument for instrument in self._instruments if instrument.data_null == null]
            for raw in null.draws(self._drawn_from(readers[0].reads), self._count, self._rng):
                for kind, preparation in {(reader.reads, reader.preparation) for reader in readers}:
                    same = [r for r in readers if (r.reads, r.preparation) == (kind, preparation)]
                    _read(self._reduced(raw, kind, preparation), same, self._rng, values)
        return values

    def _drawn_from(self, kind: Kind):
        """The raw object; of a stream, the points that instruments of points and moments read."""
        raw = self._raw()
        return reduced(raw, Kind.points) if kind in (Kind.points, Kind.moments) else raw

    def _reduced(self, raw, kind: Kind, preparation: str):
        return reduced(raw, kind, preparation, self._capture.notes)

    def draws(self, instrument: Instrument) -> dict[str, Draws]:
        """Variable → its values on the draws."""
        if instrument not in self._instruments:
            return {}
        return {name: Draws.of(v) for (name, setting), v in self._values.items() if setting == instrument.setting}


def bands(
    instrument: Instrument, array, reading: Reading, kept: Kept, count: int, shuffled: Shuffled
) -> Iterator[tuple[str, dict]]:
    """(variable, columns of the `nulls` table) for every value that stands and has a null."""
    standing = {v.name: v for v in instrument.variables if not v.no_null and _comparable(reading[v.name])}
    if not standing:
        return
    if count:
        closed = instrument.null(array, reading)
        yield from ((name, _columns(band)) for name, band in closed.items() if name in standing)
    if count and instrument.null_model is not None:
        norm = instrument.null_model.norm(array)
        for name, draws in kept.draws(instrument, array, count).items():
            scale = norm ** standing[name].degree if name in standing else 0.0
            if name not in closed and scale > 0:
                yield name, _columns(draws.band(reading[name].value, instrument.null_model.name, scale))
    for name, draws in shuffled.draws(instrument).items():
        if name in standing:
            yield name, _columns(draws.band(reading[name].value, instrument.data_null.name))


def _comparable(result: Value | Curve | Refusal) -> bool:
    return isinstance(result, Value) and Flag.null_is_exact not in result.flags


def _columns(band: NullBand) -> dict:
    """As `asdict`, which copies deeply and takes ten times as long."""
    return {name: getattr(band, name) for name in NullBand.__slots__}
