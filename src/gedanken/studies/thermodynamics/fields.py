"""Claims about fields: the query as a field on key dipoles, and broken rotation of rotary pairs (TH5, TH10)."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from gedanken.analysis.intervals import Estimate, t_interval
from gedanken.analysis.p_values import holm
from gedanken.studies.base import Claim, Judgement, Verdict, not_testable
from gedanken.studies.thermodynamics.evidence import Evidence, Model

LEVEL, OUTSIDE, INSIDE = 0.05, 0.5, 0.9
"""Family-wise error over heads, and the shares of heads that support and refute (theory specification, § 10)."""


@dataclass(frozen=True)
class Shares:
    """Of a model's heads: how many lie outside the twin's band (Holm) and the swap band, and how many inside the first.

    `outside` is NaN where keys were not swapped."""

    heads: int
    outside: float
    inside: float


def shares(model: Model) -> Shares | None:
    """None where no head has a field alignment with its isotropic twin."""
    own = model.heads("field_alignment").filter(pl.col("p").is_not_null())
    if own.is_empty():
        return None
    swapped = model.heads("field_alignment_swapped").select(
        "site", pl.col("value").alias("swap"), pl.col("stderr").alias("se")
    )
    both = own.join(swapped, on="site", how="left")
    value, p = both["value"].to_numpy(), both["p"].to_numpy()
    inside = (value >= both["null_low"].to_numpy()) & (value <= both["null_high"].to_numpy())
    swap = both["swap"].cast(pl.Float64).to_numpy()
    error = np.hypot(both["stderr"].fill_null(0.0).to_numpy(), both["se"].cast(pl.Float64).fill_null(0.0).to_numpy())
    # 1.96 standard errors of the difference: the band of the swapped keys, and the head's own error.
    apart = np.abs(value - swap) > 1.96 * error
    outside = float(np.mean((holm(p) <= LEVEL) & apart)) if np.isfinite(swap).all() else float("nan")
    return Shares(len(both), outside, float(inside.mean()))


def dipoles(evidence: Evidence) -> Judgement:
    """supported: in at least half of the heads outside both bands; refuted: inside the twin's in at least nine tenths."""
    found = [(model, shares(model)) for model in evidence.models]
    found = [(model, share) for model, share in found if share is not None]
    if not found:
        return not_testable(
            "No run has the field alignment of its heads; `gedanken scan MODEL --text stdlib` measures it."
        )
    outside = t_interval(np.array([share.outside for _, share in found]))
    inside = t_interval(np.array([share.inside for _, share in found]))
    random = [share.outside for model, _ in found for share in map(shares, model.twins) if share is not None]
    verdict, reason = Verdict.inconclusive, "undecided"
    enough = evidence.enough([model for model, _ in found])
    if enough and outside.low >= OUTSIDE and not (random and np.mean(random) >= OUTSIDE):
        verdict, reason = Verdict.supported, "supported"
    elif enough and inside.low >= INSIDE:
        verdict, reason = Verdict.not_supported, "refuted"
    return _judgement(verdict, reason, found, outside, inside, random, enough, evidence.needed)


def _judgement(
    verdict, reason, found, outside: Estimate, inside: Estimate, random, enough: bool, needed: int
) -> Judgement:
    heads = sum(share.heads for _, share in found)
    few = "" if enough else f" Judged on {len(found)} run{'s' * (len(found) > 1)}; a verdict needs {needed} models."
    twins = f" With random weights in {np.mean(random):.0%}." if random else ""
    limits = (
        (max(outside.low, 0.0), min(outside.high, 1.0))
        if np.isfinite([outside.low, outside.high]).all()
        else (None, None)
    )
    known = np.isfinite(outside.value)
    said = f"{outside.value:.0%}" if known else "an unknown share (keys were not swapped)"
    return Judgement(
        verdict, f"In {said} of a model's heads ({heads} in all) the query turns the mean key otherwise than it would both an "
        f"isotropic twin's and that of another prompt; {inside.value:.0%} are inside the twin's band.{twins}{few}",
        reason, "share of heads outside both bands [1]", outside.value if known else None, *limits, len(found),
        "isotropic twin (Holm); keys of other prompts" + ("; random weights" if random else ""),
    )  # fmt: skip


def rope(evidence: Evidence) -> list[Judgement]:
    return [
        not_testable(
            "It needs rotary stiffness, torque, order and the key-phase twin per pair of coordinates.", "massless modes",
            "not testable yet",
        ),
        not_testable(
            "Turning all positions of a rotary pair together costs exactly nothing with any weights.", "zero mode", "empty"
        ),
    ]  # fmt: skip


CLAIMS = (
    Claim("TH5", "A query–key score is an external field (query) acting on an intrinsic dipole (key).", "",
          "m∥ per head: supported if outside the isotropic twin's band (Holm) and outside the band of swapped keys in ≥ 50 % "
          "of heads; refuted if inside the twin's band in ≥ 90 %; fewer than 5 seeds or 7 models: undecided", dipoles),
    Claim("TH10", "A rotational symmetry of attention is spontaneously broken, so massless Goldstone modes exist, and RoPE "
          "expresses them.", "", "ρ, τ, slope, M, G per pair against the key-phase twin: supported if in ≥ 50 % of heads all "
          "five conditions hold for some pair; refuted if ρ and M are inside the twin's band in ≥ 90 %; the zero mode is never "
          "counted", rope),
)  # fmt: skip
