"""Weights that accelerate keeps outside of a module: on `meta` but while a part of it runs, in memory or on disk meanwhile.

accelerate is never imported here: a module can only have its hooks if somebody has imported it already.
"""

import sys
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any


def offloaded(module: Any) -> dict[str, Callable[[], Any]]:
    """What gives each tensor that is kept outside, by its name in the module's state."""
    known = sys.modules.get("accelerate.hooks")
    if known is None:
        return {}
    found: dict[str, Callable[[], Any]] = {}
    for prefix, part in module.named_modules():
        hook = vars(part).get("_hf_hook")
        for one in hook.hooks if isinstance(hook, known.SequentialHook) else (hook,):
            if not isinstance(one, known.AlignDevicesHook) or not one.offload:
                continue
            deep = one.place_submodules
            for name, tensor in chain(part.named_parameters(recurse=deep), part.named_buffers(recurse=deep)):
                if tensor.device.type == "meta":
                    found[f"{prefix}.{name}" if prefix else name] = partial(one.weights_map.__getitem__, name)
    return found
