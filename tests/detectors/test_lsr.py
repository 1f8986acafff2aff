"""The test of the lateral spread response: false alarms, what is no response, how exact its measures are.

Noise is drawn, not simulated by ionm; responses are closed forms. Figures that bound a weakness
say so: they are what was measured, with room for other machines, not what would be desirable.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import signal, stats

from ionm.errors import SetupError
from ionm.events import Sweep
from ionm.protocol import load
from ionm.stream import Channel, StreamInfo, Trigger
from ionm.sweeps import Layout

FS = 10_000.0
ZERO, LENGTH = 1000, 1500
T = (np.arange(LENGTH) - ZERO) / FS
MVD = load("mvd-hfs").modality()
SPEC = MVD.response
LAYOUT = Layout((0,), 1, ZERO, LENGTH, FS, 0.0)
ALPHA = SPEC.alpha


def chained(noise):
    """Noise as the protocol's filters leave it, of 1 V RMS."""
    info = StreamInfo(FS, (Channel("A"),))
    sos = np.array([section for part in MVD.filters for section in part.sections(info)])
    out = signal.sosfilt(sos, noise, axis=-1)
    return out / out.std()


def as_sweep(data, valid=None):
    flags = np.ones(data.shape, dtype=bool) if valid is None else valid
    return Sweep(LENGTH - 1, Trigger(ZERO, "zygomatic"), data, flags, ZERO)


def judge(traces, running=None):
    """Measurements of row 0 for each sweep, shape (n_sweeps, n_rows, LENGTH)."""
    running = SPEC.start(LAYOUT) if running is None else running
    return [running.push(as_sweep(trace), [None])[0] for trace in traces]


def white(n_sweeps, rms, seed, rows=2):
    rng = np.random.default_rng(seed)
    return rms * chained(rng.normal(size=(rows, n_sweeps * LENGTH))).reshape(
        rows, n_sweeps, LENGTH
    ).transpose(1, 0, 2)


def sine(onset, duration):
    """One period, 1 V peak to peak."""
    u = T - onset
    return np.where((u >= 0) & (u < duration), 0.5 * np.sin(2 * np.pi * u / duration), 0.0)


# false alarms


def coloured(n, rng):
    """1/f power above 5 Hz."""
    spectrum = np.fft.rfft(rng.normal(size=n)) / np.sqrt(np.maximum(np.fft.rfftfreq(n, 1 / FS), 5.0))
    return np.fft.irfft(spectrum, n) * 3


def interference(n, rng):
    """Dense EMG, 30 to 300 Hz."""
    return 10 * signal.sosfilt(
        signal.butter(2, [30, 300], "bandpass", output="sos", fs=FS), rng.normal(size=n)
    )


def motor_units(n, rng):
    """Three potentials a second, biphasic, 5 ms, 60 to 150 uV, over 3 uV of noise."""
    out = 3 * rng.normal(size=n)
    shape = np.sin(2 * np.pi * np.arange(50) / 50)
    for at in np.flatnonzero(rng.random(n - 50) < 3 / FS):
        out[at : at + 50] += rng.uniform(30, 75) * shape
    return out


def heavy_tailed(n, rng):
    return 4 * rng.standard_t(3, size=n)


def mains(n, rng):
    """50.02 Hz of 60 uV peak to peak with odd harmonics."""
    t = np.arange(n) / FS
    hum = sum(
        a * np.sin(2 * np.pi * 50.02 * k * t + rng.uniform(0, 6))
        for k, a in ((1, 30), (3, 10), (5, 5), (7, 3))
    )
    return hum + 5 * rng.normal(size=n)


def plain(n, rng):
    return 5 * rng.normal(size=n)


