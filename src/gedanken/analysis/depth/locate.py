"""Where a profile changes: five estimators of one depth with their intervals, and whether they agree.

Places are in blocks from 0 to L, as states are: a jump inside block l is at l + ½, and γ = place/L.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gedanken.analysis.depth import breaks, fits
from gedanken.analysis.depth.series import Series
from gedanken.status import Flag, Refusal

LEVEL = (0.025, 0.975)
"""Percentiles of replicates that bound an interval (latent-object-permanence, §3.2)."""

SMALLEST = 8
"""States that the fits need: two more than a logistic has parameters, at either end of a change."""

KERNEL = 201
"""Profiles on which the kernel estimator, the only one not vectorised, is run."""

HALF_WIDTH = 0.03
"""Widest half-interval with which a target depth can be met (§3.2)."""


@dataclass(frozen=True)
class Place:
    """A depth in blocks, with the interval of its replicates widened by half a block to either side, and as γ."""

    estimator: str
    block: float
    low: float
    high: float
    blocks: int
    tied: bool = False

    @property
    def depth(self) -> float:
        """γ = place/L."""
        return self.block / self.blocks

    @property
    def conventions(self) -> dict[str, float]:
        """γ by the two other ways to count, for a jump in block l: l/(L−1) and (l+1)/L."""
        return {"l/(L-1)": (self.block - 0.5) / (self.blocks - 1), "(l+1)/L": (self.block + 0.5) / self.blocks}

    def meets(self, target: float) -> bool:
        """Whether `target` (a relative depth) lies in the interval, and that is narrow enough to say so."""
        low, high = self.low / self.blocks, self.high / self.blocks
        return low <= target <= high and (high - low) / 2 <= HALF_WIDTH


@dataclass(frozen=True)
class Located:
    """The five places of a profile: `increment`, `logistic`, `levels`, `kernel`, `kink`; and all further level changes.

    `agree`: the first three lie within one layer; if not, the profile has no located depth.
    """

    places: dict[str, Place]
    levels: tuple[float, ...]
    joint: bool

    @property
    def agree(self) -> bool:
        found = [self.places[name].block for name in ("increment", "logistic", "levels")]
        return max(found) - min(found) <= 1

    @property
    def place(self) -> Place:
        """That of the logistic. Raises Refusal(no_agreement) without agreement."""
        if not self.agree:
            raise Refusal(Flag.no_agreement)
        return self.places["logistic"]


def interior(series: Series, ends: bool) -> Float[np.ndarray, " state"]:
    """States that are fitted: 1 … L−2, because both ends always jump, or all with `ends`. Raises Refusal if too few."""
    states = np.arange(series.blocks + 1.0) if ends else np.arange(1.0, series.blocks - 1)
    if len(states) < SMALLEST:
        raise Refusal(Flag.too_small, f"{len(states)} states, where {SMALLEST} are needed")
    return states


def locate(series: Series, *, ends: bool = False) -> Located:
    """All estimators on a series; with `ends` also its first and last states. Raises Refusal for too few states."""
    states = interior(series, ends)
    chosen = states.astype(int)
    profiles = np.concatenate([series.values[None], series.replicates])[:, chosen]
    if not np.isfinite(profiles).all():
        raise Refusal(Flag.non_finite)
    if np.ptp(profiles[0]) == 0:
        raise Refusal(Flag.constant, "the profile is flat")
    moves = np.abs(np.diff(profiles, axis=1))
    largest = moves.argmax(axis=1)
    # argmax takes the first, the shallower of two that tie.
    tied = bool(np.count_nonzero(moves[0] == moves[0].max()) > 1)
    found = {
        "increment": states[largest] + 0.5,
        "logistic": fits.logistic(profiles, states).centre,
        # A new level from state b on is a jump in block b − 1.
        "levels": states[fits.two_levels(profiles)[0]] - 0.5,
        "kernel": np.array([states[breaks.kernel(profile)] - 0.5 for profile in profiles[:KERNEL]]),
        "kink": fits.kink(profiles, states)[0],
    }
    places = {name: _place(name, at, series.blocks, tied and name == "increment") for name, at in found.items()}
    return Located(places, tuple(states[b] - 0.5 for b in breaks.levels(profiles[0])), series.joint)


def _place(name: str, found: Float[np.ndarray, " profile"], blocks: int, tied: bool) -> Place:
    low, high = np.quantile(found[1:], LEVEL) if len(found) > 1 else (found[0], found[0])
    # Depth comes in whole blocks: half of one to either side.
    return Place(name, float(found[0]), float(low) - 0.5, float(high) + 0.5, blocks, tied)
