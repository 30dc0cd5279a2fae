"""What spectrum instruments share: which values may be used, and the refusals that all of them make."""

import numpy as np
from jaxtyping import Float

from gedanken.instruments.base import Symmetry
from gedanken.kinds import Spectrum
from gedanken.status import Flag, Refusal

OF_SPECTRA = frozenset({Symmetry.scale, Symmetry.sign, Symmetry.transpose, Symmetry.rotation})
"""What leaves singular values alone, up to their scale."""

SMALLEST = 10
"""Values that a fit over ranks or a tail needs: fewer are refused (spectral-lifecycle, §2.8)."""


def nonzero(spectrum: Spectrum) -> Float[np.ndarray, " r"]:
    """All singular values. Raises Refusal if there is none, or if all are zero."""
    if len(spectrum.singular_values) == 0:
        raise Refusal(Flag.empty)
    if spectrum.singular_values[0] == 0.0:
        raise Refusal(Flag.zero_matrix)
    return spectrum.singular_values


def resolved(spectrum: Spectrum, least: int = 1) -> tuple[Float[np.ndarray, " k"], tuple[Flag, ...]]:
    """The values above rounding, descending, and the flag that says so if some are missing.

    Raises Refusal if all are zero, or if fewer than `least` are left.
    """
    nonzero(spectrum)
    found = spectrum.resolved
    if len(found) < least:
        raise Refusal(Flag.too_small, f"{len(found)} values above rounding, where {least} are needed")
    return found, () if len(found) == spectrum.size else (Flag.rank_deficient,)


def independent_entries(spectrum: Spectrum) -> None:
    """Raise Refusal for a product of thin factors, whose random-matrix law is another one."""
    if spectrum.rank_bound is not None:
        raise Refusal(Flag.product)
