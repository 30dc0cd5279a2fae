"""The run as a source: snapshots that are live, checkpoints that are whole, and a start again that loses nothing."""

import json
import signal
import subprocess
import sys
import textwrap
import time

import polars as pl
import pytest
import torch
import transformers

from gedanken.captures.of import captures_of
from gedanken.experiment import Plan, run
from gedanken.instruments.spectrum.stable_rank import StableRank
from gedanken.measurements.store import Lab
from gedanken.sources.models import open_model
from gedanken.sources.training import checkpoints, history
from gedanken.sources.training.presets import preset
from gedanken.sources.training.source import TrainingSource
from gedanken.status import Failure


def tiny(**fields):
    """A few thousand parameters on made-up data: 40 updates take a tenth of a second."""
    small = {"layers": 2, "width": 16, "heads": 2, "vocabulary": 16, "context": 16, "batch": 4, "threads": 1}
    return preset("smoke", **({"task": "copy", "steps": 40, "warmup": 5} | small | fields))


def losses(source):
    return [update.loss for update in source.updates()]


# snapshots


def test_snapshots_come_every_so_many_steps_and_at_both_ends():
    source = TrainingSource(tiny(), every=15)
    seen = [(s.step, s.tokens, s.loss is not None) for s in source.snapshots()]
    assert seen == [(0, 0, False), (15, 15 * 64, True), (30, 30 * 64, True), (40, 40 * 64, True)]


def test_early_snapshots_are_closer():
    source = TrainingSource(tiny(steps=300, layers=1), every=100, early=50)
    assert [step for step in range(301) if source.is_due(step)] == [0, 50, 100, 150, 200, 300]


def test_a_snapshot_reads_the_parameters_themselves_under_their_sites():
    source = TrainingSource(tiny(style="llama", tied=False), every=20)
    for snapshot in source.snapshots():
        found = {str(c.site): c.read() for c in captures_of(snapshot)}
        model = source.trainer.model
        assert torch.equal(torch.from_numpy(found["layers.1.attn.W_K"]), model.layers[1].attn.W_K.weight.detach())
        parts = {f"attn.W_{p}" for p in "QKVO"} | {"mlp.W_gate", "mlp.W_in", "mlp.W_out"}
        expected = {f"layers.{layer}.{part}" for layer in range(2) for part in parts}
        assert found.keys() == expected | {"embed.W_E", "unembed.W_U"}
    assert snapshot.state.heads.heads == 2


def test_a_snapshot_read_too_late_is_a_sentence_not_other_weights():
    snapshots = TrainingSource(tiny(), every=10).snapshots()
    first = next(snapshots)
    capture = captures_of(first)[0]
    capture.read()
    next(snapshots)
    with pytest.raises(Failure, match="step 0 was read when training had gone on to step 10"):
        capture.read()


def test_the_fingerprint_is_of_recipe_and_step():
    def prints(**fields):
        return [snapshot.fingerprint for snapshot in TrainingSource(tiny(**fields), every=20).snapshots()]

    first = prints()
    assert len(set(first)) == 3
    assert prints() == first
    assert not set(prints(seed=1)) & set(first)


def test_watching_does_not_change_the_run(tmp_path):
    plain = losses(TrainingSource(tiny()))
    watched = TrainingSource(tiny(), every=5, out=tmp_path / "x", checkpoint_every=7)
    seen = []
    for snapshot in watched.snapshots():
        for capture in captures_of(snapshot):
            capture.read()
        seen.append(snapshot.loss)
    assert seen[1:] == plain[4::5]


def test_threads_are_put_back_between_updates():
    before = torch.get_num_threads()
    for _ in TrainingSource(tiny(threads=before + 1, steps=1)).updates():
        assert torch.get_num_threads() == before