@pytest.mark.parametrize(
    ("noise", "bound"),
    [
        (plain, ALPHA),
        (coloured, ALPHA),
        (interference, ALPHA),
        (mains, ALPHA),
        # measured on 4000 sweeps: 1.7 % [1.3, 2.1] and 1.5 % [1.1, 1.9]: above alpha, a weakness
        (motor_units, 2 * ALPHA),
        (heavy_tailed, 2 * ALPHA),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_false_alarms_per_sweep_stay_at_alpha(noise, bound):
    """With 95 % confidence by the binomial interval, over 1000 sweeps after the first 20."""
    rng = np.random.default_rng(11)
    step, count = 2520, 1020
    raw = 1e-6 * noise(step * count, rng)
    info = StreamInfo(FS, (Channel("A"),))
    sos = np.array([section for part in MVD.filters for section in part.sections(info)])
    filtered = signal.sosfilt(sos, raw).reshape(count, 1, step)[:, :, :LENGTH]
    running = replace(SPEC, crosstalk=False).start(Layout((0,), None, ZERO, LENGTH, FS, 0.0))

    found = [bool(m.present) for m in judge(filtered, running)[20:]]

    interval = stats.binomtest(sum(found), len(found)).proportion_ci(0.95)
    assert interval.low <= bound


def test_p_values_in_white_noise_are_uniform_or_conservative():
    p = np.array([m.p_value for m in judge(white(1500, 5e-6, seed=12))[20:]])

    for q in (0.001, 0.01, 0.05, 0.1, 0.2):
        spread = 3 * np.sqrt(q * (1 - q) / p.size)
        assert np.mean(p <= q) <= q + spread
    assert np.mean(p <= 0.05) > 0.02  # and not so conservative that nothing could be found


def test_the_first_sweeps_of_a_case_give_no_more_false_alarms():
    found = [bool(m.present) for seed in range(40) for m in judge(white(10, 10e-6, seed=100 + seed))]

    assert stats.binomtest(sum(found), len(found)).proportion_ci(0.95).low <= ALPHA


# what is no response


def tail(tau, size):
    return np.where(T >= 0, size * np.exp(-np.maximum(T, 0) / tau), 0.0)


@pytest.mark.parametrize("size", [1e-3, -1e-3, 5e-3])
@pytest.mark.parametrize("tau", [0.5e-3, 1.4e-3, 2e-3, 4e-3])
def test_a_slow_tail_is_no_response(tau, size):
    traces = white(220, 5e-6, seed=2)
    traces[:, 0] += tail(tau, size)

    found = [bool(m.present) for m in judge(traces)[20:]]

    assert stats.binomtest(sum(found), 200).proportion_ci(0.95).low <= ALPHA


def m_wave(slow):
    """3 mV peak to peak, 2.5 to 6.5 ms, with a slow tail of the given share behind it."""
    wave = 3e-3 * sine(2.5e-3, 4e-3)
    return wave - np.where(T >= 6.5e-3, slow * 3e-3 * np.exp(-np.maximum(T - 6.5e-3, 0) / 5e-3), 0.0)


@pytest.mark.parametrize("slow", [0.0, 0.15])
@pytest.mark.parametrize("share", [0.03, 0.08, 0.2])
def test_crosstalk_of_the_m_wave_is_no_response_and_hides_none(share, slow):
    traces = white(120, 5e-6, seed=3)
    traces[:, 0] += share * m_wave(slow)
    traces[:, 1] += m_wave(slow)
    with_response = traces.copy()
    with_response[:, 0] += 100e-6 * sine(11e-3, 5e-3)

    alone = [bool(m.present) for m in judge(traces)[20:]]
    both = judge(with_response)[20:]

    assert stats.binomtest(sum(alone), 100).proportion_ci(0.95).low <= ALPHA
    assert all(m.present for m in both)
    assert np.median([m.amplitude for m in both]) == pytest.approx(100e-6, rel=0.15)


def test_a_small_response_below_the_floor_is_none():
    traces = white(60, 0.2e-6, seed=4)
    traces[:, 0] += 15e-6 * sine(11e-3, 5e-3)

    assert not any(m.present for m in judge(traces))


# measures

RESPONSES = {"fast": 2.5e-3, "usual": 5e-3, "slow": 8e-3}  # one period of a sine, in s


@pytest.mark.parametrize("duration", RESPONSES.values(), ids=RESPONSES)
def test_amplitude_and_onset_are_exact_where_noise_is_small(duration):
    """Peak to peak over RMS of 100: bias below 3 %, onset of the 5 % point within 0.05 ms."""
    traces = white(120, 1e-6, seed=5)
    traces[:, 0] += 100e-6 * sine(11e-3, duration)
    truth = 11e-3 + duration * np.arcsin(0.1) / (2 * np.pi)

    found = judge(traces)[20:]

    assert all(m.present for m in found)
    assert np.mean([m.amplitude for m in found]) == pytest.approx(100e-6, rel=0.03)
    assert np.mean([m.latency for m in found]) == pytest.approx(truth, abs=0.05e-3)
    peaks = (11e-3 + duration / 4, 11e-3 + 3 * duration / 4)
    assert all(min(abs(m.peak_latency - peak) for peak in peaks) < 0.5e-3 for m in found)


def test_measures_at_a_ratio_of_ten():
    """Peak to peak over RMS of 10, one period of 2.5 ms. Amplitude: bias below 10 %.

    A weakness, measured: the onset comes 2 ms early on average, for the walk back runs on into the noise.
    """
    traces = white(320, 10e-6, seed=6)
    traces[:, 0] += 100e-6 * sine(11e-3, 2.5e-3)

    found = [m for m in judge(traces)[20:] if m.present]

    assert len(found) > 0.95 * 300
    assert np.mean([m.amplitude for m in found]) == pytest.approx(100e-6, rel=0.1)
    assert -3.5e-3 < np.mean([m.latency for m in found]) - 11e-3 < 0.3e-3


@pytest.mark.parametrize("onset", [7e-3, 8e-3, 12e-3, 20e-3])
def test_a_response_is_found_anywhere_in_the_window(onset):
    traces = white(60, 3e-6, seed=7)
    traces[:, 0] += 100e-6 * sine(onset, 4e-3)

    found = judge(traces)[20:]

    assert all(m.present for m in found)
    assert np.median([m.latency for m in found]) == pytest.approx(onset, abs=0.6e-3)


def test_the_detection_limit_is_found_nine_times_in_ten():
    """A sine of 2.5 ms.

    A weakness, measured: it must be 1.3 times the printed limit (at 1.0 it is found in 50 %), one of
    4 ms 1.8 times, one of 5 ms 2.3 times.
    """
    quiet = judge(white(200, 5e-6, seed=8))
    limit = np.median([m.detection_limit for m in quiet[50:]])
    traces = white(420, 5e-6, seed=9)
    traces[:, 0] += 1.4 * limit * sine(11e-3, 2.5e-3)

    found = [bool(m.present) for m in judge(traces)[20:]]

    assert np.mean(found) >= 0.85


def test_latencies_are_corrected_for_the_filters_delay():
    traces = white(30, 1e-6, seed=10)
    traces[:, 0] += 100e-6 * sine(11e-3, 5e-3)

    plain, delayed = judge(traces), judge(traces, SPEC.start(replace(LAYOUT, delay=1e-3)))

    for a, b in zip(plain, delayed, strict=True):
        assert b.latency == pytest.approx(a.latency - 1e-3)
        assert b.peak_latency == pytest.approx(a.peak_latency - 1e-3)


@pytest.mark.parametrize("scale", [2.0, 1024.0])
def test_scaling_signal_and_floor_together_changes_nothing(scale):
    traces = white(60, 5e-6, seed=13)
    traces[::2, 0] += 100e-6 * sine(11e-3, 5e-3)
    louder = replace(SPEC, floor=scale * SPEC.floor).start(LAYOUT)

    for a, b in zip(judge(traces), judge(scale * traces, louder), strict=True):
        assert (a.present, a.p_value, a.latency) == (b.present, b.p_value, b.latency)
        assert a.amplitude is None or b.amplitude == pytest.approx(scale * a.amplitude, rel=1e-12)


def test_turning_the_signal_over_finds_the_same_responses():
    traces = white(60, 5e-6, seed=14)
    traces[::2, 0] += 100e-6 * sine(11e-3, 5e-3)

    for a, b in zip(judge(traces), judge(-traces), strict=True):
        assert (a.present, a.p_value) == (b.present, pytest.approx(a.p_value))


def test_an_offset_changes_nothing():
    traces = white(60, 5e-6, seed=15)
    traces[::2, 0] += 100e-6 * sine(11e-3, 5e-3)

    for a, b in zip(judge(traces), judge(traces + 1e-3), strict=True):
        assert a.present == b.present
        assert a.amplitude is None or b.amplitude == pytest.approx(a.amplitude, rel=1e-6)


# what cannot be judged


def test_reasons_are_passed_on_and_spare_the_other_rows():
    traces = white(30, 5e-6, seed=16, rows=3)
    traces[:, :2] += 100e-6 * sine(11e-3, 5e-3)
    both = SPEC.start(Layout((0, 1), 2, ZERO, LENGTH, FS, 0.0))

    for trace in traces:
        first, second = both.push(as_sweep(trace), ["cautery", None])
        assert (first.present, first.reason) == (None, "cautery")
        assert second.present


def test_a_window_that_is_not_whole_cannot_be_judged():
    traces = white(30, 5e-6, seed=17)
    running = SPEC.start(LAYOUT)
    judge(traces, running)
    for column, reason in ((ZERO + 24, None), (ZERO + 25, "gap"), (ZERO + 249, "gap"), (ZERO + 250, None)):
        valid = np.ones((2, LENGTH), dtype=bool)
        valid[0, column] = False

        (found,) = running.push(as_sweep(traces[0], valid), [None])

        assert found.reason == reason, column
        assert (found.present is None) == (reason is not None)


def test_a_sweep_without_background_is_judged_by_its_neighbours_and_without_neighbours_not_at_all():
    traces = white(30, 5e-6, seed=18)
    traces[:, 0] += 100e-6 * sine(11e-3, 5e-3)
    valid = np.ones((2, LENGTH), dtype=bool)
    valid[:, :ZERO] = False
    valid[:, ZERO + 400 :] = False
    running = SPEC.start(LAYOUT)

    (before,) = running.push(as_sweep(traces[0], valid), [None])
    judge(traces, running)
    (after,) = running.push(as_sweep(traces[0], valid), [None])

    assert (before.present, before.reason) == (None, "gap")
    assert after.present
    assert after.amplitude == pytest.approx(100e-6, rel=0.3)


@pytest.mark.parametrize("level", [0.0, 1e-3])
def test_a_dead_channel_is_an_electrode_off_and_not_a_missing_response(level):
    dead = np.full((2, LENGTH), level)

    for _ in range(3):
        (found,) = (running := SPEC.start(LAYOUT)).push(as_sweep(dead), [None])
        assert (found.present, found.reason) == (None, "electrode_off")
        (again,) = running.push(as_sweep(dead), [None])
        assert again.reason == "electrode_off"


def test_two_starts_share_nothing_and_sweeps_are_not_written_to():
    traces = white(40, 5e-6, seed=19)
    traces[:, 0] += 100e-6 * sine(11e-3, 5e-3)
    expected = judge(traces)
    traces.setflags(write=False)
    other = SPEC.start(LAYOUT)
    judge(white(40, 50e-6, seed=20), other)

    assert judge(traces) == expected
    assert judge(traces) != judge(traces, other)


def test_rows_are_judged_one_by_one():
    traces = white(40, 5e-6, seed=21, rows=3)
    traces[:, 1] += 100e-6 * sine(11e-3, 5e-3)
    straight = SPEC.start(Layout((0, 1), 2, ZERO, LENGTH, FS, 0.0))
    crossed = SPEC.start(Layout((1, 0), 2, ZERO, LENGTH, FS, 0.0))

    for trace in traces:
        a, b = straight.push(as_sweep(trace), [None, None])
        d, c = crossed.push(as_sweep(trace), [None, None])
        assert (a, b) == (c, d)


# settings


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"window": (25e-3, 7e-3)}, "need 0 < clean_from < window start < window end"),
        ({"clean_from": 8e-3}, "need 0 < clean_from < window start < window end"),
        ({"clean_from": float("nan")}, "need 0 < clean_from"),
        ({"alpha": 0.0}, "need 0 < alpha < 0.25, got alpha=0"),
        ({"alpha": 0.25}, "need 0 < alpha < 0.25"),
        ({"background": ()}, "need at least one stretch of background"),
        ({"background": ((5e-3, 20e-3),)}, "must end before the stimulus or begin after the window"),
        ({"background": ((-2e-3, -9e-3),)}, "must end before the stimulus or begin after the window"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        replace(SPEC, **changes)


def test_a_sweep_that_does_not_hold_the_window_is_refused():
    with pytest.raises(SetupError, match="does not hold the stretch from"):
        SPEC.start(replace(LAYOUT, length=1200))


def test_a_rate_too_low_for_a_phase_is_refused():
    with pytest.raises(SetupError, match="fewer than 2 samples for a phase of 1 ms; need at least 2000 Hz"):
        SPEC.start(Layout((0,), 1, 150, 225, 1500.0, 0.0))
