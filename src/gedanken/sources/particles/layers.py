"""Discrete attention layers: what a transformer does in place of integrating.

post-normalised   x ← (x + h A(x)) / |x + h A(x)|
pre-normalised    x ← x + h A(x/|x|): norms grow, so the direction moves ever less [@karagodin2025normalization]
"""

import numpy as np
from jaxtyping import Float

from gedanken.sources.particles.flow import Flow, normalised


def post_norm(flow: Flow, points: Float[np.ndarray, "n d"], step: float) -> Float[np.ndarray, "n d"]:
    """One layer on unit vectors."""
    return normalised(points + step * flow.attention(points))


def pre_norm(flow: Flow, points: Float[np.ndarray, "n d"], step: float) -> Float[np.ndarray, "n d"]:
    """One layer on vectors of any norm but zero."""
    return points + step * flow.attention(normalised(points))


LAYERS = {"post_norm": post_norm, "pre_norm": pre_norm}
