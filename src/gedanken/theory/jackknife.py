"""Standard errors from leaving out one group of the data at a time."""

import math

import numpy as np
from jaxtyping import Float


def stderr(left_out: Float[np.ndarray, " groups"]) -> float:
    """√((G−1)/G · Σ(θ_g − θ̄)²) of the values θ_g with group g left out [@efron1981jackknife, eq. 1.5]. 0 if G < 2."""
    count = len(left_out)
    if count < 2:
        return 0.0
    scale = float(np.abs(left_out).max()) or 1.0
    return scale * math.sqrt((count - 1) / count * float(np.sum((left_out / scale - np.mean(left_out / scale)) ** 2)))
