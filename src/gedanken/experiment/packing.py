"""The packing experiment: what is measured of a packing."""

from gedanken.experiment.plan import DRAWS, Plan, standard_instruments
from gedanken.instruments.points.coherence import Coherence

INSTRUMENTS = (
    "coherence",
    "cosine_edge",
    "cosine_histogram",
    "cosine_quantile",
    "directional_participation_ratio",
    "greedy_guarantee",
    "packing_capacity",
    "polarization",
    "welch_bound",
)
"""Those that speak of directions; not those that take points for tokens."""


def packing_plan(draws: int = DRAWS) -> Plan:
    """The plan of a packing: instruments of directions, and the coherence of every pair, which the fits are made on."""
    return Plan((*standard_instruments(INSTRUMENTS), Coherence(sample=0)), draws=draws)
