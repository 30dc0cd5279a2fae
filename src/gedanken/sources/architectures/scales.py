"""Reading stored values that are to be multiplied by a scale beside them (8-bit floats)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gedanken.sources.architectures.layout import scale_of
from gedanken.sources.tensor_files.base import TensorFile
from gedanken.status import Flag, Refusal


def scaled(
    files: TensorFile, name: str, config: Mapping[str, Any], start: int = 0, stop: int | None = None
) -> np.ndarray:
    """Rows start:stop of a stored tensor, times its scale if it has one.

    The scale is one number, one per row, or one per block of `quantization_config.weight_block_size` rows × columns
    [@deepseek2024v3, § 3.3]. Raises Refusal(undecodable) if it is none of these, and what reading raises.
    """
    values = files.read(name, start, stop)
    scale_name = scale_of(name, files.tensors)
    if scale_name is None:
        return values
    scale, shape = files.read(scale_name), files.tensors[name].shape
    rows = np.arange(start, start + len(values))
    if scale.size == 1:
        return values * scale.reshape(())
    if len(shape) == 2 and scale.size == shape[0]:
        return values * scale.reshape(-1, 1)[rows]
    block = _block(config, shape, scale.shape)
    if block is None:
        sentence = f"{name} of {files.label} is stored with a scale of shape {scale.shape} whose blocks are not known."
        raise Refusal(Flag.undecodable, sentence)
    values *= scale[rows // block[0]][:, np.arange(shape[1]) // block[1]]
    return values


def _block(config: Mapping[str, Any], shape: tuple[int, ...], scales: tuple[int, ...]) -> tuple[int, int] | None:
    """Rows and columns that share one scale, if stated and consistent with the shapes."""
    quantisation = config.get("quantization_config")
    stated = quantisation.get("weight_block_size") if isinstance(quantisation, Mapping) else None
    if not isinstance(stated, list) or not all(type(size) is int and size > 0 for size in stated):
        return None
    if not len(stated) == len(shape) == len(scales) == 2:
        return None
    expected = tuple(-(-length // size) for length, size in zip(shape, stated, strict=True))
    return (stated[0], stated[1]) if expected == scales else None
