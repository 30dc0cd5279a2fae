"""Known cases of ensemble instruments: heads whose logits are given."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from gedanken.kinds import Ensemble
from gedanken.theory import dipoles, row_sums
from gedanken.theory.row_sums import GRID


def of_logits(prompts: Iterable[Float[np.ndarray, "_row _n"]], temperature: float = 1.0) -> Ensemble:
    """One head whose prompts have these logits; −∞ is not seen. It has no queries and keys."""
    return _ensemble(list(prompts), temperature, 0, {}, "only logits are given")


def of_points(
    prompts: Iterable[tuple[Float[np.ndarray, "_row _d"], Float[np.ndarray, "_row _d"]]], scale: float, seed: int = 0
) -> Ensemble:
    """One causal head with these queries and keys."""
    return _of_seen(
        [(query, key, np.tril(np.ones((len(query), len(key)), bool))) for query, key in prompts], scale, seed
    )


def of_row(query: Float[np.ndarray, "row d"], key: Float[np.ndarray, "n d"], scale: float) -> Ensemble:
    """One head whose queries see all keys, in two equal prompts."""
    return _of_seen([(query, key, np.ones((len(query), len(key)), bool))] * 2, scale, 0)


def _of_seen(prompts: list[tuple], scale: float, seed: int) -> Ensemble:
    rng, logits, sums, other = np.random.default_rng(seed), [], [], None
    for query, key, seen in prompts:
        logits.append(np.where(seen, scale * query @ key.T, -np.inf))
        several = seen.sum(axis=1) > 1
        keys = key[None], seen[several]
        sums.append(dipoles.sampled_sums(scale * query[None, several], *keys, scale, rng, other))
        other = keys
    found = {name: np.zeros(row_sums.GROUPS) for name in sums[0]}
    for group, part in enumerate(sums):
        for name, values in part.items():
            found[name][group % row_sums.GROUPS] += values[0]
    return _ensemble(logits, 1 / scale, key.shape[1], found, "")


def _ensemble(prompts: list[np.ndarray], temperature: float, dimension: int, found: dict, why: str) -> Ensemble:
    b, total = row_sums.inverse(GRID), None
    for number, z in enumerate(prompts):
        others = np.concatenate([np.full((len(z), 1), -np.inf), z[:, 1:]], axis=1)
        whole, without = row_sums.dense(z[None], b), row_sums.dense(others[None], b)
        part = row_sums.prompt_sums(whole, without, z[None, :, 0], GRID)
        total = row_sums.empty_like(part) if total is None else total
        row_sums.add_into(total, part, number % row_sums.GROUPS)
    return Ensemble(GRID, temperature, dimension, **row_sums.of_head(total, 0), dipoles=found, no_dipoles=why)


def ladder() -> Ensemble:
    """Four levels E = 0, 2, 4, 6 at T = 2, in three equal prompts of one row."""
    return of_logits([np.array([[0.0, -1.0, -2.0, -3.0]])] * 3, 2.0)


def ladder_and_pair() -> Ensemble:
    """The ladder and, in another prompt, E = 1, −1 at T = 2."""
    return of_logits([np.array([[0.0, -1.0, -2.0, -3.0]]), np.array([[-0.5, 0.5]])], 2.0)


def noise(rng: np.random.Generator, sigma: float, n: int, rows: int = 2000) -> Ensemble:
    """Rows of independent normal logits in 20 prompts."""
    return of_logits([sigma * rng.standard_normal((rows // 20, n)) for _ in range(20)])
