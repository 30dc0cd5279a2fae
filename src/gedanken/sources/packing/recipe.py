"""Recipe: how unit vectors are packed. The published one, and a better one.

Published [@guha2026representational]: minimise L = Σ_{i≠j} |cos|^p by Adam at a constant rate, 5000 evaluations, and
take the largest |cos| at the last one. Its gradient falls as |cos|^{p−1}, below Adam's eps when p is large or the
vectors are few, and it stalls there. Better, with the same minimiser: ln(L)/p, whose gradient is of order one; the rate
falls to zero as a cosine; the best step is kept. Report which was used, and never mix them in one fit.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from gedanken.status import Failure

LOSSES = ("scale_free", "plain")


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of a packing.

    p: the exponent of the loss. evaluations: of the loss and its gradient; the rate of evaluation t of T is
    `rate`, times ½(1 + cos πt/T) with `decay`. keep_best: whether the result is the best step's or the last one's.
    """

    p: int = 40
    loss: str = "scale_free"
    evaluations: int = 5000
    rate: float = 0.005
    decay: bool = True
    keep_best: bool = True
    seed: int = 0

    def __post_init__(self):
        if self.loss not in LOSSES:
            raise Failure(f"There is no loss {self.loss!r}; there are {' and '.join(LOSSES)}.")
        if not 2 <= self.p <= 1000:
            raise Failure(f"The exponent p is a whole number from 2 to 1000, not {self.p}.")
        if self.evaluations < 1:
            raise Failure(f"A packing takes at least one evaluation, not {self.evaluations}.")
        if not 0 < self.rate <= 1:
            raise Failure(f"The rate lies above 0 and up to 1, about one radian a step, not at {self.rate}.")
        if self.seed < 0:
            raise Failure(f"The seed is a whole number from 0, not {self.seed}.")

    def rate_at(self, step: int) -> float:
        """The rate of evaluation `step`, counted from 0."""
        return self.rate * (0.5 * (1 + math.cos(math.pi * step / self.evaluations)) if self.decay else 1.0)

    def describe(self) -> dict[str, Any]:
        return asdict(self)


def published(d: int, *, k: int | None = None, **changes: Any) -> Recipe:
    """The published recipe in d dimensions; its rate is half as large above d = 1024 [@guha2026representational]."""
    settings = {
        "p": exponent(d, k),
        "loss": "plain",
        "rate": 0.005 if d <= 1024 else 0.0025,
        "decay": False,
        "keep_best": False,
    }
    return Recipe(**settings | changes)


def better(d: int, **changes: Any) -> Recipe:
    """The recipe that reaches lower overlaps, the same at every d. p = 40 where the published exponent is 6 to 17."""
    return Recipe(**changes)


RECIPES = {"better": better, "published": published}


def named(name: str, d: int, **changes: Any) -> Recipe:
    """A recipe of RECIPES for d dimensions, with some settings changed. Raises Failure for an unknown name."""
    if name not in RECIPES:
        raise Failure(f"There is no recipe {name!r}; there are {' and '.join(RECIPES)}.")
    return RECIPES[name](d, **changes)


def exponent(d: int, k: int | None = None) -> int:
    """p = min(⌊m/ln d⌋, 20), at least 2: m = 60, or 50 from d = 3072 [@guha2026representational].

    With `k`, as the paper's code has it: m = 40 where k ≤ 4000. The published cells there fit m = 60 better.
    """
    m = 40 if k is not None and k <= 4000 else 50 if d >= 3072 else 60
    return max(min(int(m / math.log(d)), 20), 2) if d > 1 else 20
