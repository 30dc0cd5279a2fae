"""An estimate as text."""

import math

import pytest

from gedanken.analysis.intervals import Estimate


@pytest.mark.parametrize(
    "estimate, spec, said",
    [
        (Estimate(0.5, 0.25, 0.75), ".2f", "0.50 (0.25 to 0.75)"),
        (Estimate(0.5, 0.25, 0.75), "+.1f", "+0.5 (+0.2 to +0.8)"),
        (Estimate(0.5, math.nan, math.nan, 1), ".2f", "0.50"),
    ],
)
def test_an_interval_is_told_where_there_is_one(estimate, spec, said):
    assert f"{estimate:{spec}}" == said
