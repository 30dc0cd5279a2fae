"""How many nearly orthogonal directions fit: capacity formulas, the bounds that frame them, and the random law.

d is the dimension, k a number of directions, ε an overlap |cos| between two of them. Every count is handled as its
natural logarithm: ln k can exceed what a float holds.

- Fitted formulas ε(k, d) = √(C ln^b(k^a/d) / d^c) and their inverse [@guha2026representational]. They estimate what
  an optimiser reaches; they are not upper bounds.
- `welch_bound`: no k directions in d dimensions have a smaller largest overlap [@welch1974lower].
- `log_greedy_guarantee`: at least so many directions exist, by choosing greedily outside spherical caps.
- `random_coherence`: the largest overlap of k independent random directions; cos² is Beta(½, (d−1)/2).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats


@dataclass(frozen=True, slots=True)
class Form:
    """ε(k, d) = √(C ln(k^a / d^m)^b / d^c), with m = 1 if the form is `relative` to d and 0 if not.

    `domain` is ((d_min, d_max), k_max) of the data behind the constants, or None for a proven bound.
    """

    C: float
    a: float = 1.0
    b: float = 1.0
    c: float = 1.0
    relative: bool = True
    domain: tuple[tuple[int, int], int] | None = ((32, 4096), 32_000)

    def overlap(self, k: float, d: float) -> float:
        """ε at which the form holds exactly k directions; 0 where its logarithm is not positive (k ≤ d)."""
        log_ratio = self.a * math.log(k) - (math.log(d) if self.relative else 0.0)
        return math.sqrt(self.C * max(log_ratio, 0.0) ** self.b / d**self.c)

    def exponent(self, d: float, overlap: float) -> float:
        """(d^c ε²/C)^{1/b}, the part of a·ln k that depends on ε; 0 for ε ≤ 0."""
        return (d**self.c * max(overlap, 0.0) ** 2 / self.C) ** (1 / self.b)

    def log_count(self, d: float, overlap: float) -> float:
        """ln k at (d, ε), as the formula gives it."""
        return ((math.log(d) if self.relative else 0.0) + self.exponent(d, overlap)) / self.a

    def log_capacity(self, d: int, overlap: float) -> float:
        """ln k at (d, ε); forms relative to d are held at k ≥ d, since d orthogonal directions always exist."""
        found = self.log_count(d, overlap)
        return max(found, math.log(d)) if self.relative else found

    def is_clamped(self, d: int, overlap: float) -> bool:
        """Whether `log_capacity` replaced the formula (or an ε ≤ 0, outside its range) by k = d."""
        return self.relative and (overlap <= 0 or self.log_count(d, overlap) < math.log(d))

    def is_extrapolated(self, d: int, overlap: float) -> bool:
        """Whether (d, k) lies outside the data that the constants were fitted on."""
        if self.domain is None:
            return False
        (lowest, highest), most = self.domain
        return not lowest <= d <= highest or self.log_capacity(d, overlap) > math.log(most)

    def elasticity(self, d: float, overlap: float) -> float:
        """∂ ln k / ∂ ln ε = (2/(ab)) (d^c ε²/C)^{1/b}: per cent of k for one per cent of ε."""
        return 2 / (self.a * self.b) * self.exponent(d, overlap)

    def dimension(self, k: int, overlap: float) -> int:
        """The smallest d that holds k directions at overlap ε: k itself where the formula never reaches k for d ≤ k."""
        target = math.log(k)
        if k < 2 or self.log_count(k, overlap) < target:
            return k
        if self.log_count(1, overlap) >= target:
            return 1
        root = optimize.brentq(lambda x: self.log_count(math.exp(x), overlap) - target, 0.0, target, xtol=1e-14)
        return math.ceil(math.exp(root) * (1 - 1e-12))  # an exact integer solution must not round up


FORMS = {
    # [@guha2026representational] and its repository: full-precision constants of the fit to 166 optimised packings
    "full": Form(0.45809143, 1.0668005, 1.44738666, 0.97197234),
    "ratio": Form(1.2934008),
    # The Johnson–Lindenstrauss form with the best proven constant, and fitted to random and to optimised vectors
    "jl": Form(8.0, relative=False, domain=None),
    "jl_random": Form(3.02948, relative=False, domain=((256, 4096), 32_000)),
    "jl_optimised": Form(0.706761, relative=False),
}
"""The published capacity forms, by name [@guha2026representational]."""

NEAR_ORTHOGONAL, NOT_NEAR_ORTHOGONAL = 0.1, 0.2
"""The two thresholds on ε between which no published model lay [@guha2026representational]."""


def orthogonality_class(overlap: float) -> str:
    """`near_orthogonal` (ε < 0.1), `not_near_orthogonal` (ε > 0.2), or `gap` between."""
    if overlap < NEAR_ORTHOGONAL:
        return "near_orthogonal"
    return "not_near_orthogonal" if overlap > NOT_NEAR_ORTHOGONAL else "gap"


def welch_bound(k: int, d: int) -> float:
    """The largest of Welch's lower bounds on the coherence of k unit vectors in d dimensions; 0 if k ≤ d.

    coherence^{2s} ≥ (k/C(d+s−1, s) − 1)/(k−1) for every integer s ≥ 1 with k > C(d+s−1, s) [@welch1974lower].
    """
    best, s = 0.0, 1
    while (space := math.comb(d + s - 1, s)) < k and (d > 1 or s == 1):
        best = max(best, ((k - space) / (space * (k - 1))) ** (1 / (2 * s)))
        s += 1
    return best


def log_exceedance(overlap: float, d: int) -> float:
    """ln P(|cos| > ε) for two independent directions in d ≥ 2 dimensions.

    P = I_{1−ε²}((d−1)/2, ½), the regularised incomplete beta function; where it underflows, by its power series
    I_x(a, b) = x^a (1−x)^b / (a B(a, b)) · Σ_n x^n (a+b)_n/(a+1)_n, all of whose terms are positive [@dlmf, 8.17.8].
    """
    if overlap <= 0:
        return 0.0
    if overlap >= 1:
        return -math.inf
    a, x = (d - 1) / 2, 1 - overlap**2
    share = special.betainc(a, 0.5, x)
    if share > 1e-280:
        return math.log(share)
    terms = np.arange(int(50 / overlap**2) + 50)  # ratios stay below x: the rest is under e^{−50} of the sum
    series = 1 + np.cumprod(x * (a + 0.5 + terms) / (a + 1 + terms)).sum()
    return a * math.log(x) + math.log(overlap) - math.log(a) - special.betaln(a, 0.5) + math.log(series)


def log_greedy_guarantee(overlap: float, d: int) -> float:
    """ln ⌈1/p⌉, p = P(|cos| > ε): so many directions with pairwise |cos| ≤ ε certainly exist.

    Each chosen direction rules out a share p of the sphere, so while j·p < 1 another one fits. Above 2⁵² the ceiling
    is below rounding and is left out.
    """
    log_inverse = -log_exceedance(overlap, d)
    if log_inverse > math.log(2.0**52):
        return log_inverse
    return math.log(math.ceil(math.exp(log_inverse) * (1 - 1e-12)))  # 1/p = 1 must not round up to 2


def random_coherence(pairs: float, d: int, q: float = 0.5, trials: int = 1) -> float:
    """q-quantile of the largest |cos| over `pairs` independent pairs of directions, the least of `trials` draws.

    √x with P(cos² > x) = −ln(1 − (1−q)^{1/T})/N under Beta(½, (d−1)/2), pairs treated as independent (they are so in
    pairs; the error is of order 1/k). Returns 0 where the right-hand side exceeds 1.
    """
    tail = -math.log(-math.expm1(math.log1p(-q) / trials)) / pairs
    return math.sqrt(stats.beta.isf(tail, 0.5, (d - 1) / 2)) if tail < 1 else 0.0


def random_coherence_cdf(coherence: float, pairs: float, d: int) -> float:
    """P(largest |cos| ≤ coherence) over `pairs` independent pairs: exp(−N P(|cos| > coherence))."""
    return math.exp(-pairs * math.exp(log_exceedance(coherence, d)))
