"""Free-run patterns: each is what its class says, and its truth is that of its trace."""

import numpy as np
import pytest

from ionm.simulate.trains import PATTERNS, VISIBLE, Pattern

FS = 20_000.0


def made(pattern, seconds=0.5, peak=150e-6, frequency=None, seed=1):
    out = np.zeros(round(2 * FS))
    truth = Pattern(pattern, 0.3, seconds, peak, frequency).add_to(out, FS, np.random.default_rng(seed))
    return out, truth


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_truth_is_that_of_the_trace(pattern, seed):
    out, truth = made(pattern, seed=seed)

    seen = np.flatnonzero(np.abs(out) >= VISIBLE * truth.peak)
    assert np.abs(out).max() == pytest.approx(truth.peak, rel=0.01)
    assert seen[0] / FS == pytest.approx(truth.onset, abs=2e-4)
    assert (seen[-1] + 1) / FS == pytest.approx(truth.offset, abs=2e-4)
    assert truth.pattern == pattern


@pytest.mark.parametrize("frequency", [60.0, 120.0, 210.0])
def test_an_a_train_keeps_its_frequency_and_its_amplitude(frequency):
    out, truth = made("a_train", frequency=frequency)

    spectrum = np.abs(np.fft.rfft(out[round(0.3 * FS) : round(0.8 * FS)], 2**17))
    rates = np.fft.rfftfreq(2**17, 1 / FS)
    near = (rates > 0.7 * frequency) & (rates < 1.3 * frequency)
    assert truth.frequency == pytest.approx(frequency, rel=0.05)
    assert rates[near][spectrum[near].argmax()] == pytest.approx(frequency, rel=0.06)
    peaks = [np.abs(out[round(t * FS) : round((t + 0.02) * FS)]).max() for t in np.arange(0.32, 0.74, 0.02)]
    assert min(peaks) > 0.6 * max(peaks)


def test_an_a_train_lasts_as_long_as_asked():
    for seconds in (0.05, 0.3, 1.5):
        _, truth = made("a_train", seconds=seconds, frequency=150.0)

        assert truth.offset - truth.onset == pytest.approx(seconds, rel=0.15, abs=0.01)


def test_a_spike_is_shorter_than_20_ms_and_a_burst_is_longer():
    for seed in range(20):
        _, spike = made("spike", seed=seed)
        _, burst = made("burst", seconds=0.1, seed=seed)

        assert spike.offset - spike.onset < 0.02
        assert 0.02 < burst.offset - burst.onset < 0.13


@pytest.mark.parametrize("pattern", ["b_train_spikes", "b_train_bursts"])
def test_elements_of_a_b_train_follow_each_other_within_500_ms(pattern):
    out, truth = made(pattern, seconds=1.5)

    active = np.flatnonzero(np.abs(out) > 0.02 * truth.peak) / FS
    pauses = np.diff(active)
    assert pauses.max() < 0.5
    assert np.count_nonzero(pauses > 0.02) >= 3


def test_tonic_firing_is_regular():
    out, truth = made("tonic", seconds=1.6, frequency=10.0)

    above = np.abs(out) > 0.6 * truth.peak
    times = np.flatnonzero(above[1:] & ~above[:-1]) / FS
    times = times[np.concatenate([[True], np.diff(times) > 0.03])]
    gaps = np.diff(times)
    assert gaps.std() / gaps.mean() < 0.25
    assert truth.frequency == pytest.approx(10.0, rel=0.1)


def test_a_pattern_says_what_is_wrong_with_it():
    with pytest.raises(ValueError, match="unknown pattern 'd_train', need one of spike, burst, a_train"):
        Pattern("d_train", 0.0, 1.0, 1e-4)
    with pytest.raises(ValueError, match=r"need seconds > 0 and peak > 0, got 0 s and 0\.0001 V"):
        Pattern("burst", 0.0, 0.0, 1e-4)
