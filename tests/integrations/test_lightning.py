"""The callback in Lightning's own Trainer, on two linear layers."""

import importlib.util

import polars as pl
import pytest

torch = pytest.importorskip("torch")
if importlib.util.find_spec("lightning") is None:
    pytest.skip("Lightning is not installed", allow_module_level=True)

import gedanken as gd  # noqa: E402


@pytest.mark.filterwarnings("ignore")
def test_a_lightning_trainer_is_watched(tmp_path):
    import lightning.pytorch as lightning

    from gedanken.integrations.lightning import MonitorCallback

    class Model(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.first, self.second = torch.nn.Linear(16, 16), torch.nn.Linear(16, 4)

        def training_step(self, batch, index):
            return self.second(torch.relu(self.first(batch[0]))).square().mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    lab = gd.Lab(tmp_path / "lab")
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(48, 16)), batch_size=4)
    trainer = lightning.Trainer(
        max_steps=5, accumulate_grad_batches=2, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        callbacks=[MonitorCallback(lab, "run", every=2, gradients_every=4, updates_every=4)],
    )  # fmt: skip
    trainer.fit(Model(), data)
    steps = lab.steps.sort("run", "step").collect()
    found = {run: steps.filter(pl.col("run") == run)["step"].to_list() for run in steps["run"].unique()}
    assert found == {"run": [0, 2, 4, 5], "run gradients": [4], "run updates": [4]}
    rows = steps.filter(pl.col("run") == "run")
    assert 0 < rows["loss"][1] < 10 and rows["learning_rate"].to_list() == [0.1] * 4
