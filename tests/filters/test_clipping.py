"""Samples at the rails are not measurements."""

import numpy as np
import pytest

from ionm.filters.clipping import Clipping
from ionm.stream import Channel, Chunk, StreamInfo, chunk

INFO = StreamInfo(1000.0, (Channel("A", rails=(-1.0, 2.0)), Channel("B"), Channel("C", rails=(-np.inf, 0.5))))


def test_samples_at_or_beyond_the_stated_rails_are_not_valid():
    data = np.array([[-1.0, -0.999, 1.999, 2.0, 7.0], [-9, 9, 9, 9, 9], [-99, 0.499, 0.5, 0.6, 0.0]])

    out = Clipping().start(INFO).push(chunk(data, start=5))

    np.testing.assert_array_equal(
        out.valid, [[False, True, True, False, False], [True] * 5, [True, True, False, False, True]]
    )
    np.testing.assert_array_equal(out.data, data)
    assert out.start == 5


def test_what_was_not_valid_stays_so_and_inputs_are_not_written_to():
    data = np.array([[0.0, 5.0, np.nan], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    given = Chunk(data, np.array([[False, True, False]] * 3), 0)
    given.valid.setflags(write=False)

    out = Clipping().start(INFO).push(given)

    np.testing.assert_array_equal(
        out.valid, [[False, False, False], [False, True, False], [False, True, False]]
    )


def test_without_rails_and_without_clipping_the_chunk_passes_as_it_is():
    inside = chunk(np.zeros((3, 4)))
    assert Clipping().start(INFO).push(inside) is inside

    bare = StreamInfo(1000.0, (Channel("A"),))
    wild = chunk([[1e9, -1e9]])
    assert Clipping().start(bare).push(wild) is wild


@pytest.mark.parametrize("n", [0, 1])
def test_short_chunks_pass(n):
    assert Clipping().start(INFO).push(chunk(np.zeros((3, n)))).n_samples == n


def test_clipping_changes_neither_stream_nor_delay():
    assert Clipping().output(INFO) is INFO
    assert Clipping().delay(INFO, 10.0) == 0.0
