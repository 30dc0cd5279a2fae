"""The spectral lifecycle of training [@liu2026lifecycle]: seventeen claims, judged under this study's own definitions.

The paper does not print most of its definitions; every verdict is one on the claim as it is defined here.
"""

from gedanken.studies.base import Claim, Study
from gedanken.studies.spectral_lifecycle import (
    dissociation,
    importance,
    profile,
    pruning,
    survey,
    types,
    warmup,
    wave,
)
from gedanken.studies.spectral_lifecycle.evidence import gather
from gedanken.studies.spectral_lifecycle.verdicts import LEAST_SEEDS

CLAIMS = (
    Claim(
        "SL1",
        "The fall of stable rank travels as a front from early to late layers.",
        "direction; stable rank from 130 to 15 in 5,000 steps (D8)",
        "Kendall τ_b of arrival with layer > 0 by layer permutation; last third at least 2 snapshots later; a travelling model "
        "beats the one without travel by ΔAIC > 10.",
        wave.travels,
    ),
    Claim(
        "SL2",
        "The depth gradient of stable rank peaks early and then changes sign.",
        "sign pattern",
        "Z = min(max G in the first quarter, −G_end) > 0 by layer permutation; a reversal; the interval of G_end below 0.",
        wave.reverses,
    ),
    Claim(
        "SL3",
        "The rank exponent acquires a depth gradient that stays until the end.",
        "start near 0.10 (D8), no size",
        "Δ_smooth at the end by layer permutation; persistence at least 0.8 with lower bound 0.6.",
        profile.persists,
    ),
    Claim(
        "SL4",
        "In deeper models the rank exponent over depth is an inverted U.",
        "shape",
        "End-slope test and two-lines test, vertex inside, interior layers of the same curvature; at least 12 layers.",
        profile.bends,
    ),
    Claim(
        "SL5",
        "The peak of that profile sits earlier in deeper models.",
        "direction",
        "Slope of the vertex on ln L < 0 by permutation of depths, on at least 3 depths of one width that pass SL4.",
        profile.moves_up,
    ),
    Claim(
        "SL6",
        "Values and outputs compress uniformly over depth.",
        "qualitative",
        "Upper bounds of both coefficients of variation at most 0.15, and no peak of their gradients (p > 0.05).",
        types.uniform,
    ),
    Claim(
        "SL7",
        "Queries and keys carry the whole depth-dependent dynamics.",
        "qualitative",
        "Asymmetry A > 0 by centred label permutation for u and α; share at least 0.8; same sign for the products.",
        types.carried,
    ),
    Claim(
        "SL8",
        "Rank is transient and spectral shape persistent: they encode different information.",
        "qualitative",
        "Time and fate: t90 of shape over t90 of rank > 1, SL2 and SL3 positive. Information: partial ρ of α and "
        "importance given the "
        "stable rank > 0, and not the other way round.",
        dissociation.dissociates,
    ),
    Claim(
        "SL9",
        "A model with two timescales (rank fast, shape slow) formalises this.",
        "constants not printed",
        "M3 or M5 beats M0, M1, M2 and M4 by ΔAIC > 10 and on layers left out; τ_s/τ_f above 2; peak and sign predicted.",
        dissociation.two_timescales,
    ),
    Claim(
        "SL10",
        "Δα grows as L^0.26.",
        "exponent 0.26, R² = 0.99",
        "Exponent of Δ_smooth on at least 5 depths of one width contains 0.26, excludes 0, half width at most "
        "0.15, R² at least 0.9, "
        "power law within 2 AICc of the best law.",
        profile.scales,
    ),
    Claim(
        "SL11",
        "The rank exponent predicts how important a layer is.",
        "ρ = 0.69 to 0.84, p < 0.02; D8 p = 0.11",
        "Spearman ρ > 0 over at least 8 interior layers by permutation, Holm over models.",
        importance.predicts,
    ),
    Claim(
        "SL12",
        "Pruning by the rank exponent beats removing the last layers.",
        "1.1 to 3.6 times in ΔPPL",
        "Mean over N of Δloss(last) − Δloss(spectral) > 0, and > 0 against the layers before the last as well.",
        pruning.beats_last,
    ),
    Claim(
        "SL13",
        "Removing the worst-ranked layers hurts far more than removing the best-ranked.",
        "up to 23.7 times in ΔPPL",
        "Mean over N of ln of the ratio of Δloss > 0, against gaps of random sets.",
        pruning.gap,
    ),
    Claim(
        "SL14",
        "Starting from trained spectra with random singular vectors harms training.",
        "loss 5.307 against 3.720 (D8)",
        "Interval of loss(C1) − loss(C0) above 0, each arm at its best learning rate.",
        warmup.harms,
    ),
    Claim(
        "SL15",
        "Directions matter far more than magnitudes.",
        "inferred from SL14",
        "Trained directions (C3) gain on the standard start, and more than trained spectra (C1, C2).",
        warmup.directions,
    ),
    Claim(
        "SL16",
        "The findings are general.",
        "9 models, 3 families",
        "SL3, SL4, SL11 and SL12 each positive in at least two families.",
        survey.general,
    ),
    Claim(
        "SL17",
        "Spectra every 25 steps make a training monitor.",
        "interval 25 steps",
        "No alarm on at least 3 healthy seeds; alarm before a loss detector in ⅔ of planted failures.",
        survey.monitors,
    ),
)

STUDY = Study(
    name="spectral_lifecycle",
    title="The spectral lifecycle of transformer training",
    reference="liu2026lifecycle",
    claims=CLAIMS,
    gather=gather,
    settings={"least_seeds": LEAST_SEEDS},
    needs="Runs of gedanken train (several depths, three seeds each, with controls), or gedanken scan and gedanken prune "
    "--every of published models.",
)
