"""A made-up lab: the tables of two models and a ladder, with plausible numbers, refusals, nulls and hostile names."""

from dataclasses import make_dataclass
from datetime import UTC, datetime

import numpy as np

from gedanken.measurements import schema

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"

PARTS = {
    "attn": {"W_Q": (1.0, 1.0), "W_K": (0.33, 1.0), "W_V": (0.33, 1.0), "W_O": (1.0, 1.0)},
    "mlp": {"W_gate": (2.67, 1.0), "W_in": (2.67, 1.0), "W_out": (1.0, 2.67)},
}

SPECTRAL = {  # name: symbol, unit, scale, null of shape (rows, cols), how far trained values lie from it
    "spectral_norm": ("σ₁", "weight", "log", lambda m, n: m**0.5 + n**0.5, 3.0),
    "frobenius_norm": ("‖W‖", "weight", "log", None, 1.0),
    "stable_rank": ("SR", "1", "log", lambda m, n: m * n / (m**0.5 + n**0.5) ** 2, 0.38),
    "effective_rank": ("R₁", "1", "linear", lambda m, n: 0.805 * min(m, n), 0.8),
    "energy_effective_rank": ("R₂", "1", "linear", lambda m, n: 0.6 * min(m, n), 0.6),
    "spectral_entropy": ("H", "1", "linear", lambda m, n: 0.93, 0.9),
    "participation_ratio": ("PR", "1", "linear", lambda m, n: min(m, n) / (1 + min(m, n) / max(m, n)), 0.5),
    "rank_exponent": ("α", "1", "linear", lambda m, n: 0.1, 2.5),
    "rank_exponent_r2": ("R²", "1", "linear", None, 1.0),
    "tail_exponent": ("a", "1", "linear", lambda m, n: 8.0, 0.45),
    "ks_distance": ("D", "1", "linear", lambda m, n: 0.05, 1.2),
    "outlier_count": ("N₊", "1", "linear", lambda m, n: 0.0, 1.0),
    "bulk_edge": ("λ₊", "weight²", "log", lambda m, n: (m**0.5 + n**0.5) ** 2 / m, 0.7),
    "condition_number": ("κ", "1", "log", None, 1.0),
    "alpha_hat": ("α̂", "1", "linear", None, 1.0),
    "entry_kurtosis": ("γ₂", "1", "linear", lambda m, n: 0.0, 1.0),
}

EMBEDDING = {
    "cosine_mean": ("μ", "1", "linear", 0.0, 0.11),
    "cosine_spread": ("σ", "1", "linear", 0.0417, 0.094),
    "cosine_edge": ("ε", "1", "linear", 0.0833, 0.31),
    "anisotropy": ("A", "1", "linear", 0.0, 0.11),
    "packing_capacity": ("log₁₀ k", "log₁₀ 1", "linear", 4.1, 4.9),
}

CURVES = {
    "singular_value_density": ("ρ(σ)", "1/weight", "linear"),
    "cosine_histogram": ("p(c)", "1", "linear"),
}


Frames = make_dataclass("Frames", schema.TABLES, frozen=True)
"""The attributes of a lab that the report reads: its tables."""


def frames(**rows: list[dict]) -> Frames:
    """A lab of exactly these rows; a table that is not named is empty."""
    return Frames(**{name: schema.frame(name, rows.get(name, [])).lazy() for name in Frames.__dataclass_fields__})


def _variables() -> list[dict]:
    rows = []
    for name, (symbol, unit, scale, null, _) in SPECTRAL.items():
        rows.append(
            {
                "variable": name, "instrument": name, "symbol": symbol, "unit": unit, "scale": scale,
                "definition": f"what {name} measures: Σσ²/σ₁²", "reference": "[@rudelson2007sampling, eq. 1]",
                "aliases": [], "no_null": "" if null else "no structureless twin has this quantity",
            }
        )  # fmt: skip
    for name, (symbol, unit, scale, *_) in {**EMBEDDING, **CURVES}.items():
        rows.append(
            {
                "variable": name, "instrument": name, "symbol": symbol, "unit": unit, "scale": scale,
                "definition": f"{name}, against the {'cosine' if 'cos' in name else 'singular value [weight]'}",
                "reference": "[@guha2026representational, §2]",
                "aliases": [], "no_null": "",
            }
        )  # fmt: skip
    return rows


def _density(rng, m, n, quantised):
    q, s = min(m, n) / max(m, n), 1 / max(m, n) ** 0.5
    low, high = s * abs(m**0.5 - n**0.5), s * (m**0.5 + n**0.5)
    edges = np.linspace(0, high * 2.2, 41)
    x = (edges[1:] + edges[:-1]) / 2
    law = np.where(
        (x > low) & (x < high),
        np.sqrt(np.clip((high**2 - x**2) * (x**2 - low**2), 0, None)) / (np.pi * q * np.maximum(x, 1e-9)),
        0,
    )
    law = law / max((law * np.diff(edges)).sum(), 1e-12)
    y = np.abs(law * rng.uniform(0.5, 1.1, x.size) + 0.4 * np.exp(-x / high)) * (x < 2 * high)
    return {"x": x, "y": y / (y * np.diff(edges)).sum(), "null_low": law * 0.98, "null_high": law * 1.02}


