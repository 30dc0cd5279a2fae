"""LO7 to LO12: objects, basins, contraction, free energy and separability. What is true by definition is checked as such;
what needs more than forward passes says what it needs."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import logsumexp

from gedanken.studies.base import Claim, Judgement, Verdict, not_testable
from gedanken.studies.latent_object_permanence.evidence import Evidence
from gedanken.studies.latent_object_permanence.free_energy import CLAIM as FREE_ENERGY
from gedanken.theory import separability

BY_DEFINITION = "true by definition"


def needs(sentence: str, part: str = "") -> Callable[[Evidence], Judgement]:
    return lambda evidence: not_testable(sentence, part, "not measured")


def lo10(evidence: Evidence) -> Judgement:
    """F[p] − F* = T·KL(p‖p*) on random energies and random p."""
    rng, worst = np.random.default_rng(0), 0.0
    for _ in range(200):
        n, t = int(rng.integers(2, 200)), float(rng.uniform(0.2, 5))
        energy, p = rng.standard_normal(n) * 5, rng.dirichlet(np.ones(n))
        free = -t * logsumexp(-energy / t)
        log_star = (free - energy) / t
        log_p = np.log(np.maximum(p, np.finfo(float).tiny))
        gap, divergence = p @ energy + t * p @ log_p - free, p @ (log_p - log_star)
        worst = max(worst, abs(gap - t * divergence) / max(1.0, abs(gap)))
    return Judgement(
        Verdict.not_testable,
        f"F[p] − F* = T·KL(p‖p*) holds for any softmax (largest deviation here {worst:.1e}) and says nothing about learning.",
        BY_DEFINITION, exact="an identity",
    )  # fmt: skip


def lo12(evidence: Evidence) -> Iterator[Judgement]:
    rng = np.random.default_rng(0)
    worst = max(separability.worst_violation(*separability.random_mixture(rng)) for _ in range(200))
    yield Judgement(
        Verdict.not_testable,
        f"Separated classes bound the spectrum of any mixture (largest violation on 200 random ones {worst:.1e}).",
        BY_DEFINITION, part="bounds", exact="theorems",
    )  # fmt: skip
    yield not_testable(
        "Alignment with classes and the accuracy of probes need prompts with labels (text logic has them) and a probe at every "
        "state, with selectivity and format controls; spectra alone cannot decide.", "probes", "not measured",
    )  # fmt: skip


CLAIMS = (
    Claim(
        "LO7",
        "Beyond the critical depth there are transient class objects: transient, reusable, object-like structures.",
        "–",
        "Supported: more significant tracks than the linear chain's 95 % bound, born in deep states, and the swap criterion "
        "met. Contradicted: the swap ratio's interval lies above 0.",
        needs("Clusters of tokens are not tracked over depth, and no activations are swapped, yet."),
    ),
    Claim(
        "LO8",
        "These basins are fixed points of a depth map like a renormalisation.",
        "–",
        "Layer fixed points, stationarity, basin radius, lumpability: supported if three hold in deep states and beat their "
        "nulls.",
        needs("Layer fixed points, basin radii and lumpability are not measured yet."),
    ),
    Claim(
        "LO9",
        "Transverse contraction suffices for spectral collapse; measured operator norms contract.",
        "q < 1",
        "The inequality is a theorem. Contraction: the 95th percentile of secant ratios below 1 and below the constant-update "
        "null in 80 % of deep blocks, without the norm as well.",
        needs("Contraction needs the Jacobians of blocks, or pairs of tokens through single blocks, not measured yet."),
    ),
    Claim(
        "LO10",
        "Softmax attention follows from a free-energy variational principle.",
        "–",
        "An identity, to 1e−10 in float64; never supported.",
        lo10,
    ),
    FREE_ENERGY,
    Claim(
        "LO12",
        "Logical separability is tied to a low-rank spiked covariance.",
        "–",
        "Bounds T1 to T5 are theorems. Supported: alignment above k/d and above permuted labels, and probe accuracy rises with "
        "the spike at fixed layer and norm. Explained by N7: no selectivity, or the probe reads the format.",
        lo12,
    ),
)  # fmt: skip
