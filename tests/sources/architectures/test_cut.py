"""Cut against a plain NumPy transcription: take the expert, flatten, transpose, view in periods, slice."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.sources.architectures.base import Cut


@st.composite
def cuts(draw):
    groups, period, cols = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    start = draw(st.integers(0, period - 1))
    stop = draw(st.none() | st.integers(start + 1, period))
    expert = draw(st.none() | st.integers(0, 2))
    transposed = draw(st.booleans())
    shape = (cols, groups * period) if transposed else (groups * period, cols)
    if not transposed and draw(st.booleans()):
        shape = (*shape, 2)
    return Cut(transposed, expert, groups, start, stop), shape if expert is None else (3, *shape)


def naive(cut: Cut, stored: np.ndarray) -> np.ndarray:
    matrix = stored if cut.expert is None else stored[cut.expert]
    matrix = matrix.reshape(len(matrix), -1)
    matrix = matrix.T if cut.transposed else matrix
    kept = matrix.reshape(cut.groups, -1, matrix.shape[1])[:, cut.start : cut.stop]
    return kept.reshape(-1, matrix.shape[1])


@settings(deadline=None, max_examples=300)
@given(cuts(), st.integers(0, 20), st.none() | st.integers(0, 20))
def test_any_rows_of_any_cut(case, start, stop):
    cut, shape = case
    stored = np.arange(np.prod(shape)).reshape(shape)
    whole = naive(cut, stored)
    assert cut.shape(shape) == whole.shape
    rows = cut.apply(lambda a, b: stored[a:b], shape, start, stop)
    assert np.array_equal(rows, whole[start:stop])
    if cut.expert is None and not cut.transposed:
        assert np.array_equal(cut.rows_of(stored.reshape(len(stored), -1)), whole)


def test_no_more_is_read_than_the_rows_need():
    asked = []

    def read(start, stop):
        asked.append((start, stop))
        return np.zeros((stop - start, 4, 5)[: len(shape)])

    shape = (12, 4)
    Cut().apply(read, shape, 3, 5)
    Cut(groups=3, start=1, stop=3).apply(read, shape, 2, 4)  # rows 1 and 2 of the second period
    shape = (7, 4, 5)
    Cut(expert=6).apply(read, shape)
    assert asked == [(3, 5), (5, 7), (6, 7)]
