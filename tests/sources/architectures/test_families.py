"""Every family, on a tiny model that transformers builds, saves and runs: the file's pieces do what the model does.

All comparisons are of float32 sums of at most 128 products: their rounding is below 1e-5 of the values' size.
"""

import sys
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from gedanken.site import Site
from gedanken.sources.models import open_checkpoint, open_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
NO_WITNESS = ("mamba", "deberta", "gptj", "gpt_neo", "mpt")
"""Attention computed where its q, k, v cannot be watched; their projections are plain, and watched one by one."""
SCALED_QUERIES = ("opt", "whisper")
"""These multiply their queries by head_dim^-1/2 before the attention function sees them."""
UNNAMED = {
    "mamba": {"A_log", "conv1d.weight", "dt_proj.weight", "in_proj.weight", "out_proj.weight", "x_proj.weight"},
    "bart": set(),
}


def inputs(model) -> dict:
    ids = torch.arange(3, 10)[None]
    match model.config.model_type:
        case "vit":
            return {"pixel_values": torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))}
        case "whisper":
            features = torch.randn(1, 8, 40, generator=torch.Generator().manual_seed(1))
            return {"input_features": features, "decoder_input_ids": ids}
        case "t5" | "bart":
            return {"input_ids": ids, "decoder_input_ids": ids[:, :5]}
    return {"input_ids": ids}


@pytest.fixture
def run(monkeypatch):
    """Tiny → what every linear module took and gave, and every attention's own q, k, v before rotation."""

    def forward(tiny):
        model, home = tiny.model, sys.modules[type(tiny.model).__module__]
        linear, attention, hooks = {}, {}, []
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.Linear | transformers.pytorch_utils.Conv1D):
                hooks.append(module.register_forward_hook(_keep(linear, name)))
            elif name.endswith(("q_norm", "k_norm", "q_a_layernorm", "kv_a_layernorm")):
                hooks.append(module.register_forward_hook(lambda module, taken, given: taken[0]))
        names = {module: name for name, module in model.named_modules()}
        if tiny.name not in NO_WITNESS:
            _watch_attention(monkeypatch, home, attention, names)
        with torch.no_grad():
            model(**inputs(model))
        for hook in hooks:
            hook.remove()
        return linear, attention

    return forward


def _keep(linear: dict, name: str):
    def keep(module, taken, given):
        # Copies: some models add to an output in place.
        linear[name] = taken[0].numpy().copy(), given.numpy().copy()

    return keep


def _watch_attention(monkeypatch, home, attention: dict, names: dict) -> None:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    def watching(original):
        def watch(module, query, key, value, *rest, **more):
            attention[names[module]] = tuple(x.numpy() for x in (query, key, value))
            return original(module, query, key, value, *rest, **more)

        return watch

    def watching_split(original):
        def split(module, fused):
            found = original(module, fused)
            heads_last = "Bloom" in type(module).__name__
            attention[names[module]] = tuple(x.numpy() if heads_last else x.transpose(1, 2).numpy() for x in found)
            return found

        return split

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._local_mapping, "sdpa", watching(ALL_ATTENTION_FUNCTIONS["sdpa"]))
    members = vars(home)
    if "eager_attention_forward" in members:
        monkeypatch.setattr(home, "eager_attention_forward", watching(home.eager_attention_forward))
    for rotate in ("apply_rotary_pos_emb", "apply_rotary_emb", "apply_rotary_pos_emb_interleave"):
        if rotate in members:
            monkeypatch.setattr(home, rotate, lambda query, key, *rest, **more: (query, key))
    for owner, method in (("FalconAttention", "_split_heads"), ("BloomAttention", "_reshape")):
        if owner in members:
            monkeypatch.setattr(members[owner], method, watching_split(vars(members[owner])[method]))


def test_every_element_of_every_tensor_is_in_one_piece_or_skipped(tiny):
    checkpoint = open_checkpoint(tiny.folder)
    parts = defaultdict(list)
    for piece in checkpoint.pieces:
        shape = checkpoint.files.tensors[piece.tensor].shape
        numbers = np.arange(np.prod(shape)).reshape(shape)
        cut = piece.cut.apply(lambda start, stop, numbers=numbers: numbers[start:stop], shape)
        assert cut.shape == (piece.rows, piece.cols)
        parts[piece.tensor].append(cut.ravel())
    for tensor, cuts in parts.items():
        elements = np.sort(np.concatenate(cuts))
        assert np.array_equal(elements, np.arange(np.prod(checkpoint.files.tensors[tensor].shape))), tensor
    skipped = [skip.tensor for skip in checkpoint.skipped]
    assert sorted([*parts, *skipped]) == sorted(checkpoint.files.tensors)
    for skip in checkpoint.skipped:
        vector = len(checkpoint.files.tensors[skip.tensor].shape) == 1
        assert vector or skip.tensor.endswith(("bias", "cls_token")), skip


