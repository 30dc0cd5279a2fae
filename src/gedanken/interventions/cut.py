"""Cut: blocks taken out of a model for good, and the model written so that `AutoModel.from_pretrained` loads it."""

import shutil
from collections.abc import Collection
from itertools import groupby
from pathlib import Path

import torch
from safetensors import SafetensorError

from gedanken.interventions.skip import decoder_blocks
from gedanken.measurements.store import write_whole
from gedanken.sources.runnable import without_bars
from gedanken.status import Failure

LAYERS = "layers.yaml"


def cut(model: torch.nn.Module, removed: Collection[int]) -> None:
    """Take blocks out of a transformers model, in place: the module list, the numbers of the rest, the configuration.

    Raises Failure if a layer does not exist or none would be left.
    """
    blocks = decoder_blocks(model)
    if not set(removed) <= set(range(len(blocks))):
        raise Failure(f"There are blocks 0 to {len(blocks) - 1}, and {sorted(removed)} were to be removed.")
    kept = [layer for layer in range(len(blocks)) if layer not in set(removed)]
    if not kept:
        raise Failure(f"All {len(blocks)} blocks were to be removed.")
    place, _, _ = blocks[0].name.rpartition(".")
    parent, _, name = place.rpartition(".")
    modules = [model.get_submodule(blocks[layer].name) for layer in kept]
    model.get_submodule(parent)._modules[name] = torch.nn.ModuleList(modules)
    for layer, module in enumerate(modules):
        for part in module.modules():
            if "layer_idx" in vars(part):
                part.layer_idx = layer
    for key, value in list(model.config.to_dict().items()):
        if isinstance(value, list) and len(value) == len(blocks):  # one entry a layer, as in layer_types
            setattr(model.config, key, [value[layer] for layer in kept])
    model.config.num_hidden_layers = len(kept)


def save(
    model: torch.nn.Module, tokenizer, folder: Path, *, origin: str, removed: Collection[int], layers: int
) -> None:
    """Write a cut model, its tokenizer (None: none) and the list of its layers. Raises Failure if that is not possible;
    the folder is then as it was.
    """
    partial = folder.with_name(f".partial-{folder.name}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _forget_quantisation(model)
        with without_bars():
            model.save_pretrained(partial)
        if tokenizer is not None:
            tokenizer.save_pretrained(partial)
        write_whole(partial / LAYERS, layer_list(origin, removed, layers).encode())
        for path in partial.iterdir():
            path.replace(folder / path.name)
    except (OSError, SafetensorError) as broken:
        said = broken.strerror or broken if isinstance(broken, OSError) else broken
        raise Failure(f"Could not write {folder}: {said}.", "name another folder with --out") from broken
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_free(folder: Path, origin: str) -> None:
    """Raises Failure if the folder holds anything but an earlier cut model, or is the model that is to be cut."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / LAYERS).exists() or (Path(origin).exists() and folder.samefile(origin)):
        raise Failure(
            f"{folder} holds something already, which would be overwritten.", "name another folder with --out"
        )


def _forget_quantisation(model: torch.nn.Module) -> None:
    """A model loaded from a GGUF file holds plain numbers, yet says that it is quantised, and is then not written."""
    if "hf_quantizer" in vars(model):
        del model.hf_quantizer
    if "quantization_config" in vars(model.config):
        del model.config.quantization_config


def layer_list(origin: str, removed: Collection[int], layers: int) -> str:
    """The kept layers as slices, in the notation of mergekit's passthrough merges [@goddard2024mergekit]."""
    kept = [layer for layer in range(layers) if layer not in set(removed)]
    stretches = []
    for _, group in groupby(enumerate(kept), key=lambda pair: pair[1] - pair[0]):
        run = [layer for _, layer in group]
        stretches.append((run[0], run[-1] + 1))
    lines = [
        line
        for first, end in stretches
        for line in ("- sources:", f"  - model: {origin}", f"    layer_range: [{first}, {end}]")
    ]
    return "\n".join(["merge_method: passthrough", "slices:", *lines]) + "\n"
