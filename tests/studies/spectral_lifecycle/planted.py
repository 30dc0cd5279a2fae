"""Planted units and models: one with the paper's effects by construction, one with nothing but noise."""

import numpy as np

from gedanken.studies.spectral_lifecycle.evidence import Evidence
from gedanken.studies.spectral_lifecycle.pruned import Pruned
from gedanken.studies.spectral_lifecycle.units import Unit
from gedanken.theory.two_timescales import bump, fall, settle

STEPS = np.arange(0, 1001, 25)
RECIPE = {
    "preset": "planted",
    "style": "gpt2",
    "layers": 12,
    "width": 128,
    "heads": 4,
    "steps": 1000,
    "control": "",
    "arm": "",
    "learning_rate": 1e-3,
    "warmup": 100,
    "schedule": "cosine",
    "seed": None,
}


def unit(
    kind: str,
    layers: int = 12,
    name: str = "",
    seeds: int = 3,
    height: float = 0.3,
    noise: float = 0.01,
    centre: float = 0.45,
) -> Unit:
    """kind: wave (all matrices follow the two-timescale model), asymmetric (queries and keys alone do), together (no
    delay, depth orders only the timescale: M4), uneven (all fall at once, late layers much further), or noise
    (every layer falls as it likes)."""
    rng = np.random.default_rng(layers + len(kind))
    x, t = (np.arange(layers) + 0.5) / layers, STEPS[:, None].astype(float)
    start = np.zeros(layers)
    even = fall(t, np.full(layers, 1.0), start + 50, 60.0)
    alpha = settle(t, 0.1, bump(x, 0.2, height, centre, 0.25), 300.0)
    flat = settle(t, 0.1, np.full(layers, 0.2), 300.0)
    wave = fall(t, 1.0 + 0.8 * x, 50 + 300 * x, 60.0)
    u, shape = {
        "wave": ([wave] * 4, [alpha] * 4),
        "asymmetric": ([wave, wave, even, even], [alpha, alpha, flat, flat]),
        "together": ([fall(t, 1.0 + 0.8 * x, start, 100 * (1 + 2 * x))] * 4, [alpha] * 4),
        "uneven": ([fall(t, 0.2 + 1.5 * x, start, 60.0)] * 4, [alpha] * 4),
        "noise": (
            [fall(t, 1.0 + rng.uniform(-0.3, 0.3, layers), start, 80 * rng.uniform(0.5, 2, layers))] * 4,
            [flat] * 4,
        ),
    }[kind]
    # seeds differ by an offset of each layer and by noise at each snapshot, which grow from zero with training
    grown = 1 - np.exp(-t / 100)

    def drawn(parts, scale):
        offsets = scale * rng.standard_normal((seeds, 4, 1, layers)) * grown
        return np.stack(parts)[None] + offsets + 0.3 * scale * rng.standard_normal((seeds, 4, len(t), layers)) * grown

    ranks, alphas = 32 * np.exp(drawn(u, noise)), drawn(shape, noise)
    end = alphas[:, :, -4:].mean(axis=(1, 2))
    profiles = dict.fromkeys(("all matrices over their null", "leading 10 %", "leading 30 %"), end)
    varied = np.stack([alpha[-1], 0.1 * alpha[-1]])[None]
    products = {"rank_exponent": varied, "stable_rank": varied} if kind == "asymmetric" else {}
    recipe = {**RECIPE, "layers": layers}
    return Unit(
        name or f"{kind} {layers}",
        "trained here",
        tuple(f"{kind}-{s}" for s in range(seeds)),
        recipe,
        STEPS,
        ranks,
        alphas,
        profiles,
        {},
        products,
        dict.fromkeys(("leading 10 %", "leading 30 %"), alphas[:, :, -4:].mean(axis=2)),
    )


def model(kind: str, layers: int = 20, name: str = "", family: str = "llama") -> Pruned:
    """kind: good (importance follows the rank exponent, the last layer matters most), few (the same on two documents) or
    noise."""
    rng = np.random.default_rng(layers + len(kind))
    alpha = rng.permutation(np.linspace(0.1, 0.6, layers))
    importance = 0.05 + alpha**2 if kind != "noise" else rng.uniform(0.05, 0.4, layers)
    # the last two layers cost a lot, whatever their exponent
    if kind != "noise":
        importance[-1], importance[-2] = 1.0, 0.45
    whole = 3 + 0.3 * rng.standard_normal(24)
    losses, removals = {(): whole}, {}

    def cost(layers_):
        return whole + sum(importance[i] for i in layers_) + 0.02 * rng.standard_normal(24)

    inner = np.arange(1, layers - 1)
    order = inner[np.argsort(alpha[inner])]
    for n in (1, 2, 4):
        sets = {
            "rank_exponent": [order[:n]],
            "rank_exponent_highest": [order[-n:]],
            "last": [np.arange(layers - n, layers)],
            "last_protected": [np.arange(layers - 1 - n, layers - 1)],
            "random": [rng.choice(inner, n, replace=False) for _ in range(5)],
        }
        removals |= {(rule, n): tuple(tuple(sorted(map(int, s))) for s in found) for rule, found in sets.items()}
    singles = [(i,) for i in range(layers)]
    losses |= {s: cost(s) for s in dict.fromkeys([*singles, *(s for found in removals.values() for s in found)])}
    scores = {
        "rank_exponent": alpha,
        "stable_rank": rng.uniform(5, 20, layers),
        "frobenius_norm": rng.uniform(5, 20, layers),
    }
    profiles = dict.fromkeys(("all matrices over their null", "leading 10 %", "leading 30 %"), alpha)
    documents = np.arange(24) // (1 if kind != "few" else 12)
    return Pruned(name or f"{kind} {layers}", family, layers, losses, documents, removals, scores, profiles)


def evidence(*found, **more) -> Evidence:
    return Evidence(
        tuple(x for x in found if isinstance(x, Unit)), tuple(x for x in found if isinstance(x, Pruned)), **more
    )
