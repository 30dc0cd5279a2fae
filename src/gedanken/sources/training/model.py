"""GPT: a small decoder-only transformer in plain PyTorch, in three styles that transformers has too.

Where it deviates from the models it is named after:
- W_Q, W_K and W_V are three matrices; parameters carry their sites as names (`layers.3.attn.W_Q.weight`);
- no dropout anywhere;
- gpt2 [@radford2019language]: the exact GELU, not its tanh approximation; the position table starts like all others;
- llama [@touvron2023llama]: the gated MLP is 4 times as wide as the stream, not 8/3; embedding tied; no grouped queries;
- neox [@black2022gptneox]: embedding tied; attention and MLP in parallel and a quarter of each head rotated, as there;
- start: N(0, 0.02) for every matrix, divided by √(2L) for those that write to the stream (W_O, W_out); biases 0.
None of this changes what transformers computes from the weights (transformers_format.py): the logits are the same.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gedanken.sources.training.randomness import stream
from gedanken.sources.training.recipe import Recipe

INIT_STD = 0.02
"""Standard deviation of the initial entries [@radford2019language]."""

ROTARY_BASE = 10_000.0
"""Base of the rotary wavelengths [@su2021roformer, eq. 15]."""

NORM_EPS = 1e-5
"""Added to the variance in every norm, as GPT-2 and GPT-NeoX do."""


@dataclass(frozen=True)
class Style:
    """What tells the styles apart. `rotated`: the share of each head that is rotated (0: a table of positions)."""

    norm: Callable[[int], nn.Module]
    activation: Callable[[Tensor], Tensor]
    gated: bool
    biased: bool
    parallel: bool
    rotated: float


STYLES = {
    "gpt2": Style(lambda width: nn.LayerNorm(width, NORM_EPS), F.gelu, False, True, False, 0.0),
    "llama": Style(lambda width: nn.RMSNorm(width, NORM_EPS), F.silu, True, False, False, 1.0),
    "neox": Style(lambda width: nn.LayerNorm(width, NORM_EPS), F.gelu, False, True, True, 0.25),
}


class Attention(nn.Module):
    """Causal self-attention of normed input: W_O softmax(q kᵀ / √head_width) v."""

    def __init__(self, recipe: Recipe, style: Style):
        super().__init__()
        self.heads, self.rotated = recipe.heads, int(style.rotated * recipe.head_width) // 2 * 2
        self.norm = style.norm(recipe.width)
        for part in ("W_Q", "W_K", "W_V", "W_O"):
            setattr(self, part, nn.Linear(recipe.width, recipe.width, bias=style.biased))

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
        x = self.norm(x)
        batch, positions, width = x.shape
        q, k, v = (W(x).view(batch, positions, self.heads, -1).transpose(1, 2) for W in (self.W_Q, self.W_K, self.W_V))
        if rotation is not None:
            q, k = (rotate(part, self.rotated, *rotation) for part in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.W_O(mixed.transpose(1, 2).reshape(batch, positions, width))


class MLP(nn.Module):
    """W_out f(W_in x), or W_out (f(W_gate x) ⊙ W_in x) where gated, of normed input."""

    def __init__(self, recipe: Recipe, style: Style):
        super().__init__()
        wide = recipe.mlp_ratio * recipe.width
        self.activation = style.activation
        self.norm = style.norm(recipe.width)
        self.W_gate = nn.Linear(recipe.width, wide, bias=style.biased) if style.gated else None
        self.W_in = nn.Linear(recipe.width, wide, bias=style.biased)
        self.W_out = nn.Linear(wide, recipe.width, bias=style.biased)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        if self.W_gate is None:
            return self.W_out(self.activation(self.W_in(x)))
        return self.W_out(self.activation(self.W_gate(x)) * self.W_in(x))


class Layer(nn.Module):
    """x + attn(x) + mlp(x + attn(x)); where parallel, x + attn(x) + mlp(x)."""

    def __init__(self, recipe: Recipe, style: Style):
        super().__init__()
        self.parallel = style.parallel
        self.attn, self.mlp = Attention(recipe, style), MLP(recipe, style)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
        middle = x + self.attn(x, rotation)
        return middle + self.mlp(x if self.parallel else middle)


class Embed(nn.Module):
    """Rows of W_E, plus rows of W_pos where positions are not rotated."""

    def __init__(self, recipe: Recipe, style: Style):
        super().__init__()
        self.W_E = nn.Embedding(recipe.vocabulary, recipe.width)
        self.W_pos = nn.Embedding(recipe.context, recipe.width) if not style.rotated else None

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.W_E(tokens)
        return x if self.W_pos is None else x + self.W_pos.weight[: tokens.shape[1]]


class Unembed(nn.Module):
    """Logits of the normed stream: by W_U, or by the embedding where tied."""

    def __init__(self, recipe: Recipe, style: Style):
        super().__init__()
        self.norm = style.norm(recipe.width)
        self.W_U = None if recipe.tied else nn.Linear(recipe.width, recipe.vocabulary, bias=False)

    def forward(self, x: Tensor, W_E: Tensor) -> Tensor:
        return F.linear(self.norm(x), W_E if self.W_U is None else self.W_U.weight)


class GPT(nn.Module):
    """Tokens (batch × position) → logits (batch × position × vocabulary)."""

    def __init__(self, recipe: Recipe):
        super().__init__()
        style = STYLES[recipe.style]
        self.embed = Embed(recipe, style)
        self.layers = nn.ModuleList(Layer(recipe, style) for _ in range(recipe.layers))
        self.unembed = Unembed(recipe, style)
        cos, sin = rotations(recipe.context, int(style.rotated * recipe.head_width) // 2 * 2)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        initialise(self, recipe)

    def forward(self, tokens: Tensor) -> Tensor:
        rotation = (self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]) if self.cos.numel() else None
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x, rotation)
        return self.unembed(x, self.embed.W_E.weight)


def rotations(positions: int, width: int) -> tuple[Tensor, Tensor]:
    """cos and sin of position · base^(−2i/width), position × width, the two halves of a row alike [@su2021roformer]."""
    frequencies = 1.0 / ROTARY_BASE ** (torch.arange(0, width, 2, dtype=torch.float32) / max(width, 1))
    angles = torch.outer(torch.arange(positions, dtype=torch.float32), frequencies)
    angles = torch.cat((angles, angles), dim=1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, width: int, cos: Tensor, sin: Tensor) -> Tensor:
    """The first `width` coordinates of each head rotated in planes (i, i + width/2), the rest as they are."""
    turned, rest = x[..., :width], x[..., width:]
    first, second = turned.chunk(2, dim=-1)
    turned = (turned * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)
    return torch.cat((turned, rest), dim=-1) if rest.shape[-1] else turned


@torch.no_grad()
def initialise(model: GPT, recipe: Recipe) -> None:
    """The start described above. Each matrix has a random stream of its own, made of the seed and its name."""
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            writes = name.endswith(("W_O.weight", "W_out.weight"))
            std = INIT_STD / (2 * recipe.layers) ** 0.5 if writes else INIT_STD
            parameter.normal_(0.0, std, generator=torch.Generator().manual_seed(stream(recipe.seed, name)))
        elif name.endswith("bias"):
            parameter.zero_()


def token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean −ln p of the targets in nat per token, in float32; targets of −1 are not counted."""
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=-1)
