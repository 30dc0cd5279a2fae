"""WCAG contrast of both palettes, and their hues under colour blindness."""

from itertools import combinations

import numpy as np
import pytest

from gedanken.report.theme import PALETTES, css_variables, vega_config


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(one: str, two: str) -> float:
    """WCAG 2.1 contrast ratio."""
    a, b = (linear(c) @ [0.2126, 0.7152, 0.0722] + 0.05 for c in (one, two))
    return max(a, b) / min(a, b)


@pytest.mark.parametrize("theme", PALETTES)
def test_text_is_readable(theme):
    c = PALETTES[theme]
    for ground in (c["paper"], c["card"]):
        for text in (c["ink"], c["muted"], c["accent"], c["good"], c["bad"]):
            assert contrast(text, ground) >= 4.5


@pytest.mark.parametrize("theme", PALETTES)
def test_marks_stand_out(theme):
    c = PALETTES[theme]
    for mark in (*c["category"], c["null"]):
        assert contrast(mark, c["card"]) >= 3


# Dichromat simulations in linear RGB, Viénot, Brettel and Mollon 1999.
SIMULATIONS = {
    "protan": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    "deutan": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
}


@pytest.mark.parametrize("theme", PALETTES)
@pytest.mark.parametrize("kind", SIMULATIONS)
def test_measured_and_law_differ_for_the_colour_blind(theme, kind):
    """The two colours that carry a meaning together, and the first three of the models."""
    seen = [np.array(SIMULATIONS[kind]) @ linear(c) for c in PALETTES[theme]["category"][:3]]
    for one, two in combinations(seen, 2):
        # 0.03 in linear light is about ten just-noticeable steps of CIELAB at these lightnesses.
        assert np.linalg.norm(one - two) > 0.03


def test_one_source_of_colours():
    assert f"--accent: {PALETTES['dark']['accent']};" in css_variables("dark")
    assert vega_config("light")["range"]["category"] == PALETTES["light"]["category"]
