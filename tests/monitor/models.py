"""A small GPT in plain PyTorch, with names that an architecture table knows, and its training loop."""

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, x):
        batch, length, width = x.shape
        split = (
            m(x).view(batch, length, self.heads, -1).transpose(1, 2) for m in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = functional.scaled_dot_product_attention(*split, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, width))


class Mlp(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.up_proj = nn.Linear(width, 2 * width, bias=False)
        self.gate_proj = nn.Linear(width, 2 * width, bias=False)
        self.down_proj = nn.Linear(2 * width, width, bias=False)

    def forward(self, x):
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.input_layernorm, self.self_attn = nn.LayerNorm(width), Attention(width, heads)
        self.post_attention_layernorm, self.mlp = nn.LayerNorm(width), Mlp(width)

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, layers: int, width: int, heads: int, vocabulary: int):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)


class Small(nn.Module):
    """Llama's names, tied embedding."""

    def __init__(self, layers: int = 2, width: int = 32, heads: int = 2, vocabulary: int = 64):
        super().__init__()
        self.model = Body(layers, width, heads, vocabulary)

    def forward(self, tokens):
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = layer(x)
        return self.model.norm(x) @ self.model.embed_tokens.weight.T

    def loss(self, tokens):
        logits = self(tokens[:, :-1])
        return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1))


def batches(count: int, seed: int = 0, size: int = 4, length: int = 17, vocabulary: int = 64):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield torch.randint(0, vocabulary // 4, (size, length), generator=generator)


def train(model, monitor, steps: int, rate: float = 3e-3, save=None, seed: int = 0) -> None:
    """Step 0 is measured before the first update; gradients stand when the monitor is called."""
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    monitor(model, 0, 0)
    for step, tokens in enumerate(batches(steps, seed), start=1):
        optimizer.zero_grad()
        loss = model.loss(tokens)
        loss.backward()
        optimizer.step()
        monitor(model, step, step * tokens.numel(), loss=loss, learning_rate=rate)
        if save is not None:
            save(step)
