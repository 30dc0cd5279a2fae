"""The callback in transformers' own Trainer, on a tiny GPT-2."""

import polars as pl
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import gedanken as gd  # noqa: E402


def trained(lab, folder, steps, resume=None):
    from gedanken.integrations.huggingface import MonitorCallback

    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=64, n_positions=16, n_embd=32, n_layer=2, n_head=2)
    model = transformers.GPT2LMHeadModel(config)
    tokens = [{"input_ids": row, "labels": row} for row in torch.randint(0, 64, (32, 16), generator=torch.Generator())]
    arguments = transformers.TrainingArguments(
        folder, max_steps=steps, per_device_train_batch_size=4, logging_steps=1, save_steps=4, report_to=[],
        use_cpu=True, disable_tqdm=True, gradient_accumulation_steps=2, include_num_input_tokens_seen="all",
    )  # fmt: skip
    callback = MonitorCallback(lab, "gpt2", every=2, gradients_every=2, updates_every=4)
    trainer = transformers.Trainer(model, arguments, train_dataset=tokens, callbacks=[callback])
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train(resume_from_checkpoint=resume)
    return model


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_trainer_is_watched_from_step_zero_and_its_checkpoints_agree(tmp_path):
    lab = gd.Lab(tmp_path / "lab")
    trained(lab, tmp_path / "out", 5)
    steps = lab.steps.filter(pl.col("run") == "gpt2").sort("step").collect()
    assert steps["step"].to_list() == [0, 2, 4, 5]
    assert steps["loss"][-1] == pytest.approx(4.16, abs=0.3), "ln 64 for random tokens"
    assert steps["tokens"][-1] > steps["tokens"][1] > 0 and steps["learning_rate"][1] < 5e-5
    gradients = lab.steps.filter(pl.col("run") == "gpt2 gradients").sort("step").collect()
    assert gradients["step"].to_list() == [2, 4]
    assert lab.steps.filter(pl.col("run") == "gpt2 updates").collect()["step"].to_list() == [4]

    gd.scan(str(tmp_path / "out" / "checkpoint-4"), lab, run_name="saved", instruments=["stable_rank"])
    value = pl.col("variable") == "stable_rank"
    live = lab.measurements.filter(value, pl.col("run") == "gpt2", pl.col("step") == 4).sort("site").collect()
    saved = lab.measurements.filter(value, pl.col("run") == "saved").sort("site").collect()
    assert live["site"].to_list() == saved["site"].to_list() and "layers.1.attn.W_K" in live["site"].to_list()
    assert live["value"].to_list() == saved["value"].to_list()
