"""Particles: the pictures of simulations among the report's tables."""

import altair as alt
import polars as pl

from gedanken.analysis import bridge
from gedanken.analysis.packing_pictures import packing_picture, token_pictures
from gedanken.analysis.particle_pictures import pictures
from gedanken.analysis.wording import cited

BRIDGES = {
    "bridge_anisotropy": "mean cosine of tokens",
    "bridge_arc_distance": "distance from the measured tokens",
    "bridge_arc_distance_forced": "distance from the measured tokens, by layer",
    "bridge_arc_distance_centred": "distance with the mean token removed",
    "bridge_arc_distance_trimmed": "distance without heavy coordinates",
    "bridge_anisotropy_trimmed": "mean cosine without heavy coordinates",
    "bridge_displacement_cosine": "cosine of displacements",
    "bridge_gram_correlation": "correlation of Gram entries",
    "bridge_polarization": "polarization",
    "bridge_interaction_energy_normalised": "interaction energy, β = 5",
    "bridge_cluster_count": "clusters, β = 5",
}
"""Over depth, measured and simulated."""
LABELS = BRIDGES | {
    "tracks": "angles over time",
    "tracks_log": "angles over the logarithm of time",
    "places": "places over time",
    "growth": "amplitudes over time",
    "staircase": "energy over time",
    "staircase_log": "energy over the logarithm of time",
    "counts": "cluster counts of random starts",
    "packing": "largest overlap against the number of vectors",
    "nearest_tokens": "nearest tokens",
    "token_pairs": "pairs of tokens",
    "followed_tokens": "most-followed tokens",
}
TITLES = {name: f"{label} [{'rad' if 'distance' in name else '1'}]" for name, label in BRIDGES.items()} | {
    "nearest_tokens": "cosine [1]", "token_pairs": "cosine [1]",
    "followed_tokens": "tokens whose nearest it is [token]",
}  # fmt: skip
"""Of the value axis, where it is not the label."""
PLACES = ("point_angle", "mode_phase", "point_latitude", *bridge.VARIABLES)
"""Curves that only pictures are drawn from."""
COLUMNS = ["kind", "number", "group", "time", "x", "y", "low", "high", "label"]
FINE = 4
"""Digits of the pictures: half a pixel of their height."""
DRAWN = 8
"""Runs with pictures, by name: a page of them stays below a few megabytes."""


def collect_pictures(lab, runs: list[str]) -> pl.DataFrame:
    """The rows of all pictures as a table of the page: `quantity` names the picture; there is no step and no site."""
    found = pl.concat([pictures(lab), packing_picture(lab), token_pictures(lab), _bridges(lab)])
    # what belongs to the lab stands under its first run, or under no name where there is none
    runs = runs or [""]
    found = found.with_columns(pl.when(pl.col("run") == "").then(pl.lit(runs[0])).otherwise("run").alias("run"))
    drawn = [run for run in runs if run in set(found["run"])][:DRAWN]
    empty = [pl.lit(None, dtype=pl.Int64).alias("step"), pl.lit(None, dtype=pl.String).alias("site")]
    return found.filter(pl.col("run").is_in(drawn)).rename({"picture": "quantity"}).with_columns(*empty)


def _bridges(lab) -> pl.DataFrame:
    """Those of the bridges' pictures that are drawn."""
    return bridge.bridge_pictures(lab).filter(pl.col("picture").is_in(list(BRIDGES)))


def picture_quantities(found: pl.DataFrame) -> dict[str, dict]:
    """What the page must know of each picture, in the form of data.Data.quantities."""
    return {
        name: {
            "variable": name, "label": LABELS[name], "title": TITLES.get(name, LABELS[name]),
            "x_title": "", "symbol": "", "unit": "1",
            "scale": "log" if name.endswith("_log") else "linear", "no_null": "", "definition": "", "curve": True,
            "reference": cited(""), "positive": False, "ratio": False, "layered": False, "null": "", "picture": True,
        }
        for name in found["quantity"].unique().sort()
    }  # fmt: skip


def of_pictures(data, *names: str) -> tuple[str, ...]:
    """Those of the pictures that the data hold."""
    return tuple(name for name in names if name in data.quantities)


def time_axis(scale: str) -> alt.X:
    """Simulation time, linear or logarithmic."""
    kind = alt.Scale(type="log", nice=False) if scale == "log" else alt.Scale(nice=False)
    return alt.X(
        "time:Q", title="time [1]", scale=kind, axis=alt.Axis(tickCount=6, format=",~g" if scale == "log" else "")
    )