def test_every_matrix_has_a_name(tiny):
    checkpoint = open_checkpoint(tiny.folder)
    sites = [piece.site for piece in checkpoint.pieces]
    assert len(set(sites)) == len(sites)
    assert all(Site.parse(str(site)) == site for site in sites)
    assert not any("unsplit" in piece.notes for piece in checkpoint.pieces)
    unnamed = {site.part.rpartition("mixer.")[2] for site in sites if site.block == "other"}
    assert unnamed == UNNAMED.get(tiny.name, set())


def test_shapes_are_what_the_parts_mean(tiny):
    """In: width → inner; out: inner → width; the gate like in; W_O: the heads' values → width."""
    checkpoint = open_checkpoint(tiny.folder)
    shapes = {piece.site: (piece.rows, piece.cols) for piece in checkpoint.pieces}
    width, inner = 32, {"qwen2_moe": 24, "qwen3_moe": 24}.get(tiny.name)
    for site, shape in shapes.items():
        if site.part in ("W_in", "W_gate"):
            out = shapes[replace(site, part="W_out")]
            assert shape[1] == out[0] == width and shape[0] == out[1] != width, site
            assert inner in (None, shape[0])
        elif site.part == "W_O":
            value = shapes.get(replace(site, part="W_V"))
            assert shape[0] == width and (value is None or shape[1] % value[0] == 0), site
        elif site.part in ("W_Q", "W_K", "W_V"):
            assert shape[1] == width, site


def test_the_model_in_memory_has_the_same_sites_and_matrices(tiny):
    saved, live = open_checkpoint(tiny.folder), open_model(tiny.model).checkpoint
    matrices = {piece.site: saved.read(piece) for piece in saved.pieces}
    assert {piece.site for piece in live.pieces} == set(matrices)
    for piece in live.pieces:
        assert np.array_equal(live.read(piece), matrices[piece.site]), piece.site
    tied = {piece.site for piece in saved.pieces if "tied" in piece.notes}
    assert tied == {piece.site for piece in live.pieces if "tied" in piece.notes}
    output = tiny.model.get_output_embeddings()
    if output is not None:
        assert bool(tied) == (output.weight is tiny.model.get_input_embeddings().weight)


def test_matrices_act_as_the_model_s_linear_modules(tiny, run):
    linear, _ = run(tiny)
    saved, live = open_checkpoint(tiny.folder), open_model(tiny.model).checkpoint
    where = defaultdict(list)
    for piece in live.pieces:
        where[piece.tensor.removesuffix(".weight")].append(piece)
    pieces = {piece.site: piece for piece in saved.pieces}
    checked = 0
    for module, (taken, given) in linear.items():
        if module not in where:
            continue
        for piece in where[module]:
            if piece.cut.groups > 1:
                continue
            ours = taken @ saved.read(pieces[piece.site]).T
            np.testing.assert_allclose(ours, given[..., piece.cut.start : piece.cut.stop], **CLOSE, err_msg=module)
            checked += 1
    assert checked >= 4


