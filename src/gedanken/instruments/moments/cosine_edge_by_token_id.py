"""The overlap within stretches of consecutive rows: does it depend on where in the vocabulary one looks?

What. ε_g = μ_g + zσ_g over the pairs inside each of several equal stretches of rows, against the middle of the stretch
as a share of the table. Tokenizers often give low ids to frequent tokens, but an id is not a frequency.

Reads. The stretches of the moments of unit rows.

Null. The 95 % band of as many independent normal rows in the same dimension.

Fails when. There are fewer than two stretches of at least two rows.

Reference. ε as defined in [@guha2026representational]; the stretches are of this project.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from gedanken.instruments.base import Curve, Instrument, KnownCase, Reading, Symmetry, Variable
from gedanken.kinds import Kind, Moments
from gedanken.status import Flag, Refusal
from gedanken.theory import cosines


@final
@dataclass(frozen=True)
class CosineEdgeByTokenId(Instrument):
    """ε within consecutive stretches of rows."""

    z: float = 2.0

    reads = Kind.moments
    of_tables = True
    variables = (
        Variable(
            "cosine_edge_by_token_id",
            "ε_g",
            "1",
            "ε over the pairs inside a stretch of rows, against the middle of the stretch as a share of the table",
            curve=True,
        ),
    )
    symmetries = frozenset(
        {Symmetry.scale, Symmetry.sign, Symmetry.right_rotation, Symmetry.col_permutation, Symmetry.row_scale}
    )

    @property
    def preparation(self) -> str:
        return "unit"

    def measure(self, array: Moments, rng: np.random.Generator) -> Reading:
        d = array.dimension
        ends = np.cumsum([n for n, _, _ in array.groups])
        usable = [
            (end - n / 2, n, total, square) for end, (n, total, square) in zip(ends, array.groups, strict=True) if n > 1
        ]
        if len(usable) < 2 or d < 2:
            raise Refusal(Flag.too_small, f"{len(usable)} stretches of two rows or more: at least two are needed")
        edges = [cosines.pair_cosines(n, float(total @ total), square).edge(self.z) for _, n, total, square in usable]
        bands = [cosines.GaussianTwin(n, d).edge(self.z).interval(0.95) for _, n, _, _ in usable]
        low, high = np.array(bands).T
        middles = np.array([middle for middle, *_ in usable]) / array.n
        return {"cosine_edge_by_token_id": Curve(middles, np.array(edges), null_low=low, null_high=high, n=array.n)}

    def known(self, rng: np.random.Generator) -> Iterator[KnownCase]:
        r, d = 5, 16
        rows = np.tile(np.eye(d), (r, 1))
        group = (len(rows), rows.sum(axis=0), float(np.sum((rows.T @ rows) ** 2)))
        twice = Moments(2 * len(rows), 2 * group[1], 2 * rows.T @ rows, rows, groups=(group, group))
        mean = (r - 1) / (r * d - 1)
        edge = mean + self.z * math.sqrt(mean * (1 - mean))
        why = "in each stretch every row has r − 1 cosines equal to 1, the rest are 0"
        yield KnownCase("copies of orthonormal rows", twice, {"cosine_edge_by_token_id": (edge, 1e-12)}, why)
