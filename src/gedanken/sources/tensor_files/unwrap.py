"""State dicts as they are saved: the mapping of tensors inside, and their names without wrappers' prefixes."""

from collections.abc import Iterable, Mapping
from typing import Any

_HOLDERS = ("state_dict", "model", "model_state_dict", "module")
"""Keys under which trainers store the weights beside optimizer and counters: Lightning, nanoGPT, PyTorch's tutorial,
DeepSpeed."""
_DEEPEST = 4
"""Holders inside holders; a hostile pickle may hold itself."""
_COMPILED = "_orig_mod."
"""torch.compile's wrapper, at any depth."""
_PARALLEL = "module."
"""DataParallel's wrapper, around everything."""


def unwrap(loaded: Mapping[str, Any]) -> Mapping[str, Any]:
    """The innermost state dict under the keys that trainers use for it; `loaded` itself if there is none."""
    for _ in range(_DEEPEST):
        inner = [loaded[key] for key in _HOLDERS if isinstance(loaded.get(key), Mapping)]
        if not inner:
            break
        loaded = inner[0]
    return loaded


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """Raw name → name without `_orig_mod.` and a `module.` that all share. Unchanged where two would become equal."""
    raw = list(names)
    plain = _stripped(raw)
    return dict(zip(raw, plain if len(set(plain)) == len(plain) else raw, strict=True))


def _stripped(names: list[str]) -> list[str]:
    names = [name.replace(_COMPILED, "") if _begins_a_part(name) else name for name in names]
    while names and all(name.startswith(_PARALLEL) for name in names):
        names = [name.removeprefix(_PARALLEL) for name in names]
    return names


def _begins_a_part(name: str) -> bool:
    return name.startswith(_COMPILED) or f".{_COMPILED}" in name
