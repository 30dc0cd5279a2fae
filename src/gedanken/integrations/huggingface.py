"""A transformers callback: `Trainer(…, callbacks=[MonitorCallback(lab, "run", every=25)])`."""

from typing import Any

from transformers import TrainerCallback

from gedanken.monitor import Monitor


class MonitorCallback(TrainerCallback):
    """A `Monitor` in transformers' Trainer; its arguments are the monitor's.

    Weights are measured from step 0, gradients after clipping, when the optimizer has used them and before they are
    cleared. `loss` is the last one that the trainer logged. A resumed training measures only what is new.
    """

    def __init__(self, lab: Any, run: str, every: int = 25, **options: Any):
        self.monitor: Monitor | None = None
        self._arguments = {"lab": lab, "run": run, "every": every, **options}
        self._loss: float | None = None

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.monitor = Monitor(**{"steps": state.max_steps, **self._arguments})
        self.monitor(model, state.global_step, _tokens(state))

    def on_optimizer_step(self, args, state, control, model=None, optimizer=None, **kwargs):
        # The trainer counts this step only after the gradients have been cleared.
        rate = optimizer.param_groups[0]["lr"] if optimizer is not None else None
        self.monitor(model, state.global_step + 1, _tokens(state), loss=self._loss, learning_rate=rate)

    def on_log(self, args, state, control, logs=None, **kwargs):
        self._loss = (logs or {}).get("loss", self._loss)

    def on_train_end(self, args, state, control, model=None, **kwargs):
        self.monitor(model, state.global_step, _tokens(state), loss=self._loss, now=True)
        self.monitor.close()


def _tokens(state: Any) -> int | None:
    """Counted by the trainer if it was asked to (`include_num_input_tokens_seen`)."""
    return int(state.num_input_tokens_seen) or None
