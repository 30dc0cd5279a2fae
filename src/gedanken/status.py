"""Status, flags and failures: why a value is refused, or what must be said beside it. The members are sentences."""

from collections.abc import Callable
from enum import StrEnum

Progress = Callable[[float, float], None]
"""Called with the work done and the work in all (floating-point operations, where nothing else is said)."""


class Status(StrEnum):
    ok = "ok"
    refused = "refused"


class Word(StrEnum):
    """One word (stored) with its sentence (shown)."""

    sentence: str

    def __new__(cls, word: str, sentence: str):
        member = str.__new__(cls, word)
        member._value_ = word
        member.sentence = sentence
        return member


class Flag(Word):
    """A reason why a value is refused, or what must be said beside it."""

    # refusals
    zero_matrix = "zero_matrix", "every entry is zero"
    zero_rows = "zero_rows", "rows of norm zero have no direction and were left out"
    constant = "constant", "all values are equal, so the quantity is undefined"
    non_finite = "non_finite", "an entry is NaN or infinite"
    too_small = "too_small", "there are too few values for this quantity to mean anything"
    empty = "empty", "the tensor has no entries"
    not_a_matrix = "not_a_matrix", "the tensor does not have two dimensions"
    not_floating = "not_floating", "the tensor holds integers, not weights"
    undecodable = "undecodable", "the stored format cannot be decoded"
    unreadable = "unreadable", "the tensor could not be read from its file"
    quantised = "quantised", "the stored weights are quantised, and this quantity would measure the quantiser"
    product = "product", "the law is for matrices of independent entries, not for products of thin factors"
    out_of_memory = "out_of_memory", "there was not enough memory for this tensor"
    not_near_orthogonal = "not_near_orthogonal", "the rows are not nearly orthogonal, so a packing formula is vacuous"
    no_plateau = "no_plateau", "the estimate drifts over the scales, so there is no one value"
    not_visible = "not_visible", "the model does not show this while it runs"
    not_causal = "not_causal", "the model does not predict the next token"
    no_agreement = "no_agreement", "the estimators of the depth lie more than a layer apart"
    no_bytes = "no_bytes", "it is not known how many bytes of text the tokens stand for"
    # said beside a value
    constant_coordinates = "constant_coordinates", "coordinates that never vary were left out"
    below_resolution = "below_resolution", "the value lies below what double precision resolves here"
    rank_deficient = "rank_deficient", "the matrix has fewer non-zero singular values than its shape allows"
    poor_fit = "poor_fit", "the fitted law is rejected or no better than its rivals"
    short_tail = "short_tail", "the fit rests on few values"
    at_bound = "at_bound", "the estimate lies at the end of the range that was searched"
    extrapolated = "extrapolated", "the formula is used outside the range it was fitted on"
    clamped = "clamped", "the formula fell below its exact lower bound and was replaced by it"
    below_guarantee = (
        "below_guarantee",
        "the value lies below what greedy choice already guarantees, so it bounds nothing",
    )
    sampled = "sampled", "computed on a bounded sample of the points"
    diffuse = "diffuse", "the points of a cluster spread over more than half a circle: it is a continuum, not a cluster"
    censored = "censored", "the record ends before the event, so the value is a lower bound"
    too_large = "too_large", "the value lies beyond the range of double precision"
    no_null = "no_null", "no null model applies to this quantity"
    null_is_exact = "null_is_exact", "the null has this value exactly, by construction"


class Refusal(Exception):
    """One measurement would not mean anything: it becomes a row with status `refused` and the flag that says why."""

    def __init__(self, flag: Flag, sentence: str = ""):
        self.flag = Flag(flag)
        self.sentence = sentence or self.flag.sentence
        super().__init__(self.sentence)

    def __reduce__(self):
        return type(self), (self.flag, self.sentence)


class Failure(Exception):
    """The whole request cannot be served: one sentence for the user and, where there is one, what to try next."""

    def __init__(self, sentence: str, try_next: str = ""):
        self.sentence, self.try_next = sentence, try_next
        super().__init__(sentence)

    def __reduce__(self):
        return type(self), (self.sentence, self.try_next)
