"""The direct response: peak to peak, onset, and when it cannot be judged."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ionm.errors import SetupError
from ionm.events import Sweep
from ionm.protocol import load
from ionm.stream import Trigger
from ionm.sweeps import Layout

FS = 10_000.0
ZERO, LENGTH = 1000, 1500
T = (np.arange(LENGTH) - ZERO) / FS
SPEC = load("mvd-hfs").modality().m_wave
LAYOUT = Layout((0,), None, ZERO, LENGTH, FS, 0.0)
WAVE = np.where((T >= 2.5e-3) & (T < 6.5e-3), 0.5 * np.sin(2 * np.pi * (T - 2.5e-3) / 4e-3), 0.0)


def sweep(trace, valid=None):
    flags = np.ones((1, LENGTH), dtype=bool) if valid is None else valid
    return Sweep(0, Trigger(ZERO, "zygomatic"), trace[np.newaxis], flags, ZERO)


def measure(size, rms, count=60, seed=1, running=None):
    rng = np.random.default_rng(seed)
    running = SPEC.start(LAYOUT) if running is None else running
    return [running.push(sweep(size * WAVE + rng.normal(0, rms, LENGTH)), None) for _ in range(count)]


@pytest.mark.parametrize("size", [300e-6, 1e-3, 5e-3])
def test_amplitude_onset_and_peak_of_a_closed_form(size):
    found = measure(size, size / 200)

    assert all(m.present for m in found)
    assert np.mean([m.amplitude for m in found]) == pytest.approx(size, rel=0.02)
    truth = 2.5e-3 + 4e-3 * np.arcsin(0.1) / (2 * np.pi)
    assert np.mean([m.latency for m in found]) == pytest.approx(truth, abs=0.1e-3)
    assert all(min(abs(m.peak_latency - p) for p in (3.5e-3, 5.5e-3)) < 0.3e-3 for m in found)


def test_an_m_wave_of_100_uv_is_measured_within_ten_percent_in_5_uv_of_noise():
    found = measure(100e-6, 5e-6, count=200)

    assert all(m.present for m in found)
    assert np.mean([m.amplitude for m in found]) == pytest.approx(100e-6, rel=0.1)


def test_noise_alone_is_called_an_m_wave_at_most_at_alpha():
    present = [bool(m.present) for m in measure(0.0, 50e-6, count=600)[20:]]

    assert stats.binomtest(sum(present), len(present)).proportion_ci(0.95).low <= SPEC.alpha


def test_less_than_the_floor_is_no_m_wave():
    found = measure(20e-6, 0.5e-6)

    assert not any(m.present for m in found)
    assert {m.amplitude for m in found} == {None}
    assert all(m.detection_limit >= SPEC.floor for m in found)


def test_a_reason_is_passed_on():
    found = SPEC.start(LAYOUT).push(sweep(1e-3 * WAVE), "cautery")

    assert (found.present, found.reason) == (None, "cautery")


def test_a_window_that_is_not_whole_cannot_be_judged():
    running = SPEC.start(LAYOUT)
    measure(1e-3, 5e-6, running=running)
    noise = np.random.default_rng(2).normal(0, 5e-6, LENGTH)
    for column, reason in ((ZERO + 9, None), (ZERO + 10, "gap"), (ZERO + 89, "gap"), (ZERO + 90, None)):
        valid = np.ones((1, LENGTH), dtype=bool)
        valid[0, column] = False

        assert running.push(sweep(noise, valid), None).reason == reason


def test_a_dead_channel_is_an_electrode_off():
    running = SPEC.start(LAYOUT)

    assert running.push(sweep(np.zeros(LENGTH)), None).reason == "electrode_off"
    assert running.push(sweep(np.full(LENGTH, 1e-3)), None).reason == "electrode_off"


def test_without_background_the_last_one_serves_and_without_any_it_cannot_be_judged():
    valid = np.zeros((1, LENGTH), dtype=bool)
    valid[0, ZERO : ZERO + 100] = True
    running = SPEC.start(LAYOUT)

    before = running.push(sweep(1e-3 * WAVE, valid), None)
    measure(1e-3, 5e-6, running=running)
    after = running.push(sweep(1e-3 * WAVE, valid), None)

    assert (before.present, before.reason) == (None, "gap")
    assert after.amplitude == pytest.approx(1e-3, rel=0.02)


def test_latencies_are_corrected_for_the_filters_delay():
    plain = measure(1e-3, 5e-6)
    delayed = measure(1e-3, 5e-6, running=SPEC.start(replace(LAYOUT, delay=0.2e-3)))

    for a, b in zip(plain, delayed, strict=True):
        assert b.latency == pytest.approx(a.latency - 0.2e-3)


@pytest.mark.parametrize("window", [(9e-3, 1e-3), (0.0, 9e-3), (-1e-3, 9e-3), (float("nan"), 1.0)])
def test_a_window_that_cannot_be_right_is_refused(window):
    with pytest.raises(ValueError, match="need 0 < window start < end"):
        replace(SPEC, window=window)


def test_a_sweep_that_does_not_hold_the_window_is_refused():
    with pytest.raises(SetupError, match="does not hold the stretch from 1 to 9 ms"):
        SPEC.start(replace(LAYOUT, length=1080))
