"""Checkpoint: reading, tied tables, scales, fingerprints, pickling."""

import pickle

import numpy as np
import pytest

from gedanken.sources.checkpoints import Checkpoint
from gedanken.sources.models import open_checkpoint
from gedanken.sources.tensor_files.arrays import Arrays
from gedanken.sources.tensor_files.base import TensorFile, TensorInfo
from gedanken.status import Failure, Flag, Refusal

LLAMA = {"model_type": "llama", "num_attention_heads": 2, "hidden_size": 4}


def small(rng, **more) -> dict[str, np.ndarray]:
    names = {"model.embed_tokens.weight": (9, 4), "model.layers.0.self_attn.q_proj.weight": (4, 4)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in names.items()} | more


def part(checkpoint: Checkpoint, name: str):
    return next(piece for piece in checkpoint.pieces if piece.site.part == name)


def test_rows_in_blocks_are_the_whole_table():
    rng = np.random.default_rng(0)
    arrays = small(rng)
    checkpoint = Checkpoint.of(Arrays(arrays), LLAMA)
    table = part(checkpoint, "W_E")
    blocks = [checkpoint.read(table, start, start + 4) for start in range(0, 9, 4)]
    assert [len(block) for block in blocks] == [4, 4, 1]
    assert np.array_equal(np.concatenate(blocks), arrays["model.embed_tokens.weight"])


@pytest.mark.parametrize("change", [None, 8])
def test_two_tables_are_one_if_every_row_is_equal(change):
    arrays = small(np.random.default_rng(0))
    head = arrays["model.embed_tokens.weight"].copy()
    if change is not None:
        head[change] += 1
    checkpoint = Checkpoint.of(Arrays(arrays | {"lm_head.weight": head}), LLAMA)
    parts = [piece.site.part for piece in checkpoint.pieces]
    if change is None:
        assert "W_U" not in parts and part(checkpoint, "W_E").notes == ("tied",)
        assert ("lm_head.weight", "the same data as model.embed_tokens.weight") in [
            (skip.tensor, skip.reason) for skip in checkpoint.skipped
        ]
    else:
        assert "W_U" in parts and part(checkpoint, "W_E").notes == ()


class Scaled(TensorFile):
    """A weight in 8-bit floats with a scale beside it."""

    label, metadata = "scaled", {}

    def __init__(self, values: np.ndarray, scale: np.ndarray, name: str):
        self.arrays = {"lm_head.weight": values, name: scale}
        self.tensors = {
            "lm_head.weight": TensorInfo("lm_head.weight", values.shape, "F8_E4M3", values.size),
            name: TensorInfo(name, scale.shape, "F32", scale.nbytes),
        }

    def read(self, name, start=0, stop=None):
        return np.array(self.arrays[name][start:stop] if self.arrays[name].ndim else self.arrays[name])

    def fingerprint(self):
        return ""


@pytest.mark.parametrize(
    ("scale", "suffix"),
    [((), "_scale"), ((1,), "_scale"), ((5, 1), "_scale"), ((5,), "_scale"), ((3, 2), "_scale_inv")],
)
def test_scales_multiply_numbers_rows_or_blocks(scale, suffix):
    rng = np.random.default_rng(0)
    values, factors = rng.normal(size=(5, 4)), rng.uniform(1, 2, size=scale)
    # Blocks of 2 rows × 3 columns: the last of each is cut off.
    config = {"model_type": "llama", "quantization_config": {"weight_block_size": [2, 3]}}
    checkpoint = Checkpoint.of(Scaled(values, factors, f"lm_head.weight{suffix}"), config)
    (piece,) = checkpoint.pieces
    assert piece.notes == ("scaled",)
    expected = np.empty((5, 4))
    for i in range(5):
        for j in range(4):
            factor = factors[i // 2, j // 3] if scale == (3, 2) else factors.ravel()[i if 5 in scale else 0]
            expected[i, j] = values[i, j] * factor
    assert np.array_equal(checkpoint.read(piece), expected)
    assert np.array_equal(checkpoint.read(piece, 1, 4), expected[1:4])


def test_a_scale_whose_blocks_are_not_known_is_refused():
    checkpoint = Checkpoint.of(Scaled(np.ones((5, 4)), np.ones((3, 2)), "lm_head.weight_scale_inv"), LLAMA)
    with pytest.raises(Refusal, match="lm_head.weight of scaled") as refusal:
        checkpoint.read(checkpoint.pieces[0])
    assert refusal.value.flag == Flag.undecodable


def test_integers_are_refused_with_their_name():
    checkpoint = Checkpoint.of(Arrays({"table": np.ones((3, 3), np.int32)}))
    with pytest.raises(Refusal, match="table") as refusal:
        checkpoint.read(checkpoint.pieces[0])
    assert refusal.value.flag == Flag.not_floating


def test_fingerprint_changes_with_data_and_configuration():
    arrays = small(np.random.default_rng(0))
    prints = [Checkpoint.of(Arrays(arrays), LLAMA).fingerprint()]
    assert Checkpoint.of(Arrays(arrays), dict(LLAMA)).fingerprint() == prints[0]
    prints.append(Checkpoint.of(Arrays(arrays), LLAMA | {"num_attention_heads": 4}).fingerprint())
    prints.append(Checkpoint.of(Arrays({name: 2 * array for name, array in arrays.items()}), LLAMA).fingerprint())
    assert len(set(prints)) == 3


def test_a_checkpoint_of_a_file_is_pickled_without_its_tensors(tmp_path):
    arrays = {"model.embed_tokens.weight": np.random.default_rng(0).normal(size=(5000, 40)).astype(np.float32)}
    np.savez(tmp_path / "model.npz", **arrays)
    checkpoint = open_checkpoint(tmp_path / "model.npz")
    packed = pickle.dumps(checkpoint)
    assert len(packed) < 10_000
    again = pickle.loads(packed)
    assert again.pieces == checkpoint.pieces
    assert np.array_equal(again.read(again.pieces[0]), arrays["model.embed_tokens.weight"])


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', "\xff\xfe"])
def test_a_malformed_configuration_is_one_sentence(tmp_path, text):
    np.savez(tmp_path / "model.npz", w=np.ones((2, 2)))
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(Failure, match="config.json"):
        open_checkpoint(tmp_path)


def test_an_endless_configuration_is_not_read(tmp_path):
    np.savez(tmp_path / "model.npz", w=np.ones((2, 2)))
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(Failure, match="larger than a configuration"):
        open_checkpoint(tmp_path)
