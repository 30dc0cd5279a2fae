"""Metastable clustering: the claims of [@bruno2024emergence] and of the papers around it, judged on simulations."""

from gedanken.studies.base import Study
from gedanken.studies.metastable_clustering import (
    collapse,
    lifetimes,
    linear,
    mean_field,
    random_starts,
    symmetry,
    trained_layers,
)
from gedanken.studies.metastable_clustering.evidence import gather

CLAIMS = sorted(
    (*mean_field.CLAIMS, *linear.CLAIMS, *random_starts.CLAIMS, *symmetry.CLAIMS, *lifetimes.CLAIMS, *collapse.CLAIMS,
     *trained_layers.CLAIMS),
    key=lambda claim: int(claim.id.removeprefix("MC")),
)  # fmt: skip

STUDY = Study(
    name="metastable_clustering",
    title="Metastable clustering: tokens as interacting particles",
    reference="bruno2024emergence",
    claims=tuple(CLAIMS),
    gather=gather,
    settings={"scale": "quick"},
    needs="nothing: it simulates what it judges and keeps it in the lab (scale=full for the largest ensembles); for MC18 a "
    "bridge to a trained model (gedanken simulate --bridge MODEL).",
)
