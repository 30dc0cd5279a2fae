"""What pictures of the spectral lifecycle are drawn from: the wave, its gradient, the parts, fits, importance and pruning.

Each function gives one long table with the columns of particle_pictures.PICTURE; `picture` names what a row belongs to.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from gedanken.analysis import fronts
from gedanken.analysis.layer_scores import layer_scores
from gedanken.analysis.layer_series import ATTENTION, LayerSeries, frame_of, layer_series, of_weights
from gedanken.analysis.particle_pictures import PICTURE
from gedanken.analysis.timescales import MODELS, fit_models
from gedanken.measurements.store import Lab
from gedanken.status import Failure

SNAPSHOTS, BINS = 24, 32
"""Snapshots and bins of a density: what keeps a page small."""
DRAWN = 8
"""Training runs that are drawn, by name."""
FITTED = ("M3", "M4")
"""The models that are drawn: the travelling front, and its rival in which nothing travels."""
STARTS = 6
SCORES = ("rank_exponent", "stable_rank", "frobenius_norm", "tail_exponent")


def lifecycle_pictures(lab: Lab, runs: Iterable[str]) -> pl.DataFrame:
    """The rows of all pictures of these runs."""
    rows = [*_of_training(lab, list(runs)), *_of_pruning(lab, list(runs))]
    columns = {name: [row.get(name) for row in rows] for name in PICTURE}
    return pl.DataFrame(columns, schema=PICTURE, strict=False).sort("run", "picture", maintain_order=True)


def _of_training(lab: Lab, runs: list[str]) -> list[dict]:
    trained = lab.runs.filter(pl.col("run").is_in(runs), pl.col("source") == "training").select("run").collect()
    names = sorted(of_weights(trained["run"]))[:DRAWN]
    if not names:
        return []
    frame, rows = frame_of(lab, ("stable_rank", "rank_exponent"), names), []
    for run in names:
        try:
            ranks, alpha = (layer_series(frame, name, run) for name in ("stable_rank", "rank_exponent"))
        except Failure:
            continue
        whole = np.isfinite(ranks.values).all() and np.isfinite(alpha.values).all()
        if not whole or len(ranks.steps) < 6 or len(ranks.layers) < 3:
            continue
        u = fronts.smoothed(ranks.log_compression.of_layers)
        found = [*_wave(ranks, u), *_densities(lab, run, ranks), *_gradient(ranks.steps, u), *_parts(ranks, alpha)]
        found += _fits(ranks.steps, ranks.log_compression.of_layers, alpha.of_layers)
        rows += [row | {"run": run} for row in found]
    return rows


def _shown(count: int) -> np.ndarray:
    """Places of at most SNAPSHOTS snapshots, closer at first, where the front passes."""
    if count <= SNAPSHOTS:
        return np.arange(count)
    return np.unique(np.round((count - 1) * np.linspace(0, 1, SNAPSHOTS) ** 1.5).astype(int))


def _wave(ranks: LayerSeries, u: np.ndarray) -> list[dict]:
    """Cells of the map (`x` is where a cell ends, `y` is u), the front, and stable ranks by part; `low` numbers snapshots."""
    shown = _shown(len(ranks.steps))
    ends = [*ranks.steps[shown[1:]], ranks.steps[-1] + (ranks.steps[-1] - ranks.steps[-2])]
    rows = []
    for number, (at, end) in enumerate(zip(shown, ends, strict=True)):
        place = {"picture": "wave", "time": ranks.steps[at], "low": number}
        rows += [
            place | {"kind": "cell", "number": layer, "x": end, "y": u[at, i]} for i, layer in enumerate(ranks.layers)
        ]
        rows += [
            place | {"kind": "profile", "number": layer, "group": part, "y": ranks.values[p, at, i]}
            for p, part in enumerate(ranks.parts)
            for i, layer in enumerate(ranks.layers)
        ]
    reached = fronts.arrivals(ranks.steps, u)
    front = [
        {"picture": "wave", "kind": "front", "number": layer, "time": t}
        for layer, t in zip(ranks.layers, reached, strict=True)
    ]
    return rows + [row for row in front if np.isfinite(row["time"])]


def _densities(lab: Lab, run: str, ranks: LayerSeries) -> list[dict]:
    """Density of ln σ of all layers' matrices of a part, against σ."""
    shown = _shown(len(ranks.steps))
    steps = ranks.steps[shown].tolist()
    curves = (
        lab.curves.filter(pl.col("run") == run, pl.col("variable") == "singular_values", pl.col("step").is_in(steps))
        .join(
            lab.sites.filter(pl.col("part").is_in(ATTENTION), pl.col("head").is_null()).select(
                "run", "step", "site", "part"
            ),
            on=["run", "step", "site"],
        )
        .select("step", "part", "y")
        .collect()
    )
    values = {key: np.log(y[y > 0]) for key, y in _pooled(curves).items()}
    if not values:
        return []
    low, high = (f(v.min() if f is min else v.max() for v in values.values()) for f in (min, max))
    # the smallest values of a square matrix reach far down and hold little
    low = max(low, high - 6.0)
    edges = np.linspace(low, high, BINS + 1)
    rows = []
    for (step, part), logs in sorted(values.items()):
        heights = np.histogram(logs, edges)[0] / (len(logs) * (edges[1] - edges[0]))
        rows += [
            {
                "picture": "wave",
                "kind": "density",
                "group": part,
                "time": step,
                "low": steps.index(step),
                "number": i,
                "x": float(np.exp((edges[i] + edges[i + 1]) / 2)),
                "y": float(height),
            }
            for i, height in enumerate(heights)
        ]
    return rows


