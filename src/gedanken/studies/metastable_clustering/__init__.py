"""Metastable clustering: the claims of [@bruno2024emergence] and of the papers around it, judged on simulations."""

from gedanken.studies.base import Claim, Study, not_testable
from gedanken.studies.metastable_clustering import collapse, lifetimes, linear, mean_field, random_starts, symmetry
from gedanken.studies.metastable_clustering.evidence import gather

BRIDGE = Claim(
    "MC18", "Trained layers move tokens as these flows say.", "",
    "skill against frozen tokens, persistence, uniform attention, Gaussian and rotated twins and other layers: transfers if "
    "the lower bound of the skill is above 0 against every control",
    lambda evidence: not_testable(
        "It needs the token states of a running model at every layer, replayed to 1e−4 rad, beside simulations with the "
        "model's own matrices.", reason="not testable yet",
    ),
)  # fmt: skip

CLAIMS = sorted(
    (*mean_field.CLAIMS, *linear.CLAIMS, *random_starts.CLAIMS, *symmetry.CLAIMS, *lifetimes.CLAIMS, *collapse.CLAIMS,
     BRIDGE),
    key=lambda claim: int(claim.id.removeprefix("MC")),
)  # fmt: skip

STUDY = Study(
    name="metastable_clustering",
    title="Metastable clustering: tokens as interacting particles",
    reference="bruno2024emergence",
    claims=tuple(CLAIMS),
    gather=gather,
    settings={"scale": "quick"},
    needs="nothing: it simulates what it judges and keeps it in the lab (scale=full for the largest ensembles).",
)
