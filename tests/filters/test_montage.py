"""Derived channels are weighted sums, valid where all their inputs are."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionm.errors import SetupError
from ionm.filters.montage import Derived, Montage
from ionm.stream import Channel, Chunk, Note, StreamInfo, Trigger, chunk

INFO = StreamInfo(1000.0, (Channel("A", rails=(-1.0, 1.0)), Channel("B", "eeg"), Channel("C")))
BIPOLAR = Montage(
    (Derived("A-B", (("A", 1.0), ("B", -1.0))), Derived("half", (("C", 0.5),)), Derived("A", (("A", 1.0),)))
)


def test_a_derived_channel_is_the_weighted_sum_of_its_inputs():
    data = np.random.default_rng(1).normal(size=(3, 20))

    out = BIPOLAR.start(INFO).push(chunk(data))

    np.testing.assert_array_equal(out.data, [data[0] - data[1], 0.5 * data[2], data[0]])


def test_a_derived_sample_is_valid_only_where_all_its_inputs_are():
    data = np.zeros((3, 4))
    data[0, 1], data[1, 2], data[2, 3] = np.nan, np.inf, np.nan

    out = BIPOLAR.start(INFO).push(chunk(data))

    np.testing.assert_array_equal(out.valid, [[1, 0, 0, 1], [1, 1, 1, 0], [1, 0, 1, 1]])


@given(st.lists(st.integers(0, 30), max_size=10))
def test_any_cutting_gives_the_same_bits(borders):
    data = np.random.default_rng(2).normal(size=(3, 30))
    whole = BIPOLAR.start(INFO).push(chunk(data)).data
    running = BIPOLAR.start(INFO)
    edges = pairwise([0, *sorted(borders), 30])

    parts = [running.push(chunk(data[:, a:b], start=a)).data for a, b in edges]

    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_marks_and_start_ride_along():
    given = Chunk(
        np.zeros((3, 4)), np.ones((3, 4), dtype=bool), 9, (Trigger(10, "tes"),), (Note(9, 11, "x"),)
    )

    for montage in (BIPOLAR, Montage((Derived("C", (("C", 1.0),)),))):
        out = montage.start(INFO).push(given)
        assert (out.start, out.triggers, out.notes) == (9, given.triggers, given.notes)


def test_a_selection_reorders_channels_and_the_same_order_costs_nothing():
    data = np.arange(12.0).reshape(3, 4)
    swapped = Montage((Derived("x", (("C", 1.0),)), Derived("y", (("A", 1.0),))))
    same = Montage(tuple(Derived(f"n{i}", ((name, 1.0),)) for i, name in enumerate("ABC")))
    given = chunk(data)

    np.testing.assert_array_equal(swapped.start(INFO).push(given).data, data[[2, 0]])
    assert same.start(INFO).push(given) is given


def test_the_first_channels_in_order_are_a_selection_too():
    data = np.arange(12.0).reshape(3, 4)
    fewer = Montage((Derived("x", (("A", 1.0),)), Derived("y", (("B", 1.0),))))

    assert fewer.start(INFO).push(chunk(data)).data.shape == (2, 4)


def test_only_a_plain_copy_keeps_the_rails():
    out = BIPOLAR.output(INFO)

    assert out.names == ("A-B", "half", "A")
    assert [c.rails for c in out.channels] == [None, None, (-1.0, 1.0)]
    assert out.fs == INFO.fs
    assert BIPOLAR.delay(INFO, 10.0) == 0.0
    assert Montage((Derived("A", (("A", 2.0),)),)).output(StreamInfo(1.0, INFO.channels, True)).segmented


def test_a_montage_names_the_channel_that_the_stream_lacks():
    montage = Montage((Derived("out", (("A", 1.0), ("Z", 1.0))),))

    for use in (montage.start, montage.output):
        with pytest.raises(SetupError, match="channel 'out' needs 'Z'; the stream has A, B, C"):
            use(INFO)


def test_a_derived_channel_without_terms_is_refused():
    with pytest.raises(ValueError, match="derived channel 'x' needs at least one term"):
        Derived("x", ())


def test_two_derived_channels_of_one_name_are_refused():
    twice = Montage((Derived("x", (("A", 1.0),)), Derived("x", (("B", 1.0),))))

    with pytest.raises(ValueError, match="channel names must differ"):
        twice.output(INFO)
