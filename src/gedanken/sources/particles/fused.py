"""Attention by torch's fused kernel: exact, O(N) memory, the fastest way in high dimension.

On a CPU that is one call. A GPU has no fused kernel for float64, so queries go there in blocks.

The kernel returns softmax averages only. A constant coordinate in the queries adds what USA and masses need: log masses
as its key, and for USA one more key of score `peak` whose value is a flag channel. With p the flag's output and o the
rest, o/p = Σ_j e^{s_ij − peak} W_V x_j: no log-sum-exp is needed, and p ≥ 1/(N + 1) loses no digits.
"""

from importlib.util import find_spec

import numpy as np
from jaxtyping import Float

from gedanken.sources.particles.interaction import Interaction
from gedanken.status import Failure

BLOCK_ENTRIES = 1 << 27
"""Scores held at a time on a GPU: 1 GB of float64."""
AVAILABLE = find_spec("torch") is not None


def attention(
    interaction: Interaction,
    points: Float[np.ndarray, "n d"],
    masses: Float[np.ndarray, " n"] | None = None,
    device: str = "cpu",
) -> Float[np.ndarray, "n d"]:
    """As pairwise.attention, of a finite temperature, in float64.

    Everything goes to the device here, at once, and only the result comes back.
    """
    import torch

    given = (points, masses, interaction.W_Q, interaction.W_K, interaction.W_V)
    there = (None if array is None else torch.as_tensor(array, device=device) for array in given)
    return on_device(interaction, *there).cpu().numpy()


def on_device(interaction: Interaction, x, masses=None, W_Q=None, W_K=None, W_V=None):
    """The same on tensors of one device; the interaction's own matrices are not looked at."""
    import torch
    from torch.nn.functional import pad

    n, d = x.shape
    query, key, value = (x[None] if W is None else x[None] @ W.transpose(1, 2) for W in (W_Q, W_K, W_V))
    query = query * interaction.inverse_temperature
    if masses is not None or not interaction.softmax:
        logs = x.new_zeros(n) if masses is None else torch.log(masses)
        query, key = pad(query, (0, 1), value=1.0), torch.cat([key, logs.expand(len(key), n)[..., None]], dim=-1)
    if not interaction.softmax:
        # The flag comes first, so that every token sees it through a causal mask; its query is thrown away.
        flag = pad(x.new_full((len(key), 1, 1), interaction.peak), (key.shape[-1] - 1, 0))
        query, key = pad(query, (0, 0, 1, 0)), torch.cat([flag, key], dim=1)
        value = pad(value, (0, 1, 1, 0))
        value[:, 0, -1] = 1.0
    width = max(query.shape[-1], key.shape[-1], value.shape[-1])  # the fused kernel wants one width
    padded = [pad(t, (0, width - t.shape[-1])).expand(interaction.heads, -1, -1)[None] for t in (query, key, value)]
    output = (_whole if x.device.type == "cpu" else by_blocks)(*padded, interaction.causal)[0]
    if not interaction.softmax:
        output = output[:, 1:] / output[:, 1:, d : d + 1]
        output = output / _total(x, masses, interaction.causal)
    return interaction.sign * output[..., :d].sum(dim=0)


def check_device(device: str) -> None:
    """Raises Failure if torch cannot compute there."""
    if device == "cpu":
        return
    if not AVAILABLE:
        raise Failure(f"The device {device!r} needs torch.", "pip install 'gedanken[torch]'")
    import torch

    try:
        torch.zeros(1, dtype=torch.float64, device=device).sum().item()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise Failure(f"The device {device!r} cannot be used here: {str(error).splitlines()[0].rstrip('.')}.") from None


def by_blocks(query, key, value, causal: bool, entries: int = BLOCK_ENTRIES):
    """softmax(q kᵀ) v of (1, head, n, width) tensors, at most `entries` scores at a time."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    count = query.shape[2]
    step = max(1, entries // (query.shape[1] * count))
    found = []
    for start in range(0, count, step):
        stop = min(start + step, count)
        seen = stop if causal else count
        mask = None
        if causal:
            columns, rows = (torch.arange(n, device=query.device) for n in (seen, stop))
            mask = columns[None, :] <= rows[start:, None]
        found.append(
            scaled_dot_product_attention(
                query[:, :, start:stop], key[:, :, :seen], value[:, :, :seen], attn_mask=mask, scale=1.0
            )
        )
    return torch.cat(found, dim=2)


def _whole(query, key, value, causal: bool):
    from torch.nn.functional import scaled_dot_product_attention

    return scaled_dot_product_attention(query, key, value, is_causal=causal, scale=1.0)


def _total(x, masses, causal: bool):
    """The mass that a USA sum is divided by: what is seen if causal, else one in all."""
    import torch

    if masses is None:
        return torch.arange(1, len(x) + 1, device=x.device, dtype=x.dtype)[:, None] if causal else len(x)
    return masses.cumsum(dim=0)[:, None] if causal else 1.0