def _pooled(curves: pl.DataFrame) -> dict[tuple[int, str], np.ndarray]:
    grouped = curves.explode("y").partition_by("step", "part", as_dict=True)
    return {key: part["y"].to_numpy() for key, part in grouped.items()}


def _gradient(steps: np.ndarray, u: np.ndarray) -> list[dict]:
    g = fronts.depth_gradient(u)
    rows = [{"picture": "gradient", "kind": "line", "time": t, "y": y} for t, y in zip(steps, g, strict=True)]
    at, value = fronts.peak(steps, g)
    if value <= 0:  # the early layers were never ahead: nothing peaks and nothing reverses
        return rows
    rows.append({"picture": "gradient", "kind": "peak", "time": at, "y": value, "label": f"peak, step {at:.0f}"})
    turned = fronts.reversal(steps, g)
    if np.isfinite(turned):
        rows.append(
            {
                "picture": "gradient",
                "kind": "reversal",
                "time": turned,
                "y": 0.0,
                "label": f"reversal, step {turned:.0f}",
            }
        )
    return rows


def _parts(ranks: LayerSeries, alpha: LayerSeries) -> list[dict]:
    """Standard deviation over interior layers, part by part: of u and of the rank exponent."""
    rows = []
    for picture, series in (("parts_rank", ranks.log_compression), ("parts_shape", alpha)):
        spread = series.values[..., 1:-1].std(axis=-1, ddof=1) if len(series.layers) > 3 else np.empty((0, 0))
        rows += [
            {"picture": picture, "kind": "line", "group": part, "time": t, "y": y}
            for part, line in zip(series.parts, spread, strict=False)
            for t, y in zip(series.steps, line, strict=True)
        ]
    return rows


def _fits(steps: np.ndarray, u: np.ndarray, alpha: np.ndarray) -> list[dict]:
    """Measured and fitted series of three layers, and residuals of all."""
    noise = tuple(max(float(np.diff(x, axis=0).std()), 1e-9) for x in (u, alpha))
    models = [model for model in MODELS if model.name in FITTED]
    fits = fit_models(steps, u, alpha, noise, np.random.default_rng(0), models=models, starts=STARTS, left_out=False)
    shown, layers = _shown(len(steps)), u.shape[1]
    rows = []
    for picture, seen, of in (("fit_rank", u, "u"), ("fit_shape", alpha, "alpha")):
        fitted = {fit.model: getattr(fit, of) for fit in fits}
        for layer in sorted({0, layers // 2, layers - 1}):
            place = {"picture": picture, "number": layer}
            rows += [place | {"kind": "seen", "time": steps[i], "y": seen[i, layer]} for i in shown]
            rows += [
                place | {"kind": "fit", "group": name, "time": steps[i], "y": values[i, layer]}
                for name, values in fitted.items()
                for i in shown
            ]
        rows += [
            {
                "picture": picture,
                "kind": "residual",
                "group": name,
                "number": layer,
                "time": steps[i],
                "y": seen[i, layer] - values[i, layer],
            }
            for name, values in fitted.items()
            for layer in range(layers)
            for i in shown
        ]
    return rows


def _of_pruning(lab: Lab, runs: list[str]) -> list[dict]:
    kept = (
        lab.measurements.filter(
            pl.col("run").is_in(runs), pl.col("variable").is_in(["layer_importance", "loss_increase"])
        )
        .join(lab.settings.select("setting", "fields"), on="setting", how="left")
        .select("run", "site", "variable", "value", "low", "high", "fields")
        .collect()
    )
    made: dict[str, list[dict]] = {}
    for (run,), part in kept.partition_by("run", as_dict=True).items():
        costs = (
            part.filter(pl.col("variable") == "loss_increase")
            .with_columns(
                pl.col("fields")
                .str.json_decode(pl.Struct({"by": pl.String, "remove": pl.Int64, "seed": pl.Int64}))
                .alias("f")
            )
            .unnest("f")
        )
        rows = [
            {
                "picture": "pruning",
                "kind": "random" if by == "random" else "rule",
                "group": by.replace("_", " "),
                "number": count,
                "x": seed,
                "y": value,
                "low": low,
                "high": high,
            }
            for by, count, seed, value, low, high in costs.select(
                "by", "remove", "seed", "value", "low", "high"
            ).iter_rows()
        ]
        alone = part.filter(pl.col("variable") == "layer_importance").with_columns(
            pl.col("site").str.extract(r"layers\.(\d+)\.").cast(pl.Int64).alias("layer")
        )
        made[run] = rows + _importance(lab, _weights(run), alone)
    # Beside the pruned run they stand at the run of the weights, which is the one that a reader looks at first.
    made |= {_weights(run): rows for run, rows in reversed(made.items()) if _weights(run) in runs}
    return [row | {"run": run} for run, rows in made.items() for row in rows]


def _weights(run: str) -> str:
    """The run of the weights of a pruned run."""
    return run.removesuffix("-pruned").rsplit("+", 1)[0]


def _importance(lab: Lab, weights: str, alone: pl.DataFrame) -> list[dict]:
    """Each layer's importance against its scores in the weights' run."""
    rows = []
    last = alone["layer"].max() if len(alone) else -1
    for variable in SCORES if len(alone) else ():
        try:
            scores = layer_scores(lab, weights, variable)
        except Failure:
            continue
        rows += [
            {
                "picture": "importance",
                "kind": "interior" if 0 < layer < last else "end",
                "number": layer,
                "group": variable.replace("_", " "),
                "x": scores[layer],
                "y": value,
                "low": low,
                "high": high,
            }
            for layer, value, low, high in alone.select("layer", "value", "low", "high").sort("layer").iter_rows()
        ]
    return rows
