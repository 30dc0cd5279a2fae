"""Latent object permanence [@alpay2026latent]: sparsity, dimension and spectrum of the residual stream over depth.

The order of decision is the specification's: gate, null, contradiction, crossover, support.
"""

from gedanken.studies.base import Study
from gedanken.studies.latent_object_permanence import depth, principles, sizes, spectra
from gedanken.studies.latent_object_permanence.evidence import gather

STUDY = Study(
    name="latent_object_permanence",
    title="Latent object permanence: does the residual stream change phase at a critical depth?",
    reference="alpay2026latent",
    claims=(*depth.CLAIMS, *spectra.CLAIMS, *sizes.OF_SIZES, *principles.CLAIMS, *sizes.OF_FAMILIES),
    gather=gather,
    needs="A run of a model on text, with its null runs: gedanken scan MODEL --text stdlib --nulls",
)