def test_the_loop_measures_each_snapshot_before_training_goes_on(tmp_path):
    """Stable ranks in the lab are those of the weights that each step's checkpoint holds."""
    source = TrainingSource(tiny(), every=8, out=tmp_path / "x", checkpoint_every=8, keep_last=9)
    lab = Lab(tmp_path / "lab")
    outcome = run(source, Plan((StableRank(),), ("layers.1.attn.W_V",), draws=0), lab, threads=1)
    assert outcome.tasks == 6 and not outcome.failures
    rows = lab.measurements.filter(pl.col("variable") == "stable_rank").sort("step").collect()
    assert rows["step"].to_list() == [0, 8, 16, 24, 32, 40]
    for step, value in rows.select("step", "value").iter_rows():
        weights = checkpoints.read_weights(tmp_path / "x" / f"step-{step:06d}", tiny())
        values = torch.linalg.svdvals(weights["layers.1.attn.W_V.weight"].double())
        assert value == pytest.approx(float((values**2).sum() / values[0] ** 2), rel=1e-9)
    assert lab.steps.sort("step").collect()["loss"].is_null().to_list() == [True] + 5 * [False]


# checkpoints


@pytest.mark.parametrize("style", ["gpt2", "llama", "neox"])
def test_transformers_loads_a_checkpoint_with_the_same_loss(style, tmp_path):
    source = TrainingSource(preset("smoke", steps=12, style=style, threads=1), out=tmp_path / "x")
    losses(source)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "x" / "step-000012").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "x" / "step-000012")
    text = "def Grüße(x):\n    return x\n"
    assert tokenizer(text)["input_ids"] == list(text.encode())
    inputs, targets = next(source.trainer.data.held_out(8))
    with torch.no_grad():
        logits = theirs(torch.from_numpy(inputs)).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).flatten()).item()
    # Two float32 means of 512 terms of order one, summed in another order.
    assert abs(loss - source.trainer.validation_loss(8)) < 1e-5


def test_the_checkpoints_are_a_ladder(tmp_path):
    source = TrainingSource(tiny(), out=tmp_path / "x", every=40)
    live = {str(c.site): c.read() for s in source.snapshots() for c in captures_of(s)}
    ladder = open_model(str(tmp_path / "x" / "step-*"))
    snapshots = list(ladder.snapshots())
    assert ladder.run == "x"
    assert [s.step for s in snapshots] == [0, 1, 2, 4, 8, 16, 32, 36, 40]
    stored = {str(c.site): c.read() for c in captures_of(snapshots[-1])}
    assert stored.keys() == live.keys()
    assert all((stored[site] == live[site]).all() for site in live)


def test_older_checkpoints_keep_weights_and_the_last_keep_memory(tmp_path):
    losses(TrainingSource(tiny(), out=tmp_path / "x", checkpoint_every=10, keep_last=3))
    found = checkpoints.steps(tmp_path / "x")
    with_memory = [step for step, path in sorted(found.items()) if (path / checkpoints.MEMORY).exists()]
    assert sorted(found) == [0, 1, 2, 4, 8, 16, 30, 32, 40]
    assert with_memory == [30, 32, 40]


# going on


def stopped_at(step, folder, **fields):
    source = TrainingSource(tiny(**fields), out=folder, checkpoint_every=10)
    next(update for update in source.updates() if update.step == step)


@pytest.mark.parametrize("style", ["gpt2", "llama", "neox"])
def test_a_run_gone_on_with_has_the_same_losses_bit_for_bit(style, tmp_path):
    whole = losses(TrainingSource(tiny(style=style)))
    stopped_at(25, tmp_path / "x", style=style)
    resumed = TrainingSource(tiny(style=style), out=tmp_path / "x", resume=True)
    assert resumed.trainer.step == 20
    assert resumed.snapshot().loss == whole[19]
    assert losses(resumed) == whole[20:]
    lines = [line for line in history.read(tmp_path / "x") if "loss" in line]
    assert [line["step"] for line in lines] == [*range(1, 41)]
    assert [line["loss"] for line in lines] == whole


