"""torch.nn's own attention: our matrices, in a plain softmax attention, give what the module gives (float32: 1e-5)."""

import numpy as np
import pytest

from gedanken.site import Site
from gedanken.sources.models import open_model

torch = pytest.importorskip("torch")

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def attend(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int) -> np.ndarray:
    q, k, v = (a.reshape(len(a), heads, -1).swapaxes(0, 1) for a in (q, k, v))
    weights = np.exp(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1]))
    out = weights / weights.sum(-1, keepdims=True) @ v
    return out.swapaxes(0, 1).reshape(out.shape[1], -1)


@pytest.mark.parametrize("sizes", [{}, {"kdim": 6, "vdim": 10}], ids=["stacked", "separate"])
def test_a_lone_multihead_attention(sizes):
    torch.manual_seed(0)
    module = torch.nn.MultiheadAttention(16, 4, bias=False, batch_first=True, **sizes)
    checkpoint = open_model(module).checkpoint
    w = {piece.site.part: checkpoint.read(piece) for piece in checkpoint.pieces}
    q, k, v = (torch.randn(5, width) for width in (16, sizes.get("kdim", 16), sizes.get("vdim", 16)))
    with torch.no_grad():
        theirs = module(q[None], k[None], v[None])[0][0].numpy()
    ours = attend(q.numpy() @ w["W_Q"].T, k.numpy() @ w["W_K"].T, v.numpy() @ w["W_V"].T, 4) @ w["W_O"].T
    np.testing.assert_allclose(ours, theirs, **CLOSE)


def test_a_transformer_has_two_stacks_and_cross_attention():
    torch.manual_seed(0)
    model = torch.nn.Transformer(16, 4, 1, 2, 24, dropout=0.0, batch_first=True).eval()
    torch.nn.init.zeros_(model.decoder.layers[1].multihead_attn.in_proj_bias)
    checkpoint = open_model(model).checkpoint
    w = {piece.site: checkpoint.read(piece) for piece in checkpoint.pieces}
    assert {str(site) for site in w} == {
        f"{stack}.layers.{layer}.{part}"
        for stack, layer, blocks in (("encoder", 0, ["attn"]), ("decoder", 0, ["attn", "cross_attn"]),
                                     ("decoder", 1, ["attn", "cross_attn"]))
        for part in [f"{b}.{m}" for b in blocks for m in ("W_Q", "W_K", "W_V", "W_O")] + ["mlp.W_in", "mlp.W_out"]
    }  # fmt: skip
    x, memory = torch.randn(5, 16), torch.randn(7, 16)
    with torch.no_grad():
        theirs = model.decoder.layers[1].multihead_attn(x[None], memory[None], memory[None])[0][0].numpy()
    part = {p: w[Site("cross_attn", p, 1, "decoder")] for p in ("W_Q", "W_K", "W_V", "W_O")}
    x, memory = x.numpy(), memory.numpy()
    ours = attend(x @ part["W_Q"].T, memory @ part["W_K"].T, memory @ part["W_V"].T, 4) @ part["W_O"].T
    np.testing.assert_allclose(ours, theirs, **CLOSE)
