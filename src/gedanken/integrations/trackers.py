"""Trackers: sinks that send a monitor's values to W&B, TensorBoard or MLflow, where these are installed.

A sink is any callable (step, {name: value}). Values are named `variable/site`, those of gradients and updates
`gradients/variable/site` and `updates/variable/site`.

    gd.Monitor(lab, "run", sinks=[wandb_sink()])
"""

import math
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

from gedanken.status import Failure


class Sink(Protocol):
    """Takes the values of one step. It is called in order, from a thread of its own; its errors are logged."""

    def __call__(self, step: int, values: Mapping[str, float]) -> None: ...


def wandb_sink(run: Any = None) -> Sink:
    """Into a Weights & Biases run, by default the current one. Raises Failure if wandb is not installed."""
    wandb = _installed("wandb", "wandb")

    def send(step: int, values: Mapping[str, float]) -> None:
        # Without `step`: wandb refuses steps that go back, and the trainer logs on a clock of its own.
        target = wandb.run if run is None else run
        target.log({**_finite(values), "gedanken/step": step})

    return send


def tensorboard_sink(folder: str) -> Sink:
    """Into a TensorBoard folder. Raises Failure if tensorboard is not installed."""
    writer = _installed("torch.utils.tensorboard", "tensorboard").SummaryWriter(folder)

    def send(step: int, values: Mapping[str, float]) -> None:
        for name, value in _finite(values).items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return send


def mlflow_sink(run_id: str | None = None) -> Sink:
    """Into an MLflow run, by default the active one. Raises Failure if mlflow is not installed."""
    mlflow = _installed("mlflow", "mlflow")
    # Asked for now: the active run belongs to a thread, and rows are sent from another.
    active = mlflow.active_run()
    if run_id is None and active is None:
        raise Failure("No MLflow run is active.", "mlflow.start_run()")
    target = run_id or active.info.run_id

    def send(step: int, values: Mapping[str, float]) -> None:
        mlflow.log_metrics(_finite(values), step=step, run_id=target)

    return send


def _installed(module: str, package: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as absent:
        raise Failure(f"{package} is not installed.", f"pip install {package}") from absent


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}
