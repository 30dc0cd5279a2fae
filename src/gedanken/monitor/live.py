"""LiveModel: a module in training as snapshots of its weights, of its gradients and of what its weights moved by."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gedanken.captures.base import Capture
from gedanken.kinds import Kind
from gedanken.sources.architectures.base import Piece
from gedanken.sources.change import Change
from gedanken.sources.checkpoints import Checkpoint
from gedanken.sources.models import open_model
from gedanken.sources.tensor_files import arrays
from gedanken.sources.tensor_files.arrays import Arrays, is_module
from gedanken.status import Failure, Flag, Refusal


class LiveModel:
    """A module whose matrices are laid out once and read afterwards as training left them.

    Sharded parameters stay where they are until one of them is read; then all processes must read it.
    Raises Failure for anything but an `nn.Module`.
    """

    def __init__(self, module: Any):
        if not is_module(module):
            raise Failure(f"A monitor watches an nn.Module, not a {type(module).__name__}.")
        self.module = module
        self.label = type(module).__name__
        self._layout: Checkpoint = open_model(module).checkpoint
        self.kept: Mapping[str, Any] | None = None
        """Copies of weights by parameter name, which `change` is since."""

    def weights(self) -> Checkpoint:
        """The parameters and buffers as they are now."""
        return replace(self._layout, files=Arrays.of_module(self.module))

    def gradients(self) -> Checkpoint:
        """The gradients that stand in `.grad` now; matrices without one (frozen, or cleared) are left out."""
        named = self.module.named_parameters(remove_duplicate=False)
        return self._of({name: parameter.grad for name, parameter in named if parameter.grad is not None})

    def keep(self, limit: float) -> None:
        """Copy the weights, up to `limit` bytes, in the order of the network; `change` is since then."""
        raws = self.module.state_dict()
        plain = Arrays(raws, self.label)
        wanted = {piece.tensor for piece in self._layout.pieces}
        kept, room = {}, limit
        for raw, name in zip(raws, plain.tensors, strict=True):
            size = plain.tensors[name].nbytes
            if name in wanted and size <= room:
                kept[raw] = _copy(raws[raw].detach())
                room -= size
        self.kept = kept

    def change(self) -> Change:
        """From the weights kept to those of now."""
        return Change(self._of(self.kept), self.weights())

    def unkept(self) -> list[Piece]:
        """The matrices of which no earlier copy was kept."""
        have = {piece.site for piece in self._of(self.kept).pieces}
        return [piece for piece in self._layout.pieces if piece.site not in have]

    def _of(self, tensors: dict[str, Any]) -> Checkpoint:
        files = Arrays(tensors, self.label)
        pieces = tuple(piece for piece in self._layout.pieces if piece.tensor in files.tensors)
        return replace(self._layout, files=files, pieces=pieces, skipped=())


@dataclass(frozen=True)
class NotKept:
    """Reading a change whose earlier matrix was not kept: it raises the refusal."""

    tensor: str

    def __call__(self):
        raise Refusal(Flag.out_of_memory, f"no earlier copy of {self.tensor} was kept: the monitor's limit was reached")


def unkept_captures(pieces: Iterable[Piece], dtype: str = "") -> list[Capture]:
    """Captures that stand for the changes of matrices that were not kept: each becomes refused rows."""
    kinds = frozenset({Kind.pair, Kind.spectrum})
    return [
        Capture(
            piece.site,
            Kind.pair,
            kinds,
            piece.rows,
            piece.cols,
            dtype,
            piece.tensor,
            piece.notes,
            NotKept(piece.tensor),
        )
        for piece in pieces
    ]


def _copy(tensor: Any) -> Any:
    """On the host, where there is room; the shards of a sharded tensor stay where they are."""
    return tensor.clone() if arrays.is_sharded(tensor) else tensor.to("cpu", copy=True)


def distributed() -> tuple[int, int]:
    """(rank, number of processes) of a distributed run; (0, 1) outside one."""
    module = sys.modules.get("torch.distributed")
    if module is None or not module.is_available() or not module.is_initialized():
        return 0, 1
    return module.get_rank(), module.get_world_size()


def is_sharded(module: Any) -> bool:
    """Whether a parameter of the module is spread over several processes."""
    return any(map(arrays.is_sharded, module.parameters()))


def on_host(module: Any) -> bool:
    """Whether the module trains on the processor that measures it."""
    return all(parameter.device.type == "cpu" for parameter in module.parameters())
