"""Recipes: sizes that the specification names, and every wrong field a sentence."""

import pytest

from gedanken.sources.training.presets import LADDER, PRESETS, preset
from gedanken.sources.training.recipe import read_toml, recipe
from gedanken.status import Failure


def test_the_sizes_are_those_of_the_specification():
    assert preset("D8").matrix_parameters == 29_360_128
    assert preset("D12").matrix_parameters == 91_226_112
    assert preset("D16").matrix_parameters == 209_715_200
    assert preset("D16", style="llama", tied=False).matrix_parameters == 285_212_672
    blocks = [preset(name).matrix_parameters - 2048 * preset(name).width for name in ("cpu8", "cpu12", "cpu16")]
    assert [round(count / 1e6, 2) for count in blocks] == [1.57, 3.69, 7.08]


@pytest.mark.parametrize("style, tied", [("gpt2", True), ("llama", False), ("neox", True)])
def test_the_count_is_that_of_the_models_matrices(style, tied):
    from gedanken.sources.training.model import GPT

    chosen = preset("smoke", style=style, tied=tied)
    counted = [p.numel() for name, p in GPT(chosen).named_parameters() if p.dim() > 1 and "W_pos" not in name]
    assert sum(counted) == chosen.matrix_parameters


def test_the_schedule_and_the_data_of_the_specification():
    for name in ("cpu8", "cpu12", "cpu16"):
        chosen = preset(name)
        assert (chosen.batch, chosen.context, chosen.vocabulary, chosen.steps, chosen.warmup) == (
            8,
            128,
            2048,
            1000,
            100,
        )
        assert (chosen.beta1, chosen.beta2, chosen.weight_decay, chosen.clip) == (0.9, 0.95, 0.1, 1.0)
    assert [preset(name).learning_rate for name in ("D8", "D12", "D16", "cpu8")] == [6e-4, 4e-4, 3e-4, 1e-3]
    assert {preset("depth-ladder", layers=layers).width for layers in LADDER} == {128}


def test_every_preset_can_be_made():
    for name in PRESETS:
        assert preset(name, layers=4).preset == name


@pytest.mark.parametrize(
    "name, fields, sentence, hint",
    [
        ("cpu9", {}, "There is no preset 'cpu9'", "--preset cpu8"),
        ("cpu8", {"layer": 3}, "A recipe has no field 'layer'", "layers"),
        ("cpu8", {"lerning_rate": 3}, "A recipe has no field 'lerning_rate'", "learning_rate"),
        ("cpu8", {"layers": "many"}, "layers: Input should be a valid integer", ""),
        ("cpu8", {"layers": 0}, "layers: Input should be greater than or equal to 1", ""),
        ("cpu8", {"heads": 3}, "A width of 128 does not divide into 3 heads", ""),
        ("cpu8", {"style": "bert"}, "There is no style 'bert'; there are gpt2, llama, neox.", ""),
        ("depth-ladder", {}, "depth-ladder is a family of depths", "--set layers=12"),
    ],
)
def test_what_makes_no_recipe_is_a_sentence(name, fields, sentence, hint):
    with pytest.raises(Failure) as told:
        preset(name, **fields)
    assert told.value.sentence.startswith(sentence)
    assert told.value.try_next == hint


def test_controls_change_the_recipe():
    assert preset("cpu8", control="frozen").learning_rate == 0
    constant = preset("cpu8", control="no-warm-up")
    assert (constant.warmup, constant.schedule) == (0, "constant")
    assert preset("cpu8", control="shuffled").learning_rate == 1e-3


def test_toml(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("layers = 3\nlearning_rate = 2e-3\ntied = false\n")
    assert recipe(read_toml(path)).layers == 3
    path.write_text("layers 3")
    with pytest.raises(Failure, match="could not be read as TOML"):
        read_toml(path)


def test_the_fingerprint_changes_with_every_field():
    one = preset("smoke")
    others = [{"seed": 1}, {"beta2": 0.9}, {"style": "llama"}, {"threads": 1}, {"text_limit": 5}]
    prints = {one.fingerprint(), *(preset("smoke", **other).fingerprint() for other in others)}
    assert len(prints) == len(others) + 1