KILLED = """
    import sys
    from gedanken.sources.training import TrainingSource, preset
    recipe = preset("smoke", steps=40, threads=1, text_limit=200_000)
    source = TrainingSource(recipe, out=sys.argv[1], checkpoint_every=10, resume=True)
    for update in source.updates():
        print(update.step, update.loss.hex(), flush=True)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    """SIGKILL in the middle of a step, in another process, on real text."""
    command = [sys.executable, "-c", textwrap.dedent(KILLED)]

    def read(folder):
        said = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=True).stdout
        return dict(line.split() for line in said.splitlines())

    with subprocess.Popen([*command, str(tmp_path / "killed")], stdout=subprocess.PIPE, text=True) as killed:
        for line in killed.stdout:
            if line.startswith("27 "):
                time.sleep(0.005)
                killed.send_signal(signal.SIGKILL)
                break
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "step-000040").exists()
    again, whole = read(tmp_path / "killed"), read(tmp_path / "whole")
    assert len(whole) == 40
    assert min(map(int, again)) == 21  # the last checkpoint is that of step 20
    assert again == {step: loss for step, loss in whole.items() if int(step) > 20}
    for name in ("model.safetensors", "optimizer.safetensors"):
        one, other = (tmp_path / run / "step-000040" / name for run in ("killed", "whole"))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "state", "garbage"])
def test_a_damaged_checkpoint_is_put_aside_and_the_one_before_it_taken(damage, tmp_path):
    whole = losses(TrainingSource(tiny()))
    stopped_at(35, tmp_path / "x")
    newest = tmp_path / "x" / "step-000032"
    model, state = newest / checkpoints.MODEL, newest / checkpoints.STATE
    content = bytearray(model.read_bytes())
    content[-7] ^= 1
    match damage:
        case "flip":
            model.write_bytes(content)
        case "cut":
            model.write_bytes(content[:1000])
        case "remove":
            model.unlink()
        case "state":
            state.unlink()
        case "garbage":
            state.write_text("[1, 2")
    resumed = TrainingSource(tiny(), out=tmp_path / "x", resume=True)
    assert resumed.trainer.step == 30
    assert len(resumed.said) == 1 and "step 32 is damaged" in resumed.said[0]
    assert (tmp_path / "x" / "damaged-step-000032").is_dir()
    assert losses(resumed) == whole[30:]


def test_half_a_checkpoint_left_by_a_kill_is_no_checkpoint(tmp_path):
    stopped_at(25, tmp_path / "x")
    (tmp_path / "x" / ".partial-step-000030-abc").mkdir()
    assert TrainingSource(tiny(), out=tmp_path / "x", resume=True).trainer.step == 20
    assert not list((tmp_path / "x").glob(".partial*"))


def test_if_none_is_whole_the_run_starts_again(tmp_path):
    whole = losses(TrainingSource(tiny()))
    stopped_at(25, tmp_path / "x")
    for path in checkpoints.steps(tmp_path / "x").values():
        (path / checkpoints.STATE).write_text("")
    resumed = TrainingSource(tiny(), out=tmp_path / "x", resume=True)
    assert resumed.trainer.step == 0 and len(resumed.said) == 7
    assert losses(resumed) == whole


def test_a_finished_run_has_nothing_left_to_do(tmp_path):
    losses(TrainingSource(tiny(), out=tmp_path / "x"))
    again = TrainingSource(tiny(), out=tmp_path / "x", resume=True)
    assert losses(again) == []
    assert [snapshot.step for snapshot in again.snapshots()] == [40]


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path):
    stopped_at(5, tmp_path / "x")
    with pytest.raises(Failure, match="holds a run already"):
        TrainingSource(tiny(), out=tmp_path / "x")
    with pytest.raises(Failure, match=r"seed = 0, and 1 was asked for"):
        TrainingSource(tiny(seed=1), out=tmp_path / "x", resume=True)


def test_a_text_that_has_changed_is_another_run(tmp_path):
    text = tmp_path / "a.txt"
    text.write_text("abcdefgh " * 400)
    recipe = tiny(task="text", text=str(text), vocabulary=256)
    losses(TrainingSource(recipe, out=tmp_path / "x"))
    text.write_text("abcdefgh " * 401)
    with pytest.raises(Failure, match="is not what it was when"):
        TrainingSource(recipe, out=tmp_path / "x", resume=True)


# what goes wrong


def test_a_loss_that_is_not_finite_stops_the_run_with_everything_kept(tmp_path):
    source = TrainingSource(tiny(), out=tmp_path / "x")
    steps = []
    with pytest.raises(Failure, match="loss of step 14 is not finite.*stopped at step 13") as told:
        for update in source.updates():
            steps.append(update.step)
            if update.step == 13:
                source.trainer.model.unembed.norm.weight.data[3] = float("inf")
                kept = {name: tensor.clone() for name, tensor in source.trainer.weights().items()}
    assert steps[-1] == 13 and told.value.try_next
    saved = checkpoints.newest(tmp_path / "x", tiny())[0]
    assert saved.step == 13 and history.read(tmp_path / "x")[-1]["step"] == 13
    assert all(torch.equal(saved.weights[name], kept[name]) for name in kept)


FULL = """
    import resource, signal, sys
    from gedanken.sources.training import TrainingSource, preset
    from gedanken.status import Failure
    recipe = preset("smoke", task="copy", steps=40, threads=1)
    source = TrainingSource(recipe, out=sys.argv[1], checkpoint_every=10)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for update in source.updates():
            if update.step == 12:
                resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    except Failure as failure:
        print(failure.sentence)
