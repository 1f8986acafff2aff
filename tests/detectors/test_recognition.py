"""A sweep's measurement by the patient's template, joined with the template-free test's."""

import math
from dataclasses import replace

import numpy as np
import pytest
from detectors.traces_by_hand import SIGMA, traces

from ionm.detectors.learning import learn
from ionm.detectors.recognition import KNOWN, Recognition, replicates
from ionm.events import Measurement

ALPHA = 0.01
NOTHING = Measurement(False, p_value=0.6)


def recognition(size, seed=0, **settings):
    known = traces(np.random.default_rng(seed), [size] * 20, **settings)
    return Recognition(learn(known), known, ALPHA)


def common(sweeps):
    return replicates(sweeps, learn(sweeps), ALPHA)


def judged(found, sizes, seed=50, **settings):
    return [found.judge(NOTHING, t) for t in traces(np.random.default_rng(seed), sizes, **settings)]


def test_a_response_of_six_times_the_noise_is_seen_and_measured():
    shown = judged(recognition(6 * SIGMA), [6 * SIGMA] * 200)

    assert np.mean([m.present for m in shown]) > 0.97
    assert np.median([m.amplitude for m in shown if m.present]) == pytest.approx(6 * SIGMA, rel=0.05)


def test_the_false_alarm_rate_is_the_one_that_was_asked_for():
    """600 sweeps of noise after the first twenty: binomial bound."""
    shown = judged(recognition(6 * SIGMA), [0.0] * 600)

    assert sum(m.present for m in shown) <= 600 * ALPHA + 3 * math.sqrt(600 * ALPHA)


def test_an_absent_response_has_an_estimate_without_bias_but_no_amplitude():
    shown = judged(recognition(20 * SIGMA), [0.0] * 400)

    absent = [m for m in shown if not m.present]
    assert all(m.amplitude is None and m.latency is None for m in absent)
    assert abs(np.mean([m.estimate for m in absent])) < 0.6 * np.mean([m.noise for m in absent])


def test_the_stated_errors_are_those_of_the_measurements():
    """White noise, sizes that vary by nothing: 95 % intervals of amplitude and latency hold their truth."""
    delays = np.random.default_rng(4).normal(0.0, 0.05e-3, 300)
    found = recognition(10 * SIGMA)
    shown = judged(found, [10 * SIGMA] * 300, delays=delays)

    size = [(m.amplitude - 10 * SIGMA) / m.amplitude_error for m in shown]
    onset = np.array([m.latency for m in shown]) - delays
    late = (onset - np.median(onset)) / [m.latency_error for m in shown]
    assert np.mean(np.abs(size) < 1.96) > 0.9
    assert np.mean(np.abs(late) < 1.96) > 0.9


def test_a_response_of_another_form_is_still_seen_by_the_free_test():
    found = recognition(10 * SIGMA)
    (noise,) = traces(np.random.default_rng(9), [0.0])
    free = Measurement(True, 90e-6, 14e-3, 15e-3, 20.0, 1e-6)

    shown = found.judge(free, noise)

    assert shown.present
    assert (shown.amplitude, shown.latency, shown.peak_latency) == (90e-6, 14e-3, 15e-3)
    assert shown.p_value == pytest.approx(1e-6 / (1 - KNOWN))
    assert shown.amplitude_error is None


def test_a_swing_that_is_no_response_counts_as_none():
    found, twin = recognition(10 * SIGMA), recognition(10 * SIGMA)
    (noise,) = traces(np.random.default_rng(9), [0.0])

    refused = found.judge(Measurement(False, p_value=1e-6), noise)

    assert refused == twin.judge(NOTHING, noise)


def test_a_flat_channel_is_left_to_the_free_test():
    found = recognition(10 * SIGMA)
    (sweep,) = traces(np.random.default_rng(9), [0.0])
    for _ in range(20):
        shown = found.judge(replace(NOTHING, statistic=1.0), sweep._replace(values=bytes(len(sweep.values))))

    assert shown == replace(NOTHING, statistic=1.0)


def test_louder_background_is_followed_and_raises_no_alarm():
    """Twice as loud from one sweep to the next: no more alarms than were asked for."""
    found = recognition(10 * SIGMA)
    loud = [
        t._replace(values=(2 * np.frombuffer(t.values)).tobytes())
        for t in traces(np.random.default_rng(3), [0.0] * 300)
    ]
    shown = [found.judge(NOTHING, t) for t in loud]

    assert sum(m.present for m in shown) <= 300 * ALPHA + 3 * math.sqrt(300 * ALPHA)
    assert np.median([m.noise for m in shown]) == pytest.approx(
        2 * np.median([m.noise for m in judged(recognition(10 * SIGMA), [0.0] * 50)]), rel=0.15
    )


@pytest.mark.parametrize(("ratio", "least"), [(3.0, 0.9), (4.0, 1.0), (8.0, 1.0)])
def test_a_common_response_is_found_in_the_halves(ratio, least):
    certain = [
        common(traces(np.random.default_rng(seed), [ratio * SIGMA] * 20)) > math.log(1e3)
        for seed in range(20)
    ]

    assert np.mean(certain) >= least


@pytest.mark.parametrize("colour", [None, np.exp(-np.arange(30) / 6.0)])
def test_noise_has_nothing_in_common(colour):
    """Odds of a thousand come at most once in a thousand times, and odds of ten at most in a tenth."""
    found = [common(traces(np.random.default_rng(s), [0.0] * 20, colour=colour)) for s in range(120)]

    assert sum(f > math.log(1e3) for f in found) <= 1
    assert np.mean(np.array(found) > math.log(10)) <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / 120)


def test_hum_that_is_locked_to_the_stimulus_is_no_common_response():
    rng = np.random.default_rng(2)
    sweeps = traces(rng, [0.0] * 20)
    times = sweeps[0].grid.times
    hum = 15e-6 * np.sin(2 * np.pi * 50 * times) + 8e-6 * np.sin(2 * np.pi * 250 * times + 1.0)
    locked = [t._replace(values=(np.frombuffer(t.values) + hum).tobytes()) for t in sweeps]

    assert common(locked) < math.log(20)


def test_a_sweep_without_background_spoils_no_template():
    sweeps = traces(np.random.default_rng(2), [20 * SIGMA] * 20)
    sweeps[3] = sweeps[3]._replace(background=(0, 0))

    found = Recognition(learn(sweeps), sweeps, ALPHA)

    assert found.amplitude == pytest.approx(20 * SIGMA, rel=0.05)
    assert common(sweeps) > math.log(1e3)


def test_without_a_background_to_set_it_against_a_sweep_is_left_to_the_free_test():
    sweeps = traces(np.random.default_rng(2), [20 * SIGMA] * 20)

    assert learn([t._replace(background=(650, 730)) for t in sweeps]) is None
