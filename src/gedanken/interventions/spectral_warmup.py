"""Spectral warm-up: initial weights made of trained spectra, trained directions, or neither.

A matrix is U diag(σ) Vᵀ; the arms of the experiment take U, V and σ from different places. C1 is the start proposed by
[@liu2026lifecycle]; the others are its controls (spectral-lifecycle, §3.11).

    C0  the standard start                          C4  Haar vectors, trained spectrum of another layer
    C1  Haar vectors, trained spectrum              C5  standard start × trained norm / initial norm
    C2  C1 rescaled to the initial norm             C6  the trained matrices
    C3  trained vectors, initial spectrum           C7  Haar vectors, initial spectrum

Only matrices within blocks are changed; embeddings, norms and biases start as they do.
"""

import re
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float

from gedanken.status import Failure
from gedanken.theory.ensembles import with_singular_values

ARMS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7")
_OF_A_BLOCK = re.compile(r"layers\.(\d+)\.((?:attn|mlp)\.W_\w+)\.weight")

Matrix = Float[np.ndarray, "rows cols"]


def warmed(
    arm: str,
    initial: Mapping[str, torch.Tensor],
    trained: Mapping[str, torch.Tensor],
    rng: np.random.Generator,
) -> dict[str, torch.Tensor]:
    """Weights to start an arm from, by parameter name (`layers.3.attn.W_Q.weight`).

    initial: the standard start of the run; trained: the end of a run of another seed. Both are left as they are.
    Raises Failure for an unknown arm, or if the two are not of one shape.
    """
    if arm not in ARMS:
        raise Failure(f"There is no arm {arm!r}; there are {', '.join(ARMS)}.")
    found = {name: tensor.detach().clone() for name, tensor in initial.items()}
    if arm == "C0":
        return found
    places = {name: match for name in initial if (match := _OF_A_BLOCK.fullmatch(name))}
    for name in places:
        if name not in trained or trained[name].shape != initial[name].shape:
            raise Failure(f"The trained weights hold no {name} of the shape {tuple(initial[name].shape)}.")
    sources = elsewhere(places, rng) if arm == "C4" else {name: name for name in places}
    for name in places:
        start, end = (_array(one[key]) for one, key in ((initial, name), (trained, sources[name])))
        found[name] = torch.from_numpy(made(arm, start, end, rng)).to(initial[name])
    return found


def made(arm: str, start: Matrix, end: Matrix, rng: np.random.Generator) -> Matrix:
    """One matrix of an arm, from its standard start and the trained matrix."""
    match arm:
        case "C1" | "C4":
            return with_singular_values(_spectrum(end), *start.shape, rng)
        case "C2":
            return with_singular_values(_spectrum(end) * _norm(start) / _norm(end), *start.shape, rng)
        case "C3":
            left, _, right = np.linalg.svd(end, full_matrices=False)
            return (left * _spectrum(start)) @ right
        case "C5":
            return start * (_norm(end) / _norm(start))
        case "C6":
            return end
        case "C7":
            return with_singular_values(_spectrum(start), *start.shape, rng)
    return start


def elsewhere(places: Mapping[str, re.Match], rng: np.random.Generator) -> dict[str, str]:
    """For each matrix the name of one of the same part in another layer, each taken once. Raises Failure for one layer."""
    parts: dict[str, list[str]] = defaultdict(list)
    for name, match in places.items():
        parts[match[2]].append(name)
    found = {}
    for names in parts.values():
        if len(names) < 2:
            raise Failure("A spectrum of another layer needs two layers.")
        # a random cycle through all layers: no layer keeps its own
        order = [names[i] for i in rng.permutation(len(names))]
        found |= dict(zip(order, order[1:] + order[:1], strict=True))
    return found


def _array(tensor: torch.Tensor) -> Matrix:
    return tensor.detach().cpu().double().numpy()


def _spectrum(matrix: Matrix) -> Float[np.ndarray, " r"]:
    return np.linalg.svd(matrix, compute_uv=False)


def _norm(matrix: Matrix) -> float:
    return float(np.linalg.norm(matrix))
