"""Loss against temperature: what a model predicts with its attention logits divided by τ, and the τ that it predicts best at.

What. loss_at_temperature = mean −ln p at τ from 1/4 to 4, in nat/token; loss_excess_at_temperature = the same minus that at
τ = 1, token by token, so that its error is free of what all τ share; log_best_temperature = ln τ*, τ* the vertex of the
parabola in ln τ through the lowest point and its neighbours, no unit. Errors are jackknifed over groups of documents.

Reads. heated_loss: one head, or all heads together at stream.attention_pattern.

Null. None of its own: it is held against the same model with random weights, whose loss has no lowest point of its own.

Fails when. The lowest point is at an end of the grid: then ln τ* is refused. A model tuned to a longer or shorter context has
its best τ elsewhere without any error of training.

Reference. τ = T'/T at inference [@kim2026thermodynamics]; jackknife [@efron1981jackknife, eq. 1.5].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Symmetry, Value, Variable
from gedanken.kinds import HeatedLoss, Kind
from gedanken.status import Flag, Refusal
from gedanken.theory import jackknife

_NO_NULL = "it is held against the run with random weights"


@final
@dataclass(frozen=True)
class LossAtTemperature(Instrument):
    """ℒ(τ), ℒ(τ) − ℒ(1), and ln τ*."""

    reads = Kind.heated_loss
    variables = (
        Variable("log_best_temperature", "ln τ*", "1", "ln τ where the loss is least", degree=0, no_null=_NO_NULL),
        Variable(
            "loss_at_temperature", "ℒ(τ)", "nat/token", "mean −ln p with attention logits divided by τ, against τ",
            (0, None), 1, curve=True, no_null=_NO_NULL,
        ),
        Variable(
            "loss_excess_at_temperature", "ℒ(τ) − ℒ(1)", "nat/token", "loss at τ minus the loss at τ = 1, against τ",
            degree=1, curve=True, no_null=_NO_NULL,
        ),
    )  # fmt: skip
    symmetries = frozenset({Symmetry.scale, Symmetry.row_permutation})
    exchangeable = "document"
    on_request = True

    def measure(self, array: HeatedLoss, rng: np.random.Generator) -> Reading:
        if not array.tokens.sum():
            raise Refusal(Flag.too_small, "no token is predicted")
        if not np.isfinite(array.nats).all():
            raise Refusal(Flag.non_finite)
        x, one = array.temperatures, int(np.argmin(np.abs(np.log(array.temperatures))))
        loss, others = _means(array)
        excess = others - others[:, one : one + 1]
        error = 2 * np.array([jackknife.stderr(column) for column in excess.T])
        band = {"low": loss - loss[one] - error, "high": loss - loss[one] + error} if len(others) > 1 else {}
        n = int(array.tokens.sum())
        return {
            "log_best_temperature": _best(np.log(x), loss, others, n),
            "loss_at_temperature": Curve(x, loss, n=n),
            "loss_excess_at_temperature": Curve(x, loss - loss[one], n=n, **band),
        }

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        tau = 2.0 ** (np.arange(-8, 9) / 4)
        bowl = 3 + (np.log(tau) - 0.11) ** 2
        valley = HeatedLoss(tau, np.outer([10.0, 20.0, 30.0], bowl), np.array([10, 20, 30]))
        yield KnownCase(
            "a parabola about 0.11",
            valley,
            {
                "log_best_temperature": (0.11, 1e-9),
                "loss_at_temperature": (bowl, 1e-12),
                "loss_excess_at_temperature": (bowl - bowl[8], 1e-12),
            },
            "three points are a parabola exactly; rounding",
        )
        slope = HeatedLoss(tau, np.outer([1.0, 1.0], tau), np.array([1, 1]))
        yield KnownCase("ever better when colder", slope, {"log_best_temperature": Flag.at_bound}, "no vertex")


def _means(array: HeatedLoss) -> tuple[Float[np.ndarray, " temperature"], Float[np.ndarray, "group temperature"]]:
    """The loss at each τ, and the same with each group left out; no rows where there is one group."""
    nats, tokens = array.nats.sum(axis=0), array.tokens.sum()
    rest = tokens - array.tokens
    if len(rest) < 2 or (rest <= 0).any():
        return nats / tokens, np.zeros((0, len(nats)))
    return nats / tokens, (nats - array.nats) / rest[:, None]


def _best(
    x: Float[np.ndarray, " temperature"],
    loss: Float[np.ndarray, " temperature"],
    others: Float[np.ndarray, "group temperature"],
    n: int,
) -> Value | Refusal:
    """The vertex through the lowest of `loss` and its neighbours, the same three points where a group is left out."""
    lowest = int(np.argmin(loss))
    if lowest in (0, len(x) - 1) or not loss[lowest - 1] + loss[lowest + 1] > 2 * loss[lowest]:
        return Refusal(Flag.at_bound, "the least loss is at an end of the temperatures tried")
    three = slice(lowest - 1, lowest + 2)

    def vertex(y: np.ndarray) -> float:
        second, first, _ = np.polyfit(x[three] - x[lowest], y / (y.max() or 1.0), 2)
        return float(x[lowest] - first / (2 * second)) if second > 0 else float(x[lowest])

    left_out = tuple(vertex(row[three]) for row in others)
    return Value(vertex(loss[three]), jackknife.stderr(np.array(left_out)) or None, n=n, left_out=left_out)
