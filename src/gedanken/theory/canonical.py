"""Canonical ensembles: a softmax row as levels in thermal equilibrium, and what follows from that alone.

Levels are given as logits z = −E/T in nat. Whatever holds here holds for every row of numbers: these are identities
[@callen1985thermodynamics], the tests of a program and never evidence about a model.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special


class Row(NamedTuple):
    """Thermodynamics of rows of logits, each array of the rows' shape.

    ln Z = ln Σ e^z; u = −⟨z⟩, the reduced energy U/T; S = ln Z + u in nat; C = Var_p(z) in nat².
    """

    log_partition: Float[np.ndarray, "*row"]
    energy: Float[np.ndarray, "*row"]
    entropy: Float[np.ndarray, "*row"]
    heat_capacity: Float[np.ndarray, "*row"]


def pattern(logits: Float[np.ndarray, "*row n"]) -> Float[np.ndarray, "*row n"]:
    """p = e^{z − ln Z}; 0 where z is −∞. Rows without a finite level are not allowed."""
    return special.softmax(logits, axis=-1)


def row(logits: Float[np.ndarray, "*row n"], inverse_temperature: float = 1.0) -> Row:
    """Rows at 1/`inverse_temperature` times their own temperature. Levels at −∞ do not exist.

    Deviations are taken from the mean, never ⟨z²⟩ − ⟨z⟩².
    """
    logits = inverse_temperature * np.asarray(logits, dtype=np.float64)
    p = pattern(logits)
    levels = np.where(np.isfinite(logits), logits, 0.0)
    top = logits.max(axis=-1, keepdims=True)
    mean = np.sum(p * np.where(p > 0, levels - top, 0.0), axis=-1)
    spread = np.where(p > 0, levels - top, 0.0) - mean[..., None]
    above = np.log(np.sum(np.exp(logits - top), axis=-1))
    return Row(above + top[..., 0], -mean - top[..., 0], above - mean, np.sum(p * spread**2, axis=-1))


def third_moment(logits: Float[np.ndarray, "*row n"]) -> float | Float[np.ndarray, "*row"]:
    """κ₃ = Σ p (z − ⟨z⟩)³: dC/d ln T = −2C − κ₃."""
    p = pattern(logits)
    levels = np.where(p > 0, logits, 0.0)
    spread = levels - np.sum(p * levels, axis=-1, keepdims=True)
    return np.sum(p * spread**3, axis=-1)


def relative_entropy(
    p: Float[np.ndarray, "*row n"], r: Float[np.ndarray, "*row n"]
) -> float | Float[np.ndarray, "*row"]:
    """KL(p‖r) = Σ p ln(p/r) in nat, ∞ where r vanishes and p does not."""
    return np.sum(special.rel_entr(p, r), axis=-1)


def functional(
    r: Float[np.ndarray, "*row n"], logits: Float[np.ndarray, "*row n"]
) -> float | Float[np.ndarray, "*row"]:
    """F[r]/T = −Σ r z + Σ r ln r for any distribution r over the levels; least, −ln Z, at the pattern.

    F[r]/T + ln Z = KL(r‖p): the Gibbs variational principle [@callen1985thermodynamics].
    """
    return -np.sum(np.where(r > 0, r * np.where(np.isfinite(logits), logits, 0.0), 0.0), axis=-1) - np.sum(
        special.entr(r), axis=-1
    )


def excess_of_kept(kept_mass: float | Float[np.ndarray, "*row"]) -> float | Float[np.ndarray, "*row"]:
    """Excess reduced free energy −ln(mass) of a pattern restricted to keys of that mass and renormalised."""
    return -np.log(kept_mass)


def sparsemax(logits: Float[np.ndarray, "*row n"]) -> Float[np.ndarray, "*row n"]:
    """The minimiser of −Σ r z − ½Σ(r − r²) on the simplex [@martins2016sparsemax, eq. 2 and alg. 1].

    The same levels with another entropy (Tsallis, α = 2): unique as well, and another map.
    """
    falling = -np.sort(-logits, axis=-1)
    total = np.cumsum(falling, axis=-1)
    count = np.arange(1, logits.shape[-1] + 1)
    support = np.sum(1 + count * falling > total, axis=-1, keepdims=True)
    threshold = (np.take_along_axis(total, support - 1, axis=-1) - 1) / support
    return np.maximum(logits - threshold, 0.0)


def entropy_floor(n: float, norm: float) -> float:
    """The least entropy of n logits of Euclidean norm at most `norm` [@zhai2023stabilizing, theorem 3.1]."""
    reach = norm * np.sqrt(n / (n - 1))
    rest = (n - 1) * np.exp(-reach)
    return float(np.log1p(rest) + norm * np.sqrt(n * (n - 1)) * np.exp(-reach) / (1 + rest))
