"""What trackers are sent, with stand-ins for their modules."""

import sys
from types import SimpleNamespace

import pytest

from gedanken.integrations.trackers import mlflow_sink, tensorboard_sink, wandb_sink
from gedanken.status import Failure

VALUES = {"stable_rank/layers.0.attn.W_Q": 12.0, "rank_exponent/layers.0.attn.W_Q": float("nan")}
KEPT = {"stable_rank/layers.0.attn.W_Q": 12.0}


def test_wandb(monkeypatch):
    sent = []
    run = SimpleNamespace(log=sent.append)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=run))
    wandb_sink()(25, VALUES)
    assert sent == [{**KEPT, "gedanken/step": 25}]


def test_tensorboard(monkeypatch):
    sent = []

    class Writer:
        def __init__(self, folder):
            sent.append(folder)

        def add_scalar(self, *row):
            sent.append(row)

        def flush(self):
            sent.append("flushed")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    tensorboard_sink("logs")(25, VALUES)
    assert sent == ["logs", ("stable_rank/layers.0.attn.W_Q", 12.0, 25), "flushed"]


def test_mlflow(monkeypatch):
    sent = []
    active = SimpleNamespace(info=SimpleNamespace(run_id="abc"))
    module = SimpleNamespace(active_run=lambda: active, log_metrics=lambda *a, **k: sent.append((*a, k)))
    monkeypatch.setitem(sys.modules, "mlflow", module)
    mlflow_sink()(25, VALUES)
    assert sent == [(KEPT, {"step": 25, "run_id": "abc"})]
    module.active_run = lambda: None
    with pytest.raises(Failure, match="No MLflow run is active"):
        mlflow_sink()


@pytest.mark.parametrize(
    ("sink", "module"),
    [(wandb_sink, "wandb"), (lambda: tensorboard_sink("x"), "torch.utils.tensorboard"), (mlflow_sink, "mlflow")],
)  # fmt: skip
def test_what_is_not_installed_is_a_sentence(monkeypatch, sink, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Failure, match="is not installed"):
        sink()
