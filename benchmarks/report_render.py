"""The reports of a big ladder and of a long training.

    python benchmarks/report_render.py

ladder    150 checkpoints × 300 sites × 20 variables, with nulls, intervals and densities
training  400 snapshots × the 50 sites of cpu8, with nulls and the whole spectrum of every matrix, and a run of gradients
          with a quarter of the snapshots

Prints of each the seconds to build the page, its megabytes, and the seconds from navigation to the last visible view drawn, and
to all panels drawn one after the other, in a cold headless Chromium (fastest of three). Limits: 10 MB, 3 s.
"""

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from playwright.sync_api import sync_playwright

from gedanken.measurements import schema
from gedanken.report.build import build

CHECKPOINTS, LAYERS, VARIABLES, BINS = 150, 42, 20, 60
PARTS = ("W_Q", "W_K", "W_V", "W_O", "W_gate", "W_in", "W_out")
CHROMIUM = "/usr/bin/chromium"


@dataclass(frozen=True)
class Frames:
    """The attributes of a lab that the report reads."""

    tables: dict[str, pl.DataFrame]

    def __getattr__(self, name: str) -> pl.LazyFrame:
        if name not in schema.TABLES:
            raise AttributeError(name)
        return self.tables.get(name, schema.frame(name)).lazy()


def ladder(rng: np.random.Generator) -> Frames:
    """294 layered sites and six ends = 300 sites; every value with an error and a null."""
    layers, parts = pl.DataFrame({"layer": range(LAYERS)}, schema={"layer": pl.Int64}), pl.DataFrame({"part": PARTS})
    layered = layers.join(parts, how="cross")
    block = pl.when(pl.col("part").is_in(PARTS[:4])).then(pl.lit("attn")).otherwise(pl.lit("mlp"))
    layered = layered.with_columns(block.alias("block")).with_columns(
        pl.format("layers.{}.{}.{}", "layer", "block", "part").alias("site")
    )
    ends = pl.DataFrame({"part": [f"W_{i}" for i in range(6)]}).with_columns(
        pl.lit(None, pl.Int64).alias("layer"),
        pl.lit("embed").alias("block"),
        pl.format("embed.{}", "part").alias("site"),
    )
    steps = np.unique(np.geomspace(1, 143_000, CHECKPOINTS * 2).astype(int))[-CHECKPOINTS:]
    places = pl.concat([layered, ends.select(layered.columns)]).with_columns(pl.lit("big-ladder").alias("run"))
    sites = places.join(pl.DataFrame({"step": steps}), how="cross")
    names = ["stable_rank", "rank_exponent", *(f"variable_{i}" for i in range(2, VARIABLES))]
    rows = sites.join(pl.DataFrame({"variable": names}), how="cross").with_columns(pl.col("variable").alias("setting"))
    value = np.exp(rng.normal(2, 1, len(rows)))
    values = rows.with_columns(
        pl.Series("value", value),
        pl.Series("stderr", value * rng.uniform(0.01, 0.1, len(rows))),
        pl.lit("ok").alias("status"),
    )
    null = np.exp(rng.normal(2, 0.1, len(rows)))
    nulls = rows.with_columns(
        pl.lit("gaussian_twin").alias("null"), pl.Series("median", null), pl.Series("low", null * 0.9),
        pl.Series("high", null * 1.1), pl.lit(2 / 201).alias("p"), pl.lit(200).alias("draws"),
    )  # fmt: skip
    count = len(sites.filter(pl.col("layer").is_not_null()))
    listed = {name: pl.Series(name, rng.uniform(0, 1, (count, BINS))) for name in ("y", "null_low")}
    x = np.tile(np.linspace(0, 2, BINS), (count, 1))
    curves = sites.filter(pl.col("layer").is_not_null()).with_columns(
        pl.lit("singular_value_density").alias("variable"), pl.lit("density").alias("setting"),
        pl.lit("ok").alias("status"), pl.Series("x", x), *listed.values(), listed["null_low"].alias("null_high"),
    )  # fmt: skip
    common = {"symbol": "v", "unit": "1", "scale": "log", "definition": "a variable", "reference": "[@key2020, eq. 1]"}
    about = [{"variable": name, **common} for name in [*names, "singular_value_density"]]
    settings = [{"setting": name, "instrument": name, "version": 1, "fields": "{}"} for name in names]
    return Frames(
        {
            "measurements": _shaped("measurements", values),
            "nulls": _shaped("nulls", nulls),
            "curves": _shaped("curves", curves),
            "sites": _shaped("sites", sites),
            "runs": schema.frame("runs", [{"run": "big-ladder", "source": "synthetic"}]),
            "steps": schema.frame("steps", [{"run": "big-ladder", "step": int(s)} for s in steps]),
            "settings": schema.frame("settings", settings),
            "variables": schema.frame("variables", about),
        }
    )