def test_queries_keys_and_values_are_the_model_s_own(tiny, run):
    if tiny.name in NO_WITNESS:
        pytest.skip("its attention cannot be watched; the linear modules are")
    linear, attention = run(tiny)
    saved, live = open_checkpoint(tiny.folder), open_model(tiny.model).checkpoint
    heads = saved.heads
    pieces = {piece.site: piece for piece in saved.pieces}
    scale = heads.head_dim**-0.5 if tiny.name in SCALED_QUERIES else 1.0
    checked = 0
    for piece in live.pieces:
        index = {"W_Q": 0, "W_K": 1, "W_V": 2}.get(piece.site.part)
        if index is None:
            continue
        module = piece.tensor.removesuffix(".weight").removesuffix(".in_proj")
        owner = next(name for name in attention if module.startswith(f"{name}."))
        ours = linear[module][0] @ saved.read(pieces[piece.site]).T * (1.0 if index else scale)
        count = heads.kv_heads if index else heads.heads
        ours = ours.reshape(*ours.shape[:2], count, -1).swapaxes(1, 2)
        theirs = attention[owner][index]
        if theirs.shape[1] != count:
            theirs = theirs[:, :: heads.heads // heads.kv_heads]
        np.testing.assert_allclose(ours, theirs, **CLOSE, err_msg=str(piece.site))
        checked += 1
    latent = [site for site in pieces if site.part == "W_K_up"]
    assert checked == 3 * len(attention) or len(latent) == len(attention)


@pytest.mark.parametrize("name", ["deepseek_v2", "deepseek_v3"])
def test_latent_attention_makes_the_model_s_queries_keys_and_values(name, build, run):
    tiny = build(name)
    linear, attention = run(tiny)
    saved, config = open_checkpoint(tiny.folder), tiny.model.config
    pieces = {piece.site: saved.read(piece) for piece in saved.pieces}
    nope = config.qk_nope_head_dim
    for layer in range(2):
        w = {part: pieces[Site("attn", part, layer)] for part in
             ("W_Q_down", "W_Q_up", "W_KV_down", "W_K_rope", "W_K_up", "W_V_up")}  # fmt: skip
        module = f"model.layers.{layer}.self_attn"
        x = linear[f"{module}.q_a_proj"][0]
        query, key, value = (a.swapaxes(1, 2) for a in attention[module])

        def per_head(a):
            return a.reshape(*a.shape[:2], config.num_attention_heads, -1)

        latent = x @ w["W_KV_down"].T
        np.testing.assert_allclose(per_head(x @ w["W_Q_down"].T @ w["W_Q_up"].T), query, **CLOSE)
        np.testing.assert_allclose(per_head(latent @ w["W_K_up"].T), key[..., :nope], **CLOSE)
        np.testing.assert_allclose(per_head(latent @ w["W_V_up"].T), value[..., : config.v_head_dim], **CLOSE)
        rope = np.broadcast_to((x @ w["W_K_rope"].T)[:, :, None], key[..., nope:].shape)
        np.testing.assert_allclose(rope, key[..., nope:], **CLOSE)


GATED = ["llama", "phi3", "gemma", "modernbert", "t5_gated", "mixtral", "qwen2_moe", "olmoe", "gpt_oss", "deepseek_v3"]


@pytest.mark.parametrize("name", GATED)
def test_gate_in_and_out_make_the_model_s_mlp(name, build):
    """W_out (f(W_gate x) ∘ W_in x) for the dense layer, or for one expert that the model itself is asked to use."""
    tiny = build(name)
    saved = open_checkpoint(tiny.folder)
    pieces = {piece.site: saved.read(piece) for piece in saved.pieces}
    stack = "encoder" if name == "t5_gated" else None
    expert = next((2 for site in pieces if site.expert == 2), None)
    layer = max(site.layer for site in pieces if site.expert == expert and site.block == "mlp")
    gate, up, down = (torch.from_numpy(pieces[Site("mlp", part, layer, stack, expert)]) for part in
                      ("W_gate", "W_in", "W_out"))  # fmt: skip
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(2))
    mlp = [module for path, module in tiny.model.named_modules() if path.endswith(_mlp_path(name, layer))][0]
    with torch.no_grad():
        if expert is None:
            theirs = mlp(x[None])[0]
        else:
            chosen, certain = torch.full((5, 1), expert), torch.ones(5, 1)
            theirs = mlp.experts(x, chosen, certain)
        activate = _activation(name, mlp, expert)
        # gpt-oss adds one to the linear half.
        linear = x @ up.T + (name == "gpt_oss")
        ours = (activate(x @ gate.T) * linear) @ down.T
    np.testing.assert_allclose(ours, theirs, **CLOSE)


def _mlp_path(name: str, layer: int) -> str:
    return f"encoder.block.{layer}.layer.1.DenseReluDense" if name == "t5_gated" else f"layers.{layer}.mlp"


def _activation(name: str, mlp, expert: int | None):
    if name == "gpt_oss":
        return lambda h: h * torch.sigmoid(1.702 * h)
    owner = mlp if expert is None else mlp.experts
    return next(module for path, module in owner.named_children() if path in ("act_fn", "activation_fn", "act"))


def test_queries_and_keys_of_mpt_give_its_attention(tmp_path):
    """It has no function whose q and k could be watched: its pattern with linear biases [@press2022alibi] is made anew."""
    config = transformers.MptConfig(vocab_size=50, d_model=16, n_layers=1, n_heads=4)
    model = transformers.MptForCausalLM(config).eval()
    model.config._attn_implementation = "eager"
    model.save_pretrained(tmp_path)
    checkpoint, taken = open_checkpoint(tmp_path), {}
    block = model.transformer.blocks[0].attn
    block.register_forward_pre_hook(lambda _, args: taken.update(x=args[0].detach().numpy()[0]))
    stored = dict(model.named_parameters())
    matrices = {}
    for piece in checkpoint.pieces:
        tensor = next(v.detach().numpy() for name, v in stored.items() if name.endswith(piece.tensor))
        matrices[str(piece.site)] = piece.cut.apply(lambda a, b, tensor=tensor: tensor[a:b], tensor.shape)
    with torch.no_grad():
        pattern = model(torch.arange(3, 12)[None], output_attentions=True).attentions[0][0].numpy()
    query, key = ((taken["x"] @ matrices[f"layers.0.attn.{part}"].T).reshape(9, 4, 4) for part in ("W_Q", "W_K"))
    slopes = 2.0 ** (-8 * np.arange(1, 5) / 4)
    z = np.einsum("ihd,jhd->hij", query, key) / 2 + slopes[:, None, None] * (np.arange(9) - 8)
    weights = np.exp(np.where(np.tril(np.ones((9, 9), bool)), z, -np.inf))
    np.testing.assert_allclose(pattern, weights / weights.sum(axis=-1, keepdims=True), **CLOSE)
