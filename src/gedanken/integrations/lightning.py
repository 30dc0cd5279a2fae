"""A Lightning callback: `Trainer(callbacks=[MonitorCallback(lab, "run", every=25)])`."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback

from gedanken.monitor import Monitor


class MonitorCallback(Callback):
    """A `Monitor` in Lightning's Trainer; its arguments are the monitor's.

    Weights are measured from step 0. Gradients are those of the last update: Lightning clears them before the next.
    `tokens` is not known to Lightning and stays empty.
    """

    def __init__(self, lab: Any, run: str, every: int = 25, **options: Any):
        self.monitor: Monitor | None = None
        self._arguments = {"lab": lab, "run": run, "every": every, **options}
        self._last = -1

    def on_train_start(self, trainer, pl_module):
        steps = trainer.max_steps if trainer.max_steps > 0 else None
        self.monitor = Monitor(**{"steps": steps, **self._arguments})
        self._measure(trainer, pl_module)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        self._measure(trainer, pl_module, loss=loss)

    def on_train_end(self, trainer, pl_module):
        self.monitor(pl_module, trainer.global_step, learning_rate=_rate(trainer), now=True)
        self.monitor.close()

    def _measure(self, trainer, pl_module, loss=None) -> None:
        # Batches that only accumulate gradients leave the step where it was.
        if trainer.global_step != self._last:
            self._last = trainer.global_step
            self.monitor(pl_module, trainer.global_step, loss=loss, learning_rate=_rate(trainer))


def _rate(trainer) -> float | None:
    return trainer.optimizers[0].param_groups[0]["lr"] if trainer.optimizers else None