"""


def test_a_disk_that_takes_no_more_is_a_sentence_and_nothing_is_lost(tmp_path):
    """A limit on the size of files refuses the write as a full disk does."""
    command = [sys.executable, "-c", textwrap.dedent(FULL), str(tmp_path / "x")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "checkpoint of step 16 could not be written" in said
    assert "The last whole one is that of step 10." in said
    assert not list((tmp_path / "x").glob(".partial*"))
    assert checkpoints.newest(tmp_path / "x", preset("smoke", task="copy", steps=40))[0].step == 10


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="could not be written: Not a directory"):
        TrainingSource(tiny(), out=tmp_path / "file" / "x")


def test_a_folder_of_something_else_is_a_sentence(tmp_path):
    (tmp_path / "other" / "step-5").mkdir(parents=True)
    with pytest.raises(Failure, match="holds checkpoints of another program"):
        TrainingSource(tiny(), out=tmp_path / "other")
    (tmp_path / "run.json").write_text("no")
    with pytest.raises(Failure, match="holds no training run"):
        TrainingSource(tiny(), out=tmp_path, resume=True)


# weights to start from


def test_a_run_may_start_from_given_weights(tmp_path):
    first = TrainingSource(tiny(), out=tmp_path / "x")
    losses(first)
    weights = checkpoints.read_weights(tmp_path / "x" / "step-000040", tiny())
    second = TrainingSource(tiny(seed=5), initial=weights, out=tmp_path / "y")
    assert second.trainer.step == 0 and second.trainer.memory() == {}
    assert all(torch.equal(second.trainer.weights()[name], weights[name]) for name in weights)
    assert second.snapshot().fingerprint != TrainingSource(tiny(seed=5)).snapshot().fingerprint
    with pytest.raises(Failure, match=r"16×16 but 32×32|of another model"):
        TrainingSource(tiny(width=32), initial=weights)


def test_the_run_describes_itself():
    source = TrainingSource(preset("smoke", text_limit=100_000), null_of="other")
    about = source.describe()
    assert json.loads(about["configuration"])["layers"] == 4
    assert about["null_of"] == "other" and about["text_hash"] and about["tokenizer_hash"]
    assert about["source"] == "training" and about["revision"] == "seed 0" and about["architecture"] == "gpt2"
    assert source.run == "smoke-gpt2-0"
