"""What ensemble instruments share: means over rows with their jackknife over groups of prompts, and the temperature T."""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Curve, NullBand, Symmetry, Value
from gedanken.kinds import Ensemble
from gedanken.status import Flag, Refusal
from gedanken.theory import jackknife, random_energy, schottky
from gedanken.theory.laws import Normal

OF_ENSEMBLES = frozenset({Symmetry.sign, Symmetry.right_rotation, Symmetry.col_permutation})
"""What leaves all products of queries and keys alone."""


def model_temperature(ensemble: Ensemble) -> int:
    """Where τ = 1 stands in the grid. Raises Refusal(too_small) if it is not there or no row has two keys."""
    if not ensemble.counts["rows"].sum():
        raise Refusal(Flag.too_small, "no row sees more than one key")
    at = int(np.argmin(np.abs(np.log(ensemble.temperatures))))
    if abs(ensemble.temperatures[at] - 1) > 1e-12:
        raise Refusal(Flag.too_small, "the grid of temperatures does not hold the head's own")
    return at


def ratio(
    above: Float[np.ndarray, "group *k"], below: Float[np.ndarray, " group"]
) -> tuple[float | np.ndarray, np.ndarray]:
    """Σ above / Σ below over the groups, and the same with each group that has any left out in turn.

    Raises Refusal(too_small) if there is nothing below.
    """
    live = below > 0
    if not live.any():
        raise Refusal(Flag.too_small, "no row of this kind was seen")
    above, below = above[live], below[live].reshape(-1, *(1,) * (above.ndim - 1))
    whole = above.sum(axis=0) / below.sum(axis=0)
    if len(below) == 1:
        return whole, above[:0]
    return whole, (above.sum(axis=0) - above) / (below.sum(axis=0) - below)


def mean(above: Float[np.ndarray, " group"], below: Float[np.ndarray, " group"], factor: float = 1.0) -> Value:
    """factor × Σ above / Σ below with its standard error."""
    return valued(*ratio(factor * above, below), n=int(below.sum()))


def valued(value: float, left_out: Float[np.ndarray, " group"], n: int) -> Value:
    """A value with its jackknife; without an error where there is one group."""
    if len(left_out) < 2:
        return Value(float(value), n=n)
    return Value(float(value), jackknife.stderr(left_out), n=n, left_out=tuple(left_out.tolist()))


def curve(
    ensemble: Ensemble, above: Float[np.ndarray, "group temperature"], below: Float[np.ndarray, " group"], **null
):
    """Mean over rows against τ, with two standard errors on either side."""
    value, left_out = ratio(above, below)
    error = np.array([jackknife.stderr(column) for column in left_out.T]) if len(left_out) > 1 else None
    band = {} if error is None else {"low": value - 2 * error, "high": value + 2 * error}
    return Curve(ensemble.temperatures, value, n=int(below.sum()), **band, **null)


class RandomEnergies(NamedTuple):
    """Means over rows of independent normal logits, by temperature: C/C_max with its standard deviation, S/ln n, and U
    and F above the mean logit, in nat at the rows' own T."""

    heat_capacity: Float[np.ndarray, " temperature"]
    deviation: Float[np.ndarray, " temperature"]
    entropy: Float[np.ndarray, " temperature"]
    energy: Float[np.ndarray, " temperature"]
    free_energy: Float[np.ndarray, " temperature"]


def random_energies(ensemble: Ensemble) -> RandomEnergies:
    """Rows of the measured logit scale and numbers of keys.

    The scale σ of each bin of n is that of its row-centred logits, with divisor Σ(n − 1) [@derrida1981random]. The band
    takes rows for independent.
    """
    found = {name: values.sum(axis=0) for name, values in ensemble.by_n.items()}
    used = found["rows"] > 0
    rows, log_n, freedom, squares = (found[name][used] for name in ("rows", "log_n", "freedom", "squares"))
    n = np.exp(log_n / rows)
    sigma = np.sqrt(squares / freedom)
    made = random_energy.moments(sigma[:, None] / ensemble.temperatures, n[:, None])
    bound = schottky.largest(n)[:, None]
    share = rows[:, None] / rows.sum()
    deviation = np.sqrt(np.sum(share**2 / rows[:, None] * made.variance / bound**2, axis=0))
    capacity, entropy = (
        np.sum(share * x, axis=0) for x in (made.heat_capacity / bound, made.entropy / np.log(n)[:, None])
    )
    energy = ensemble.temperatures * np.sum(share * made.energy, axis=0)
    free = energy - ensemble.temperatures * np.sum(share * made.entropy, axis=0)
    return RandomEnergies(capacity, deviation, entropy, energy, free)


def normal_band(value: float, middle: float, deviation: float, null: str) -> NullBand:
    """The band of a mean over many rows: normal, with two-sided p."""
    if deviation <= 0:
        return NullBand(null, middle, middle, middle, None, 0)
    law = Normal(middle, deviation)
    p = math.erfc(abs(value - middle) / deviation / math.sqrt(2))
    return NullBand(null, middle, law.ppf(0.025), law.ppf(0.975), p, 0)


def sampled(ensemble: Ensemble) -> int:
    """Rows whose dipoles were looked at. Raises Refusal where there are none, with the reason."""
    if ensemble.no_dipoles:
        raise Refusal(Flag.not_visible, ensemble.no_dipoles)
    if not ensemble.dipoles or not ensemble.dipoles["rows"].sum():
        raise Refusal(Flag.too_small, "no row sees more than one key")
    return int(ensemble.dipoles["rows"].sum())


def sampled_mean(ensemble: Ensemble, name: str) -> Value:
    """Mean of one of `Ensemble.dipoles`, with its standard error."""
    sampled(ensemble)
    return replace(mean(ensemble.dipoles[name], ensemble.dipoles["rows"]), flags=(Flag.sampled,))
