"""Thermodynamics of attention: the claims of [@kim2026thermodynamics], judged on what forward passes show."""

from gedanken.studies.base import Study
from gedanken.studies.thermodynamics import action, criticality, equilibrium, fields
from gedanken.studies.thermodynamics.evidence import gather

CLAIMS = sorted(
    (*action.CLAIMS, *equilibrium.CLAIMS, *fields.CLAIMS, *criticality.CLAIMS),
    key=lambda claim: int(claim.id.removeprefix("TH")),
)

STUDY = Study(
    name="thermodynamics",
    title="Thermodynamics of attention",
    reference="kim2026thermodynamics",
    claims=tuple(CLAIMS),
    gather=gather,
    needs="models run on a text with their nulls: gedanken scan MODEL --text stdlib --nulls, and once more with "
    "--instrument loss_at_temperature --instrument approximation_rank.",
)
