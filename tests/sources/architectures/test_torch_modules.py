"""torch.nn's own attention: our matrices, in a plain softmax attention, give what the module gives (float32: 1e-5)."""

import numpy as np
import pytest

from gedanken.site import Site
from gedanken.sources.models import open_model

torch = pytest.importorskip("torch")


def attention(x: np.ndarray, context: np.ndarray, read, heads: int) -> np.ndarray:
    q, k, v = (a @ read(part).T for a, part in ((x, "W_Q"), (context, "W_K"), (context, "W_V")))
    q, k, v = (a.reshape(len(a), heads, -1).swapaxes(0, 1) for a in (q, k, v))
    logits = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    out = (weights / weights.sum(-1, keepdims=True)) @ v
    return out.swapaxes(0, 1).reshape(len(x), -1) @ read("W_O").T


@pytest.mark.parametrize("sizes", [{}, {"kdim": 6, "vdim": 10}])
def test_a_lone_multihead_attention(sizes):
    torch.manual_seed(0)
    module = torch.nn.MultiheadAttention(16, 4, bias=False, batch_first=True, **sizes)
    checkpoint = open_model(module).checkpoint
    pieces = {piece.site: piece for piece in checkpoint.pieces}
    x, k, v = (torch.randn(5, width) for width in (16, sizes.get("kdim", 16), sizes.get("vdim", 16)))
    if not sizes:
        k = v = x
    with torch.no_grad():
        theirs = module(x[None], k[None], v[None])[0][0].numpy()
    matrices = {part: checkpoint.read(pieces[Site("attn", part, 0)]) for part in ("W_Q", "W_K", "W_V", "W_O")}
    if sizes:
        matrices["W_V"] = matrices["W_V"] @ np.linalg.pinv(np.zeros((0, 0))) if False else matrices["W_V"]
        keys = k.numpy() @ matrices["W_K"].T
        values = v.numpy() @ matrices["W_V"].T
        eye = np.eye(16, dtype=np.float32)
        read = {"W_Q": matrices["W_Q"], "W_K": eye, "W_V": eye, "W_O": matrices["W_O"]}
        ours = _attend(x.numpy() @ read["W_Q"].T, keys, values, 4) @ read["W_O"].T
    else:
        ours = attention(x.numpy(), x.numpy(), matrices.__getitem__, 4)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
