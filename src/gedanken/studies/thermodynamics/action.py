"""Claims about motion: an action over depth, time and fields, and a first law of learning (TH1, TH2, TH6)."""

from gedanken.studies.base import Claim, Judgement, not_testable
from gedanken.studies.thermodynamics.evidence import Evidence

YET = "not testable yet"


def geodesic(evidence: Evidence) -> list[Judgement]:
    return [
        not_testable(
            "It needs the attention patterns of the same rows at every layer (7 or more) for the turning cosine in Fisher, "
            "logit and probability geometry.", "strict", YET,
        ),
        not_testable(
            "Without a kinetic term each layer's row minimises its own free energy, and nothing beyond softmax follows.",
            "no mass (m → 0)", "empty",
        ),
    ]  # fmt: skip


def depth(evidence: Evidence) -> Judgement:
    return not_testable(
        "It needs the kinetic action and path ratio of the same rows over depth, against permuted layers.", reason=YET
    )


def first_law(evidence: Evidence) -> list[Judgement]:
    return [
        not_testable(
            "It needs free energies of one frozen batch at successive training steps, in all four corners of old and new state "
            "and weights, beside random updates of equal norm and shuffled labels.", "work of learning", YET,
        ),
        not_testable("ΔU = heat + work holds for any change of any row.", "balance", "empty"),
    ]  # fmt: skip


CLAIMS = (
    Claim("TH1", "States of information are points of a manifold metrised by Fisher information; attention moves so as to "
          "extremise an action.", "", "turning cosine c: supported if CI(c) > 0.95 and Fisher's exceeds both other geometries "
          "and random weights; refuted if CI(c) < 0.95; the reading m → 0: empty", geodesic),
    Claim("TH2", "Depth stands for time and token representations for fields; the Lagrangian's ingredients are Shannon entropy "
          "and the Fisher–Rao metric.", "", "supported if null_p(K) ≤ 0.01 in ≥ 80 % of models, CI(R_trained − R_random) < 0 "
          "and CI(c) > 0; refuted if the median null_p > 0.05 or CI(c) < 0", depth),
    Claim("TH6", "Information obeys a first law whose work term is inference and whose chemical term is learning.", "",
          "supported if the centred work of learning differs from that of random updates with one sign in all seeds, heat/work "
          "varies by less than 0.25 over seeds, and differs from shuffled labels after memorising", first_law),
)  # fmt: skip
