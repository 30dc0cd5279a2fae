"""Prompts of one document are resampled together."""

import numpy as np

from gedanken.analysis.document_weights import document_weights

DOCUMENTS = np.array([7, 7, 7, 9, 9, 2])


def test_prompts_of_a_document_weigh_the_same_and_all_weights_are_one():
    weights = document_weights(DOCUMENTS, np.random.default_rng(0), 50)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
    assert (weights[:, :3] == weights[:, :1]).all()
    assert (weights[:, 3] == weights[:, 4]).all()
    assert (weights[:, 0] != weights[:, 5]).any()


def test_equal_prompts_of_a_document_count_once():
    """24 prompts in six documents, equal within each, have the interval of six values and not that of 24."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal(6)
    few = document_weights(np.arange(6), np.random.default_rng(2), 4000) @ values
    repeated = document_weights(np.repeat(np.arange(6), 4), np.random.default_rng(3), 4000) @ np.repeat(values, 4)
    # 4,000 draws know a standard deviation to 1.1 %; six values taken for 24 would halve it
    np.testing.assert_allclose(repeated.std(), few.std(), rtol=0.05)
    np.testing.assert_allclose(few.std(), values.std() / np.sqrt(6), rtol=0.05)
