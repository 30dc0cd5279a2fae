"""LoRA adapters in PEFT's format: ΔW = s·B·A as thin factors, at the sites of the matrices that they change.

s = α/r [@hu2022lora, § 4.1], or α/√r where `use_rslora` says so [@kalajdzievski2023rslora]. A DoRA adapter rescales
each row of W + ΔW besides [@liu2024dora, eq. 5]; its ΔW is the part before that, and the note `dora` says so. B·A is
out × in even where the base model stores in × out (PEFT transposes it then), so `fan_in_fan_out` does not matter.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gedanken.kinds import Factors, Kind
from gedanken.sources.architectures.base import Piece, Skipped
from gedanken.sources.architectures.layout import layout
from gedanken.sources.checkpoints import Checkpoint, read_config, read_json
from gedanken.sources.tensor_files.base import TensorFile, TensorInfo
from gedanken.sources.tensor_files.open import open_tensor_file
from gedanken.status import Failure

CONFIG = "adapter_config.json"
_FILES = ("adapter_model.safetensors", "adapter_model.bin")
_MODELS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_LORA = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<which>[AB])(?:\.\w+)?\.weight")
_EMBEDDING = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_embedding_(?P<which>[AB])(?:\.\w+)?")
_MAGNITUDE = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_magnitude_vector(?:\.\w+)?(?:\.weight)?")
_SAVED = re.compile(r"(?:base_model\.model\.)?(?P<name>.+?)(?:\.modules_to_save(?:\.\w+)?)?(?P<last>\.\w+)")


@dataclass(frozen=True, slots=True)
class _Pair:
    """The names of A (rank × in) and B (out × rank) of one changed matrix, and s. An embedding's ΔW is (B·A)ᵀ."""

    a: str
    b: str
    scale: float
    embedding: bool = False


@dataclass(frozen=True)
class AdapterCheckpoint(Checkpoint):
    """A Checkpoint whose pieces are changes of matrices, read as Factors; weights saved whole beside them as arrays."""

    pairs: Mapping[str, _Pair] = field(default_factory=dict)

    def read(self, piece: Piece, start: int = 0, stop: int | None = None) -> np.ndarray | Factors:
        pair = self.pairs.get(piece.tensor)
        if pair is None:
            return super().read(piece, start, stop)
        left = self.files.read(pair.b).astype(np.float64) * pair.scale
        right = self.files.read(pair.a).astype(np.float64)
        if pair.embedding:
            left, right = right.T, left.T
        return Factors(np.ascontiguousarray(piece.cut.rows_of(left)[start:stop]), right)


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no model."""
    return any((folder / name).is_file() for name in (CONFIG, *_FILES)) and not any(
        (folder / name).is_file() for name in _MODELS
    )


def open_adapter(folder: Path) -> Checkpoint:
    """The changes that a LoRA adapter makes. Raises Failure if it is none or its files contradict each other."""
    if not (folder / CONFIG).is_file():
        raise Failure(f"{folder} holds an adapter's weights but no {CONFIG}.")
    told = read_json(folder / CONFIG)
    kind = told.get("peft_type")
    if kind != "LORA":
        raise Failure(f"{folder} is an adapter of type {kind}: only LORA adapters can be read.")
    if told.get("target_parameters"):
        raise Failure(f"{folder} changes bare parameters (target_parameters), which cannot be read.")
    path = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if path is None:
        raise Failure(f"{folder} has an {CONFIG} but no {' or '.join(_FILES)}.")
    return adapter(open_tensor_file(path), told, _base_config(folder, told))


def _base_config(folder: Path, told: Mapping[str, Any]) -> dict[str, Any]:
    """The base model's configuration: beside the adapter, or in the local folder that the adapter names."""
    base = told.get("base_model_name_or_path")
    return read_config(folder) or (read_config(Path(base)) if isinstance(base, str) and base else {})


