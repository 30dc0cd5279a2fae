"""Symmetric scores: attention whose logits are the symmetric part of the model's own, (s_ij + s_ji)/2.

Without rotations s_ij = x_iᵀBx_j, B = W_QᵀW_K, and this is attention with (B + Bᵀ)/2. With them B depends on how far apart
two tokens are, and the symmetric part is of the scores all the same. Masks stay: they come after.
"""

import copy
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from gedanken.captures.attention.seen import Call, changed_calls


@contextmanager
def symmetric_scores(model: torch.nn.Module, modules: Container[torch.nn.Module]) -> Iterator[None]:
    """The attention of some modules with symmetric scores, for a while. Raises Failure as changed_calls does."""
    with changed_calls(model, modules, lambda call, number: _symmetric(call)):
        yield


def _symmetric(call: Call) -> Call:
    """Queries (q, k) and keys (k, q) at half the scale: (q_i·k_j + k_i·q_j)/2."""
    groups = call.query.shape[1] // call.key.shape[1]
    key, value = (tensor.repeat_interleave(groups, dim=1) for tensor in (call.key, call.value))
    scale = call.options.get("scaling")
    scale = call.query.shape[-1] ** -0.5 if scale is None else scale
    # every query head has keys of its own now, which the function must not repeat once more
    module = copy.copy(call.module)
    module.num_key_value_groups = 1
    return replace(
        call,
        module=module,
        query=torch.cat([call.query, key], dim=-1),
        key=torch.cat([key, call.query], dim=-1),
        value=value,
        options={**call.options, "scaling": scale / 2},
    )
