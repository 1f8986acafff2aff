"""The records that everything passes around."""

from dataclasses import FrozenInstanceError
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionm.errors import SignalError
from ionm.stream import Channel, Chunk, Note, StreamInfo, Trigger, chunk


@pytest.mark.parametrize("fs", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(fs):
    with pytest.raises(ValueError, match=r"need fs > 0 Hz, got fs="):
        StreamInfo(fs, (Channel("A"),))


def test_two_channels_of_one_name_are_refused():
    with pytest.raises(ValueError, match="channel names must differ, got A, B, A"):
        StreamInfo(1.0, (Channel("A"), Channel("B"), Channel("A")))


def test_an_info_names_and_counts_its_channels_and_rounds_durations():
    info = StreamInfo(5000.0, (Channel("A"), Channel("B", "eeg", (-1.0, 1.0))))

    assert (info.names, info.n_channels, info.segmented) == (("A", "B"), 2, False)
    assert [info.samples(s) for s in (0.0, 1e-3, 0.00109, 0.00111, -0.1)] == [0, 5, 5, 6, -500]
    assert info == StreamInfo(5000.0, info.channels)
    assert hash(info) == hash(StreamInfo(5000.0, info.channels))


def test_records_are_frozen():
    for record, name in (
        (Channel("A"), "name"),
        (StreamInfo(1.0, ()), "fs"),
        (Trigger(1, "tes"), "sample"),
        (Note(1, 1, "x"), "event"),
        (chunk(np.zeros((1, 2))), "start"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(record, name, 3)


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12.0), ("0.5", 0.5), ("1e1", 10.0), ("", None), ("x", None), ("12 mA", None)]
)
def test_an_attribute_is_a_number_or_none(text, number):
    assert Trigger(0, "zygomatic", {"mA": text}).number("mA") == number
    assert Trigger(0, "zygomatic", {"mA": text}).number("V") is None


def test_a_chunk_from_plain_samples_flags_what_is_no_number():
    made = chunk([[1, np.nan, 3], [np.inf, -np.inf, 0]], start=7)

    assert (made.start, made.stop, made.n_samples) == (7, 10, 3)
    assert made.data.dtype == np.float64
    assert made.data.flags.c_contiguous
    np.testing.assert_array_equal(made.valid, [[True, False, True], [False, False, True]])


@pytest.mark.parametrize("data", [1.0, [1.0, 2.0], np.zeros((1, 2, 3))])
def test_samples_of_another_shape_are_refused(data):
    with pytest.raises(SignalError, match=r"expected samples of shape \(n_channels, n_samples\), got \("):
        chunk(data)


@given(st.lists(st.integers(0, 50), max_size=10), st.lists(st.integers(0, 49), max_size=10))
def test_cutting_keeps_every_sample_and_every_mark_once(borders, marks):
    start = 1000
    triggers = tuple(Trigger(start + at, "tes") for at in sorted(marks))
    notes = tuple(Note(start + at - 5, start + at, "x") for at in sorted(marks))
    whole = chunk(np.arange(100.0).reshape(2, 50), start, triggers, notes)
    edges = [start, *sorted(start + b for b in borders), start + 50]

    parts = [whole.cut(a, b) for a, b in pairwise(edges)]

    np.testing.assert_array_equal(np.concatenate([p.data for p in parts], axis=1), whole.data)
    np.testing.assert_array_equal(np.concatenate([p.valid for p in parts], axis=1), whole.valid)
    assert tuple(t for p in parts for t in p.triggers) == triggers
    assert tuple(n for p in parts for n in p.notes) == notes
    assert [(p.start, p.stop) for p in parts] == list(pairwise(edges))


def test_a_cut_copies_no_samples():
    whole = chunk(np.zeros((2, 50)))

    assert np.shares_memory(whole.cut(10, 20).data, whole.data)


def test_chunks_are_compared_by_identity():
    one = Chunk(np.zeros((1, 1)), np.ones((1, 1), dtype=bool), 0)

    assert one == one  # noqa: PLR0124
    assert one != Chunk(one.data, one.valid, 0)
