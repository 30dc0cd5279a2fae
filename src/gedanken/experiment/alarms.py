"""Watch: alarms of a training run, from the rows of its snapshots as they come.

    rank_collapse   stable rank below 2 of a matrix within a block
    invalid_fit     the rank exponent's R² below ½, and below the 2.5 % point of its own null
    dead_layer      after a fifth of training, no matrix of a layer has moved, and most of them look random
    spike           ln σ₁ grows faster than just before, by more than 0.1 and three times the largest change of its growth
                    over the last 20 snapshots
    bad_matrix      a matrix with a non-finite entry, or one that has become zero
    divergence      a loss that is not finite, or above that of the untrained model

The first three and a high loss need three successive snapshots. Thresholds: [@liu2026lifecycle] proposes a monitor and
prints no thresholds; these are ours.
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from gedanken.instruments.spectrum.rank_exponent import RankExponent
from gedanken.instruments.spectrum.spectral_norm import SpectralNorm
from gedanken.instruments.spectrum.stable_rank import StableRank
from gedanken.measurements.store import Lab
from gedanken.sources.base import Snapshot
from gedanken.status import Flag

COLLAPSED = 2.0
"""Stable rank of a matrix whose largest direction holds half its energy."""
SUCCESSIVE = 3
"""Snapshots in a row that an alarm needs unless said otherwise: one low value is noise."""
EXPLAINED = 0.5
"""R² below which a power law leaves more of the decay of ln σ unexplained than it explains: the exponent then describes one
direction above a flat rest (R² → 0.33 for 26 values, 0.15 for 102; ½ for 11), or a cliff.

The band of noise alone is no limit: a spectrum falls below it whenever its first directions leave the noise, as many do in
every run (R² down to 0.59 in healthy ones of `cpu8`, 0.58 in published models)."""
UNMOVED = 0.05
"""|ln(stable rank / its start)| of a matrix that has not changed."""
LATE = 0.2
"""Share of training after which a layer that has not moved is dead."""
LARGEST, HISTORY = 3.0, 20
"""A spike's change of growth over the largest of those before it, and the snapshots that must be known: 18 such changes.