def adapter(files: TensorFile, told: Mapping[str, Any], config: Mapping[str, Any]) -> AdapterCheckpoint:
    """The pieces of opened adapter weights. `told` is the adapter's configuration, `config` the base model's.

    Raises Failure if factors are missing, do not fit, or come twice.
    """
    changed, magnitudes, others = _sorted(files, told)
    pairs = {name: pair for name, (pair, _) in changed.items()}
    changes = layout({name: info for name, (_, info) in changed.items()}, config, oriented=True)
    saved = layout({_plain(name): replace(info, name=_plain(name)) for name, info in others.items()}, config)
    back = {_plain(name): name for name in others}
    pieces = [_change(piece, pairs[piece.tensor], piece.tensor in magnitudes) for piece in changes.pieces]
    pieces += [replace(piece, tensor=back[piece.tensor], notes=(*_untied(piece), "saved")) for piece in saved.pieces]
    skipped = [Skipped(back[skip.tensor], skip.reason) for skip in saved.skipped]
    skipped += [Skipped(pair.a, f"factor of {pair.b}") for pair in pairs.values()]
    skipped += [Skipped(name, "magnitudes of dora") for name in magnitudes.values()]
    return AdapterCheckpoint(
        files,
        {**config, "adapter": dict(told)},
        changes.architecture,
        tuple(pieces),
        tuple(skipped),
        changes.heads,
        {pair.b: pair for pair in pairs.values()},
    )


def _change(piece: Piece, pair: _Pair, dora: bool) -> Piece:
    notes = (*_untied(piece), "factors", *(("dora",) if dora else ()))
    return replace(piece, tensor=pair.b, notes=notes, kind=Kind.matrix, factored=True)


def _untied(piece: Piece) -> tuple[str, ...]:
    """Its notes without `tied`: that an adapter holds no head says nothing of the model."""
    return tuple(note for note in piece.notes if note != "tied")


def _sorted(
    files: TensorFile, told: Mapping[str, Any]
) -> tuple[dict[str, tuple[_Pair, TensorInfo]], dict[str, str], dict[str, TensorInfo]]:
    """Changed matrices by the base model's name, magnitudes by it, and every other tensor."""
    halves: dict[str, dict[str, str]] = {}
    magnitudes, others = {}, {}
    for name, info in files.tensors.items():
        match = _LORA.fullmatch(name) or _EMBEDDING.fullmatch(name)
        if match and len(info.shape) == 2:
            found = halves.setdefault(match["module"], {})
            if match["which"] in found:
                raise Failure(f"{files.label} holds more than one adapter: {match['module']} has several changes.")
            found[match["which"]] = name
        elif match := _MAGNITUDE.fullmatch(name):
            magnitudes[f"{match['module']}.weight"] = name
        else:
            others[name] = info
    changed = {f"{module}.weight": _changed(files, told, module, names) for module, names in halves.items()}
    return changed, magnitudes, others


def _changed(
    files: TensorFile, told: Mapping[str, Any], module: str, names: Mapping[str, str]
) -> tuple[_Pair, TensorInfo]:
    """The factors of one changed matrix, and what the base model's tensor would look like in a header."""
    if set(names) != {"A", "B"}:
        raise Failure(f"{files.label}: {module} has only one of the two factors of its change.")
    a, b = files.tensors[names["A"]], files.tensors[names["B"]]
    if a.shape[0] != b.shape[1]:
        raise Failure(f"{files.label}: the factors of {module} have shapes {a.shape} and {b.shape}, which do not fit.")
    embedding = _EMBEDDING.fullmatch(a.name) is not None
    pair = _Pair(a.name, b.name, _scale(files, told, module, a.shape[0]), embedding)
    shape = (a.shape[1], b.shape[0]) if embedding else (b.shape[0], a.shape[1])
    return pair, TensorInfo(f"{module}.weight", shape, b.dtype, a.nbytes + b.nbytes)


def _scale(files: TensorFile, told: Mapping[str, Any], module: str, rank: int) -> float:
    alpha, patterns = told.get("lora_alpha"), told.get("alpha_pattern")
    for ending, value in patterns.items() if isinstance(patterns, Mapping) else ():
        # PEFT takes these as regular expressions; a stranger's are not run here.
        if not re.fullmatch(r"[\w.]+", ending):
            raise Failure(f"{files.label}: alpha_pattern holds the regular expression {ending!r}, which is not read.")
        if f".{module}".endswith(f".{ending}"):
            alpha = value
            break
    if type(alpha) not in (int, float) or rank == 0:
        raise Failure(f"{files.label}: the adapter's configuration gives no lora_alpha for {module}.")
    return alpha / (math.sqrt(rank) if told.get("use_rslora") else rank)


def _plain(name: str) -> str:
    """A tensor that was saved whole, under the base model's name."""
    match = _SAVED.fullmatch(name)
    return match["name"] + match["last"] if match else name
