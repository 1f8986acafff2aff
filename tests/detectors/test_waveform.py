"""Where a response turns and where it begins, on closed forms."""

import numpy as np
import pytest

from ionm.detectors.waveform import onset, turn

FS = 20_000.0
T = np.arange(600) / FS  # 30 ms


def sine(begin, duration, size=1.0):
    u = T - begin
    return np.where((u >= 0) & (u < duration), 0.5 * size * np.sin(2 * np.pi * u / duration), 0.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_biphasic_wave_turns_at_a_peak_and_swings_its_peak_to_peak(sign):
    found = turn(sign * sine(10e-3, 4e-3))

    assert found.index in (220, 260)
    assert found.swing == pytest.approx(1.0)
    assert found.prominence == pytest.approx(0.5)
    assert found.upward == (found.index == (220 if sign > 0 else 260))


def test_a_single_peak_stands_out_by_its_height_on_both_sides():
    found = turn(np.exp(-((T - 12e-3) ** 2) / (2 * 1e-6)))

    assert (found.index, found.upward) == (240, True)
    assert found.prominence == pytest.approx(1.0)
    assert found.swing == pytest.approx(1.0)


@pytest.mark.parametrize("trace", [T, -T, np.exp(-T / 4e-3), -np.exp(-T / 4e-3), np.zeros(600)])
def test_what_only_rises_or_only_falls_has_no_turn(trace):
    assert turn(trace).prominence == 0.0


def test_a_response_on_a_steep_tail_stands_out_by_what_rises_above_it():
    found = turn(3 * np.exp(-T / 4e-3) + np.where(T > 15e-3, sine(15e-3, 4e-3), 0.0))

    assert 0.2 < found.prominence < 0.6
    assert 310 <= found.index <= 380


def test_one_sample_is_no_turn():
    found = turn(np.array([3.0]))

    assert (found.index, found.prominence, found.swing) == (0, 0.0, 0.0)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("duration", [2.5e-3, 5e-3, 8e-3])
def test_a_response_in_silence_begins_at_five_percent_of_its_peak_to_peak(duration, sign):
    trace = sign * sine(10e-3, duration)
    found = turn(trace)

    begin = onset(trace, found, 0.0, 20, 0)

    truth = 10e-3 + duration * np.arcsin(0.1) / (2 * np.pi)
    assert begin / FS == pytest.approx(truth, abs=0.03e-3)


def test_under_noise_the_edge_is_drawn_on_to_five_percent():
    """The level is 2.5 times the noise, 12.5 % of the peak to peak: later than 5 %, and corrected."""
    trace = sine(10e-3, 5e-3)

    begin = onset(trace, turn(trace), 0.05, 20, 0)

    assert begin / FS == pytest.approx(10e-3 + 5e-3 * np.arcsin(0.1) / (2 * np.pi), abs=0.1e-3)


def test_an_earlier_wave_after_a_rest_is_not_its_beginning():
    trace = sine(4e-3, 2e-3, 0.4) + sine(12e-3, 4e-3)

    assert onset(trace, turn(trace), 0.0, 20, 0) / FS == pytest.approx(12e-3, abs=0.1e-3)


def test_where_the_direct_response_still_runs_it_begins_where_it_turns():
    trace = sine(0.5e-3, 10e-3, 2.0) + sine(10.5e-3, 4e-3)
    found = turn(trace[150:])
    found = type(found)(found.index + 150, found.prominence, found.swing, upward=found.upward)

    begin = onset(trace, found, 0.0, 60, 150)

    assert 150 <= begin <= found.index
