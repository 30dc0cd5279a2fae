"""Clusters followed through the states of a trajectory by the points they hold: births, merges, lifetimes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from gedanken.instruments.points._linkage import counted, linked


@dataclass
class Track:
    """One cluster from state `first` to state `last`.

    `merged_into`: the track that took it over at the next state, None if it lives to the end of the record (`ended`
    False) or fell apart. `members` are its points at `last`.
    """

    first: int
    last: int
    members: Int[np.ndarray, " m"]
    merged_into: int | None = None
    ended: bool = False


@dataclass(frozen=True)
class Tracks:
    """`tracks` in order of birth; `counts[i]` = clusters at state i."""

    tracks: list[Track]
    counts: Int[np.ndarray, " state"]

    @property
    def merges(self) -> list[int]:
        """The state before which each merge happened, ascending."""
        return sorted(track.last + 1 for track in self.tracks if track.merged_into is not None)


def follow(states: list[Float[np.ndarray, "n d"]], angle: float, share: float) -> Tracks:
    """Single linkage at each state (see points/_linkage.py), clusters of at least `share` of the points joined to tracks.

    A cluster goes on as that which holds most of its points, if it holds more than half of them. Where several go on as
    the same, they have merged, and the one that brings most points keeps its track.
    """
    tracks: list[Track] = []
    living: dict[int, int] = {}  # track → its group at the state before
    counts = np.zeros(len(states), int)
    before = np.empty(0, int)
    for state, unit in enumerate(states):
        labels = linked(unit, angle)
        groups = counted(labels, share)
        counts[state] = len(groups)
        heirs = _heirs(tracks, living, before, labels, groups)
        living = {}
        for group in groups:
            came = sorted((track for track, heir in heirs.items() if heir[0] == group), key=lambda t: -heirs[t][1])
            if not came:
                tracks.append(Track(state, state, np.flatnonzero(labels == group)))
                came = [len(tracks) - 1]
            kept = came[0]
            tracks[kept].last, tracks[kept].members = state, np.flatnonzero(labels == group)
            living[kept] = group
            for lost in came[1:]:
                tracks[lost].merged_into, tracks[lost].ended = kept, True
        for track in heirs:
            if track not in living:
                tracks[track].ended = True
        before = labels
    return Tracks(tracks, counts)


def _heirs(tracks, living, before, labels, groups) -> dict[int, tuple[int, int]]:
    """Living track → (group that holds most of its points, how many); group −1 if it holds half of them or fewer."""
    found = {}
    for track, group in living.items():
        now, sizes = np.unique(labels[before == group], return_counts=True)
        largest = int(sizes.argmax())
        whole = 2 * int(sizes[largest]) > int(sizes.sum()) and int(now[largest]) in groups
        found[track] = (int(now[largest]) if whole else -1, int(sizes[largest]))
    return found


def longest_stretch(counts: Int[np.ndarray, " state"], at: Float[np.ndarray, " state"]) -> tuple[float, int, bool]:
    """The longest time with one constant count of two or more: (its length, the count, whether the record cuts it off).

    From the first state with that count to the first without it; cut off if it goes on to the last state.
    """
    best, first = (0.0, 0, False), 0
    for state in range(1, len(counts) + 1):
        if state < len(counts) and counts[state] == counts[first]:
            continue
        last = min(state, len(counts) - 1)
        if counts[first] >= 2 and at[last] - at[first] > best[0]:
            best = float(at[last] - at[first]), int(counts[first]), state == len(counts)
        first = state
    return best
