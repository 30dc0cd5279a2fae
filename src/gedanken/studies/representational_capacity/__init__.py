"""Representational capacity: the claims of [@guha2026representational], judged on scanned models and packed vectors."""

from gedanken.studies.base import Study
from gedanken.studies.representational_capacity import capacities, embeddings, kinship, packings, residual
from gedanken.studies.representational_capacity.evidence import gather

CLAIMS = sorted(
    (*embeddings.CLAIMS, *packings.CLAIMS, *capacities.CLAIMS, *kinship.CLAIMS, *residual.CLAIMS),
    key=lambda claim: int(claim.id.removeprefix("RC")),
)

STUDY = Study(
    name="representational_capacity",
    title="Representational capacity: how many directions an embedding allows",
    reference="guha2026representational",
    claims=tuple(CLAIMS),
    gather=gather,
    settings={"cells": "", "random_cells": "", "trials": 100, "draws": 200, "tables": True},
    needs="Embeddings (gedanken scan MODEL) and packings (gedanken pack), or measured cells (--set cells=FILE).",
)
