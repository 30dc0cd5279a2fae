"""Loss: −ln p of each token that a causal model predicts, in nat."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from gedanken.captures.base import Capture
from gedanken.captures.forward import Batch, Observer, is_pretrained, outputs
from gedanken.kinds import Kind, Surprisal
from gedanken.site import Site
from gedanken.sources.prompts import Prompts
from gedanken.status import Flag, Refusal

SITE = Site("unembed", "surprisal")

SLICE = 1 << 20
"""Logits handled at a time: memory of this size is used again, larger would be asked for anew."""


def surprisal(
    model: torch.nn.Module, tokens: Int[torch.Tensor, "prompt position"], mask: Bool[torch.Tensor, "prompt position"]
) -> Float[torch.Tensor, "prompt position-1"]:
    """−ln p of each token after the first of its prompt, given those before it, in nat; 0 where there is no token.

    The model is run as it is, without gradients. Raises Refusal(not_causal) for a model that does not predict the next
    token.
    """
    with torch.no_grad():
        return nats(logits_of(model, outputs(model, tokens, mask)), tokens, mask)


def logits_of(model: torch.nn.Module, output) -> Float[torch.Tensor, "prompt position vocabulary"]:
    """The logits in what a pass gives. Raises Refusal(not_causal) where they are none of the next token."""
    name = type(model).__name__
    if is_pretrained(model):
        if not name.endswith(("ForCausalLM", "LMHeadModel")):
            raise Refusal(Flag.not_causal, f"{name} gives no probability of the next token")
        return output["logits"]
    found = output[0] if isinstance(output, tuple) else output
    if not isinstance(found, torch.Tensor) or found.ndim != 3:
        raise Refusal(Flag.not_causal, f"{name} gives no logits")
    return found


def nats(
    logits: Float[torch.Tensor, "prompt position vocabulary"],
    tokens: Int[torch.Tensor, "prompt position"],
    mask: Bool[torch.Tensor, "prompt position"],
) -> Float[torch.Tensor, "prompt position-1"]:
    """−ln p of each token after the first, a few at a time so that no second table of logits is made."""
    targets, wide = tokens[:, 1:].to(logits.device), _at_least_single(logits.dtype)
    step = max(1, SLICE // logits.shape[-1])
    rows = [
        torch.cat([_surprisal(*part) for part in zip(row[:-1].to(wide).split(step), target.split(step), strict=True)])
        for row, target in zip(logits, targets, strict=True)
    ]
    return torch.stack(rows) * mask[:, 1:].to(logits.device)


def _surprisal(
    logits: Float[torch.Tensor, "position vocabulary"], target: Int[torch.Tensor, " position"]
) -> Float[torch.Tensor, " position"]:
    """ln Σ exp(z − max z) + max z − z_target, both terms ≥ 0: torch's cross_entropy, which makes a table of all log
    probabilities first, in a quarter of the time."""
    largest = logits.amax(dim=-1, keepdim=True)
    rest = (logits - largest).exp_().sum(dim=-1).log()
    return rest + (largest - logits.gather(-1, target[:, None]))[:, 0]


def _at_least_single(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


class LossObserver(Observer):
    """The surprisal of all prompts: nothing is fitted, so both halves count."""

    def __init__(self, prompts: Prompts, dtype: str):
        self._prompts, self._dtype = prompts, dtype
        self._model: torch.nn.Module | None = None
        self.forget()

    def forget(self) -> None:
        self._nats: list[np.ndarray] = []
        self._refusal: Refusal | None = None

    def attach(self, model: torch.nn.Module) -> None:
        self._model = model

    def detach(self) -> None:
        self._model = None

    def batch(self, batch: Batch) -> None:
        if self._refusal is not None:
            return
        try:
            found = nats(logits_of(self._model, batch.output), batch.tokens, batch.mask)
        except Refusal as refusal:
            self._refusal = refusal
            return
        self._nats.append(found[batch.mask[:, 1:].to(found.device)].cpu().numpy())

    def captures(self) -> list[Capture]:
        predicted = self._prompts.count - len(self._prompts)
        return [
            Capture(
                site=SITE,
                kind=Kind.surprisal,
                kinds=frozenset({Kind.surprisal}),
                rows=predicted,
                cols=1,
                dtype=self._dtype,
                raw_name=str(SITE),
                notes=(),
                read=self.read,
                flops=float(predicted),
            )
        ]

    def read(self) -> Surprisal:
        """−ln p of every token by document. Raises Refusal: `not_causal`, `non_finite`."""
        if self._refusal is not None:
            raise self._refusal
        found = np.concatenate(self._nats).astype(np.float64)
        if not np.isfinite(found).all():
            raise Refusal(Flag.non_finite, "a logit is NaN or infinite")
        predicted = [len(row) - 1 for row in self._prompts.tokens]
        documents, number = np.unique(np.repeat(self._prompts.document, predicted), return_inverse=True)
        sizes = None
        if self._prompts.bytes is not None:
            of_prompt = np.searchsorted(documents, self._prompts.document)
            sizes = np.bincount(of_prompt, self._prompts.bytes, len(documents)).astype(int)
        return Surprisal(found, number, sizes)