def training(rng: np.random.Generator) -> Frames:
    """A front that goes through eight layers: stable rank falls, rank exponents grow."""
    found = [_trained(rng, "long-run", 400), _trained(rng, "long-run gradients", 100)]
    names = ("stable_rank", "rank_exponent", "rank_exponent_fit", "effective_rank", "spectral_norm", "singular_values")
    about = {"unit": "1", "scale": "log", "definition": "a variable", "reference": "[@key2020, eq. 1]"}
    symbols = {"stable_rank": "SR", "rank_exponent": "α"}
    recipe = {"preset": "cpu8", "steps": 10_000, "seed": 0, "control": "", "arm": ""}
    configuration = json.dumps(recipe)
    runs = [
        {"run": run, "source": "training", "configuration": configuration} for run in ("long-run", "long-run gradients")
    ]
    return Frames(
        {
            name: pl.concat([_shaped(name, frames[name]) for frames in found])
            for name in ("measurements", "nulls", "curves", "sites", "steps")
        }
        | {
            "runs": schema.frame("runs", runs),
            "settings": schema.frame(
                "settings",
                [{"setting": n, "instrument": n, "version": 1, "fields": "{}", "default": True} for n in names],
            ),
            "variables": schema.frame(
                "variables", [{"variable": n, "symbol": symbols.get(n, "v"), **about} for n in names]
            ),
        }
    )


def _trained(rng: np.random.Generator, run: str, snapshots: int) -> dict[str, pl.DataFrame]:
    shapes = {"W_Q": 128, "W_K": 128, "W_V": 128, "W_O": 128, "W_in": 512, "W_out": 512}
    block = {part: "attn" if size == 128 else "mlp" for part, size in shapes.items()}
    places = [
        {
            "site": f"layers.{layer}.{block[part]}.{part}",
            "layer": layer,
            "block": block[part],
            "part": part,
            "cols": size,
        }
        for layer in range(8)
        for part, size in shapes.items()
    ]
    places += [
        {"site": f"embed.{part}", "layer": None, "block": "embed", "part": part, "cols": size}
        for part, size in (("W_E", 2048), ("W_pos", 128))
    ]
    steps = pl.DataFrame({"step": 25 * np.arange(snapshots)}).with_columns(
        pl.lit(run).alias("run"), (4 + 4 * (-pl.col("step") / 2000).exp()).alias("loss")
    )
    sites = pl.DataFrame(places, infer_schema_length=None).join(steps.select("run", "step"), how="cross")
    sites = sites.with_columns(pl.lit("matrix").alias("kind"), pl.lit(128).alias("rows"))
    layer, step = sites["layer"].fill_null(0).to_numpy(), sites["step"].to_numpy()
    fallen = 1 - np.exp(-np.clip(step - 200 * layer, 0, None) / 800)
    noise = 1 + 0.01 * rng.standard_normal(len(sites))
    series = {
        "stable_rank": 33 * np.exp(-1.5 * fallen), "rank_exponent": 0.12 + 0.3 * fallen,
        "rank_exponent_fit": 0.9 + 0.05 * fallen, "effective_rank": 100 - 50 * fallen, "spectral_norm": 1 + fallen,
    }  # fmt: skip
    values = pl.concat(
        [
            sites.with_columns(pl.lit(name).alias("variable"), pl.Series("value", value * noise))
            for name, value in series.items()
        ]
    ).with_columns(pl.col("variable").alias("setting"), pl.lit("ok").alias("status"))
    nulls = values.drop("value").with_columns(
        pl.lit("gaussian_twin").alias("null"), pl.lit(0.12).alias("median"), pl.lit(0.11).alias("low"),
        pl.lit(0.13).alias("high"), pl.lit(2 / 201).alias("p"), pl.lit(200).alias("draws"),
    )  # fmt: skip
    ranks = np.arange(1, 129)
    spectra = (1 + fallen)[:, None] * ranks ** -series["rank_exponent"][:, None] * noise[:, None]
    curves = sites.with_columns(
        pl.lit("singular_values").alias("variable"), pl.lit("singular_values").alias("setting"),
        pl.lit("ok").alias("status"), pl.lit(128).alias("n"),
        pl.Series("x", np.tile(ranks.astype(float), (len(sites), 1))), pl.Series("y", spectra),
    )  # fmt: skip
    return {"measurements": values, "nulls": nulls, "curves": curves, "sites": sites, "steps": steps}


def _shaped(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with exactly the table's columns."""
    columns = schema.TABLES[table].items()
    have = set(frame.columns)
    arrays = [pl.col(name).arr.to_list() for name, kind in frame.schema.items() if isinstance(kind, pl.Array)]
    return frame.with_columns(arrays).select(
        *(pl.col(name).cast(kind) if name in have else pl.lit(None, kind).alias(name) for name, kind in columns)
    )


def cold_render(page: Path) -> tuple[float, float]:
    """Seconds, in a new browser process, from navigation to the last visible view and to the last of all panels."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1400, "height": 900})
        start = time.perf_counter()
        view.goto(page.as_uri(), wait_until="commit")
        view.wait_for_function("document.documentElement.dataset.drawn")
        opened = time.perf_counter() - start
        for panel in view.query_selector_all(".panel"):
            panel.scroll_into_view_if_needed()
            panel.wait_for_selector(".chart svg, .empty:not([hidden])")
        every = time.perf_counter() - start
        browser.close()
    return opened, every


def rendered(name: str, lab: Frames) -> str:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        page = build(lab, Path(folder) / "report.html")
        built = time.perf_counter() - start
        runs = [cold_render(page) for _ in range(3)]
        drawn, every = (min(column) for column in zip(*runs, strict=True))
        size = page.stat().st_size / 1e6
    render = f"cold render {drawn:.2f} s, all panels scrolled to {every:.2f} s (limit 3)"
    return f"{name:9} build {built:.1f} s   size {size:.2f} MB (limit 10)   {render}\n"


if __name__ == "__main__":
    for name, make in (("ladder", ladder), ("training", training)):
        if name in (sys.argv[1:] or [name]):
            sys.stdout.write(rendered(name, make(np.random.default_rng(0))))
