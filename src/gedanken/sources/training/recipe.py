"""Recipe: everything that decides what a training run computes. Whether and when it is watched or saved does not."""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gedanken.status import Failure

Control = Literal["", "frozen", "shuffled", "no-warm-up", "rate-jump", "frozen-layer", "rank-one"]
"""See controls.py for what each of them changes."""


class Recipe(BaseModel):
    """A training run. The defaults that are no preset's are those of the lifecycle study (presets.py says whose)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: str = Field("", description="the preset that the fields were taken from")
    seed: int = Field(0, ge=0, description="of the initial weights and of the order of the data")
    control: Control = Field("", description="what is taken away or broken, to compare with")
    arm: Literal["", "C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7"] = Field(
        "", description="of the spectral warm-up: what the block matrices start as (interventions/spectral_warmup.py)"
    )

    style: Literal["gpt2", "llama", "neox"] = Field("gpt2", description="which transformers model it is, exactly")
    layers: int = Field(8, ge=1, description="blocks")
    width: int = Field(128, ge=2, description="of the residual stream")
    heads: int = Field(4, ge=1, description="attention heads in a layer")
    mlp_ratio: int = Field(4, ge=1, description="width of the MLP over the width of the stream")
    tied: bool = Field(True, description="whether the embedding serves as unembedding")
    vocabulary: int = Field(2048, ge=2, description="rows of the embedding")
    context: int = Field(128, ge=2, description="tokens in a sequence")

    steps: int = Field(1000, ge=1, description="optimizer updates")
    batch: int = Field(8, ge=1, description="sequences in an update")
    learning_rate: float = Field(1e-3, ge=0, allow_inf_nan=False, description="its peak")
    warmup: int = Field(100, ge=0, description="updates over which the rate rises linearly from 0")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="after the warm-up")
    final_fraction: float = Field(0.1, ge=0, le=1, description="of the peak rate that the cosine ends at")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's decay of the mean gradient")
    beta2: float = Field(0.95, ge=0, lt=1, description="AdamW's decay of the mean square")
    weight_decay: float = Field(0.1, ge=0, description="on matrices, not on biases and norms")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")

    task: Literal["text", "modular", "copy"] = Field("text", description="what is to be predicted")
    text: str = Field("stdlib", description="stdlib (Python's own library), a file or folder, or datasets:NAME")
    text_limit: int = Field(8 << 20, ge=1, description="bytes of text that are used at most")
    tokens: Literal["bpe", "bytes"] = Field("bpe", description="byte-pair encoding learnt on the text, or bytes")
    held_out: float = Field(0.05, gt=0, lt=1, description="share of the documents kept for validation")
    modulus: int = Field(97, ge=2, description="p of the modular task, a + b = c mod p")

    device: str = Field("cpu", description="cpu or cuda")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="of the products; weights are float32")
    compile: bool = Field(False, description="whether torch compiles the model")
    threads: int = Field(2, ge=1, description="of torch, while it trains on the CPU")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(f"a width of {self.width} does not divide into {self.heads} heads of an even width")
        return self

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def matrix_parameters(self) -> int:
        """Entries of the blocks' matrices and of the token tables: 12 L d² + V d for an MLP of 4 d, not gated."""
        per_layer = (4 + self.mlp_ratio * (3 if self.style == "llama" else 2)) * self.width**2
        return self.layers * per_layer + (1 if self.tied else 2) * self.vocabulary * self.width

    def fingerprint(self) -> str:
        """Changes when anything that decides the weights does."""
        return hashlib.blake2b(json.dumps(self.model_dump(), sort_keys=True).encode(), digest_size=16).hexdigest()


def recipe(values: Mapping[str, Any]) -> Recipe:
    """A recipe from plain values. Raises Failure for an unknown field (with the nearest one) or an impossible value."""
    try:
        return Recipe(**values)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, Recipe.model_fields, n=1, cutoff=0.5)
            raise Failure(f"A recipe has no field {name!r}.", f"{near[0]}" if near else "") from wrong
        if first["type"] == "literal_error":
            choices = ", ".join(filter(None, get_args(Recipe.model_fields[name].annotation)))
            raise Failure(f"There is no {name} {first['input']!r}; there are {choices}.") from wrong
        said = str(first["msg"]).removeprefix("Value error, ")
        raise Failure(f"{name}: {said}." if name else f"{said[:1].upper()}{said[1:]}.") from wrong


def read_toml(path: Path) -> dict[str, Any]:
    """The fields in a TOML file. Raises Failure if it cannot be read or is no TOML."""
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as broken:
        raise Failure(f"{path} could not be read as TOML: {broken}.") from broken