def _model(run, layers, width, rng, steps=(None,), quantised=False, gate=True, stack=None):
    """Rows of the four tables of one run."""
    sites, values, nulls, curves = [], [], [], []
    for step in steps:
        progress = 1.0 if step is None else min(1.0, np.log1p(step) / np.log1p(steps[-1]))
        for layer in range(layers):
            for block, parts in PARTS.items():
                for part, (a, b) in parts.items():
                    if part == "W_gate" and not gate:
                        continue
                    m, n = int(a * width), int(b * width)
                    address = {"run": run, "step": step, "site": f"layers.{layer}.{block}.{part}"}
                    sites.append(
                        {**address, "kind": "matrix", "layer": layer, "block": block, "part": part, "rows": m,
                         "cols": n, "dtype": "q4_1" if quantised else "float32", "raw_name": address["site"],
                         "notes": ["quantised"] if quantised else [], "stack": stack}
                    )  # fmt: skip
                    depth = (layer + 0.5) / layers
                    pull = (1.6 if part in ("W_Q", "W_K") else 0.6) * (0.5 + depth) * progress
                    for name, (_, _, _, law, far) in SPECTRAL.items():
                        row = {**address, "variable": name, "setting": name, "n": min(m, n), "flags": []}
                        if name == "condition_number" and quantised:
                            values.append({**row, "status": "refused", "flags": ["quantised"]})
                            continue
                        if name == "tail_exponent" and layer == 0:
                            values.append({**row, "status": "refused", "flags": ["too_small"]})
                            continue
                        null = law(m, n) if law else None
                        value = (null or 1.0) * far ** (pull) * np.exp(rng.normal(0, 0.08))
                        if name == "outlier_count":
                            value = float(rng.poisson(6 * pull))
                        if name == "entry_kurtosis":
                            value = float(rng.exponential(pull))
                        error = 0.05 * value if name in ("tail_exponent", "rank_exponent") else None
                        values.append({**row, "status": "ok", "value": value, "stderr": error})
                        if null is not None:
                            low, high = (null * 0.97, null * 1.03) if null else (-0.05, 0.08)
                            nulls.append(
                                {**address, "variable": name, "setting": name, "null": "gaussian", "median": null,
                                 "low": low, "high": high, "draws": 200,
                                 "p": 2 / 201 if not low <= value <= high else 0.4}
                            )  # fmt: skip
                    curves.append(
                        {**address, "variable": "singular_value_density", "setting": "density", "status": "ok",
                         "n": min(m, n), "flags": [], **_density(rng, m, n, quantised)}
                    )  # fmt: skip
        address = {"run": run, "step": step, "site": "embed.W_E"}
        sites.append(
            {**address, "kind": "points", "block": "embed", "part": "W_E", "rows": 49152, "cols": width,
             "dtype": "q8_0" if quantised else "float32", "raw_name": "token_embd.weight", "notes": []}
        )  # fmt: skip
        for name, (_, _, _, null, value) in EMBEDDING.items():
            key = {**address, "variable": name, "setting": name}
            shown = null + (value - null) * progress
            flags = ["extrapolated"] if name == "packing_capacity" else []
            values.append({**key, "status": "ok", "value": shown, "stderr": 0.02 * shown, "n": 49152, "flags": flags})
            nulls.append(
                {**key, "null": "gaussian", "median": null, "low": null - 0.0001, "high": null + 0.0001, "p": 2 / 201,
                 "draws": 0}
            )  # fmt: skip
        x = np.linspace(-0.3, 0.7, 60)
        curves.append(
            {**address, "variable": "cosine_histogram", "setting": "histogram", "status": "ok", "n": 10**7,
             "flags": ["sampled"], "x": x, "y": np.exp(-((x - 0.11) ** 2) / 2 / 0.094**2) / 0.2357,
             **{end: np.exp(-(x**2) / 2 / 0.0417**2) / 0.1045 for end in ("null_low", "null_high")}}
        )  # fmt: skip
    return sites, values, nulls, curves


def lab(seed: int = 3, ladder: int = 20, hostile: bool = False) -> Frames:
    """Two models (a 30-layer decoder stored in 4 bits, a 6-layer encoder) and, with `ladder` > 0, a run of steps."""
    rng = np.random.default_rng(seed)
    names = ["SmolLM2-135M", HOSTILE if hostile else "all-MiniLM-L6-v2", "small-decoder"]
    steps = tuple(int(s) for s in np.unique(np.geomspace(1, 20_000, ladder).astype(int))) if ladder else ()
    tables = [
        _model(names[0], 30, 576, rng, quantised=True),
        _model(names[1], 6, 384, rng, gate=False),
        *([_model(names[2], 8, 128, rng, steps=steps)] if ladder else []),
    ]
    sites, values, nulls, curves = (sum((list(t[i]) for t in tables), []) for i in range(4))
    for row in curves:
        for key in ("x", "y", "null_low", "null_high"):
            row[key] = np.asarray(row[key]).tolist()
    used = names[: len(tables)]
    runs = [
        {"run": name, "source": f"{name}.gguf", "revision": "main", "architecture": "llama", "configuration": "{}",
         "code_version": "0.1.0", "dtype": "q4_1", "device": "cpu", "threads": 2,
         "created": datetime(2026, 7, 1, 12, tzinfo=UTC)}
        for name in used
    ]  # fmt: skip
    ladder_steps = [{"run": names[2], "step": s, "tokens": s * 4096, "loss": 7 - 0.3 * np.log(s)} for s in steps]
    known = {row["setting"]: row["variable"] for row in values + curves}
    usual = {"version": 1, "fields": "{}", "default": True}
    settings = [{"setting": s, "instrument": v, **usual} for s, v in known.items()]
    return frames(
        measurements=values, nulls=nulls, curves=curves, sites=sites, runs=runs, steps=ladder_steps,
        settings=settings, variables=_variables(),
    )  # fmt: skip