The change of growth, because growth itself has a trend: it rises with the learning rate and falls when the front has passed,
and against its own past every rise is a spike (73 of them in a healthy run of 60 snapshots). Three times the largest of 20
is passed by one in 190,000 normal values; a run of 50 matrices and 400 snapshots has 20,000."""
MOVED = 0.1
"""Least change of ln σ₁ that is one: what the specification calls moved (spectral-lifecycle, §3.4)."""

_PRIMARY = {"rank_exponent": RankExponent(), "rank_exponent_fit": RankExponent()}
_PRIMARY |= {"stable_rank": StableRank(), "spectral_norm": SpectralNorm()}
READ = tuple(_PRIMARY)
"""The variables that alarms read."""
_SETTINGS = {name: instrument.setting for name, instrument in _PRIMARY.items()}


@dataclass
class _Past:
    """What is remembered of one matrix."""

    start: float | None = None
    """Its first stable rank."""
    largest: float | None = None
    """Its last ln σ₁."""
    growth: float | None = None
    """By what that had grown."""
    changes: deque = field(default_factory=lambda: deque(maxlen=HISTORY))
    """Sizes of the last changes of that growth."""


@dataclass(frozen=True)
class _Sight:
    """One matrix at one snapshot: values by variable, null bands (low, high), and the flags of a refused spectrum."""

    layer: str
    values: Mapping[str, float]
    bands: Mapping[str, tuple[float, float]]
    refusals: frozenset[str]


class Watch:
    """Remembers what alarms need. `steps`: the length of the training, without which no layer is called dead."""

    def __init__(self, steps: int | None = None):
        self.steps = steps
        self._past: dict[str, _Past] = defaultdict(_Past)
        self._streaks: dict[tuple[str, str], int] = {}
        self._first_loss: float | None = None

    def alarms(self, snapshot: Snapshot, rows: Mapping[str, Sequence[Mapping]]) -> list[dict[str, Any]]:
        """Rows of the table `alarms` that a snapshot raises. An alarm that goes on is raised once."""
        sights = _sights(rows)
        found = [*self._of_loss(snapshot.loss)]
        for site, sight in sights.items():
            found += self._of_matrix(site, sight)
        found += self._of_layers(snapshot.step or 0, sights)
        address = {"run": snapshot.run, "step": snapshot.step, "created": datetime.now(UTC)}
        return [address | alarm for alarm in found]

    def _of_loss(self, loss: float | None) -> Iterator[dict]:
        if loss is None:
            return
        if self._first_loss is None and math.isfinite(loss):
            self._first_loss = loss
        limit = self._first_loss
        if not math.isfinite(loss):
            yield from self._raise("", "divergence", True, 1, "loss", None, limit, "The loss is no longer finite.")
        else:
            said = f"The loss, {loss:.3f}, is above that of the untrained model, {limit:.3f}."
            yield from self._raise("", "divergence", loss > limit, SUCCESSIVE, "loss", loss, limit, said)

    def _of_matrix(self, site: str, sight: _Sight) -> Iterator[dict]:
        past, values = self._past[site], sight.values
        bad = Flag.non_finite in sight.refusals or (Flag.zero_matrix in sight.refusals and past.start is not None)
        said = f"{site} is zero or has a non-finite entry."
        yield from self._raise(site, "bad_matrix", bad, 1, "stable_rank", None, None, said)
        rank = values.get("stable_rank")
        if rank is None:
            return
        past.start = past.start or rank
        if sight.layer:
            said = f"The stable rank of {site} is {rank:.2f}: one direction holds half of its energy."
            yield from self._raise(
                site, "rank_collapse", rank < COLLAPSED, SUCCESSIVE, "stable_rank", rank, COLLAPSED, said
            )
            fit, band = values.get("rank_exponent_fit"), sight.bands.get("rank_exponent_fit")
            if fit is not None and band is not None:
                limit = min(EXPLAINED, band[0])
                said = f"A power law explains {100 * fit:.0f} % of the decay of {site}'s singular values: it is none."
                yield from self._raise(
                    site, "invalid_fit", fit < limit, SUCCESSIVE, "rank_exponent_fit", fit, limit, said
                )
        yield from self._spike(site, past, values.get("spectral_norm"))

    def _spike(self, site: str, past: _Past, norm: float | None) -> Iterator[dict]:
        if not norm:
            return
        now, before = math.log(norm), past.growth
        past.growth = None if past.largest is None else now - past.largest
        past.largest = now
        if before is None:
            return
        change, known = past.growth - before, past.changes
        if len(known) >= HISTORY - 2:
            limit = max(LARGEST * max(known), MOVED)
            grown, earlier = (100 * math.expm1(x) for x in (past.growth, before))
            said = f"The largest singular value of {site} grew by {grown:.1f} % at once, after {earlier:.1f} %."
            yield from self._raise(site, "spike", change > limit, 1, "spectral_norm", change, limit, said)
        known.append(abs(change))

    def _of_layers(self, step: int, sights: Mapping[str, _Sight]) -> Iterator[dict]:
        if not self.steps or step < LATE * self.steps:
            return
        layers: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
        for site, sight in sights.items():
            if sight.layer:
                layers[sight.layer].append(self._still(site, sight))
        for layer, found in layers.items():
            unmoved, random = zip(*found, strict=True)
            # Most, not all: of seven random matrices one lies outside its 95 % band in three cases of ten.
            dead = all(unmoved) and 2 * sum(random) > len(random)
            said = f"No matrix of {layer} has moved, and most do not differ from noise."
            yield from self._raise(layer, "dead_layer", dead, SUCCESSIVE, "rank_exponent", None, UNMOVED, said)

    def _still(self, site: str, sight: _Sight) -> tuple[bool, bool]:
        """Whether a matrix has its first stable rank, and a rank exponent like noise."""
        start, rank = self._past[site].start, sight.values.get("stable_rank")
        value, band = sight.values.get("rank_exponent"), sight.bands.get("rank_exponent")
        unmoved = start is not None and rank is not None and abs(math.log(rank / start)) < UNMOVED
        return unmoved, value is not None and band is not None and band[0] <= value <= band[1]

    def _raise(
        self, site: str, alarm: str, holds: bool, needed: int, variable: str, value, limit, sentence: str
    ) -> Iterator[dict]:
        """The alarm's row, the first time that `holds` has held `needed` times in a row."""
        count = self._streaks[site, alarm] = self._streaks.get((site, alarm), 0) + 1 if holds else 0
        if count == needed:
            yield {
                "site": site, "alarm": alarm, "variable": variable, "value": value, "limit": limit, "sentence": sentence
            }  # fmt: skip


