from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionm.simulate.waves import SUPPORT, Volleys, shape, trains

FINE = np.arange(0, 40, 1e-3)  # widths


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_volley_of_any_order_has_size_one_and_starts_at_its_onset(order):
    wave = shape(FINE, order)

    assert np.ptp(np.append(wave, 0.0)) == pytest.approx(1.0, abs=1e-6)
    assert not shape(np.array([-1.0, -1e-9, 0.0]), order).any()
    assert wave[1] != 0.0


@pytest.mark.parametrize("order", [0, 1, 2])
def test_nothing_of_note_is_cut_off_at_the_end_of_the_support(order):
    assert np.abs(shape(np.array([SUPPORT - 1e-6]), order)).max() < 1e-4
    assert not shape(np.array([SUPPORT, SUPPORT + 1]), order).any()


@pytest.mark.parametrize("order", [1, 2])
def test_two_and_three_phases_are_balanced_in_area(order):
    assert abs(np.sum(shape(FINE, order)) * 1e-3) < 1e-4


def test_two_phases_begin_negative_and_the_first_is_the_larger():
    wave = shape(FINE, 1)

    assert np.argmin(wave) < np.argmax(wave)
    assert wave.max() / -wave.min() == pytest.approx(0.85, abs=0.01)


def test_the_slow_potential_is_positive_throughout():
    assert shape(FINE[1:], 0).min() >= 0.0


@given(
    onset=st.floats(0.0, 0.2),
    width=st.floats(0.2e-3, 3e-3),
    cuts=st.lists(st.integers(0, 2000), max_size=6),
    fs=st.sampled_from([5000.0, 10000.0, 48000.0]),
)
def test_sampling_in_pieces_gives_the_exact_values_at_any_rate(onset, width, cuts, fs):
    volleys = Volleys(
        np.array([[onset, onset + 1.7e-3]]), np.array([[1.0, -0.4]]), np.array([[width, 0.5e-3]]), (1, 2)
    )
    bounds = [0, *sorted(cuts), 2000]

    pieces = []
    for begin, end in itertools.pairwise(bounds):
        piece = np.zeros(end - begin)
        for train in trains([volleys]):
            train.add_to(piece, fs, begin)
        pieces.append(piece)

    np.testing.assert_allclose(np.concatenate(pieces), volleys.at(np.arange(2000) / fs)[0], atol=1e-9)


def test_volleys_that_are_left_out_make_no_train():
    silent = Volleys(np.zeros((3, 1)), np.zeros((3, 1)), np.ones((3, 1)), (1,))

    assert trains([silent]) == []


def test_delayed_volleys_come_later_each_by_its_own_time():
    volleys = Volleys(np.zeros((2, 1)), np.ones((2, 1)), np.full((2, 1), 1e-3), (1,))
    times = np.arange(100) * 1e-4

    late = volleys.delayed(np.array([0.0, 1e-3]))

    np.testing.assert_allclose(late.at(times)[1, 10:], volleys.at(times)[1, :-10], atol=1e-12)
    np.testing.assert_array_equal(late.at(times)[0], volleys.at(times)[0])
