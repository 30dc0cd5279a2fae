"""A model in training as the state of a snapshot: a checkpoint whose tensors are the parameters themselves."""

from typing import Any

import numpy as np

from gedanken.sources.checkpoints import Checkpoint
from gedanken.sources.tensor_files.arrays import Arrays
from gedanken.sources.training import transformers_format
from gedanken.sources.training.trainer import Trainer
from gedanken.status import Failure


class Live(Arrays):
    """The parameters of a trainer, nothing copied, readable until it takes its next step."""

    def __init__(self, trainer: Trainer):
        super().__init__(trainer.weights(), "the model in training")
        self._trainer, self._step = trainer, trainer.step

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Raises Failure if training has gone on: the weights of that step are no more."""
        if self._trainer.step != self._step:
            raise Failure(
                f"The snapshot of step {self._step} was read when training had gone on to step {self._trainer.step}.",
                "measure a snapshot before asking for the next",
            )
        return super().read(name, start, stop)


def live_checkpoint(trainer: Trainer) -> Checkpoint:
    """The weights of now, with their sites."""
    config: dict[str, Any] = transformers_format.config(trainer.recipe)
    return Checkpoint.of(Live(trainer), config)