def replay(
    lab: Lab, run: str, steps: int | None = None, *, watch: Watch | None = None, during: range | None = None
) -> list[dict[str, Any]]:
    """The alarms of a run that a lab holds, by the definitions of today, whichever were in force when it was measured.

    Rows of the table `alarms`, in the order of steps. steps: the length of the training (see `Watch`). watch: one that is
    to go on from there. during: these steps alone.
    """
    mine, watch = pl.col("run") == run, watch or Watch(steps)
    if during is not None:
        mine &= pl.col("step").is_between(during.start, during.stop, closed="left")
    tables = {
        "measurements": lab.measurements.filter(mine, pl.col("variable").is_in(READ)),
        "nulls": lab.nulls.filter(mine, pl.col("variable").is_in(READ)),
        "sites": lab.sites.filter(mine),
    }
    by_step = {name: frame.collect().partition_by("step", as_dict=True) for name, frame in tables.items()}
    found = []
    for step, loss in lab.steps.filter(mine).select("step", "loss").sort("step").collect().iter_rows():
        rows = {name: parts[step,].to_dicts() if (step,) in parts else [] for name, parts in by_step.items()}
        found += watch.alarms(Snapshot(run, None, "", step, loss=loss), rows)
    return found


def told(alarms: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each kind of alarm at each step, however many matrices raise it."""
    kinds: dict[tuple[int, str], list[str]] = defaultdict(list)
    for alarm in alarms:
        kinds[alarm["step"], alarm["alarm"]].append(alarm["sentence"])
    more = {count: f", as {count - 1} more do" if count > 1 else "" for count in map(len, kinds.values())}
    return [
        f"step {step}: {sentences[0]} ({alarm}{more[len(sentences)]})" for (step, alarm), sentences in kinds.items()
    ]


def _sights(rows: Mapping[str, Sequence[Mapping]]) -> dict[str, _Sight]:
    """What the alarms read of a snapshot's rows, by site."""
    layers = {
        row["site"]: f"{row['stack']}.layers.{row['layer']}" if row["stack"] else f"layers.{row['layer']}"
        for row in rows["sites"]
        if row["layer"] is not None
    }
    values, bands, refusals = defaultdict(dict), defaultdict(dict), defaultdict(set)
    for row in rows["measurements"]:
        if row["setting"] == _SETTINGS.get(row["variable"]):
            if row.get("value") is None:
                refusals[row["site"]].update(row["flags"])
            else:
                values[row["site"]][row["variable"]] = row["value"]
    for row in rows["nulls"]:
        if row["setting"] == _SETTINGS.get(row["variable"]):
            bands[row["site"]][row["variable"]] = row["low"], row["high"]
    return {
        site: _Sight(layers.get(site, ""), values[site], bands[site], frozenset(refusals[site]))
        for site in [*dict.fromkeys(row["site"] for row in rows["measurements"])]
    }
