"""A rate of stimulation that keeps step with the mains is seen; the advised ones are not taken for one."""

import numpy as np
import pytest

from ionm.detectors.mains_lock import MainsLock, Step

SPEC = MainsLock()


def steps(times, fs=20_000.0, spec=SPEC):
    watch = spec.start(fs)
    found = [watch.push(round(t * fs)) for t in times]
    return [step for step in found if step is not None]


def at(rate, n=20, begin=0.5):
    return begin + np.arange(n) / rate


@pytest.mark.parametrize("fs", [5000.0, 20_000.0, 44_100.0])
@pytest.mark.parametrize("rate", [1.0, 2.0, 3.0, 5.0, 10.0])
def test_facial_6_4_a_rate_that_divides_the_mains_keeps_step(rate, fs):
    (step,) = steps(at(rate), fs)

    assert step.frequency is not None
    assert step.frequency / rate == pytest.approx(round(step.frequency / rate))
    assert step.steadiness > 0.99
    assert step.rate == pytest.approx(rate, rel=2e-3)


@pytest.mark.parametrize("fs", [5000.0, 20_000.0, 44_100.0])
@pytest.mark.parametrize("rate", [1.1, 2.3, 4.7, 5.1, 0.7, 3.1, 8.3, 43.9])
def test_facial_6_4_the_advised_rates_keep_no_step(rate, fs):
    assert [step.frequency for step in steps(at(rate, 60), fs)] == [None] * 3


def test_a_rate_that_divides_a_multiple_only_names_it():
    (step,) = steps(at(8.0))

    assert step.frequency == 120.0
    assert steps(at(8.0), spec=MainsLock(mains=(50.0,)))[0].frequency == 200.0
    assert [s.frequency for s in steps(at(8.0), spec=MainsLock(multiples=1))] == [None]


@pytest.mark.parametrize(("cycles", "locked"), [(0.24, True), (0.26, False)])
def test_a_quarter_of_a_cycle_over_all_stimuli_is_the_limit(cycles, locked):
    interval = (50 + cycles / 20) / 50.0
    spec = MainsLock(mains=(50.0,), multiples=1)

    (step,) = steps(0.5 + interval * np.arange(20), 1e6, spec)

    assert (step.frequency == 50.0) is locked
    advance = cycles / 20
    expected = np.sin(20 * np.pi * advance) / (20 * np.sin(np.pi * advance))
    assert step.steadiness == pytest.approx(expected, abs=1e-3)


def test_jitter_breaks_the_step_and_a_missing_stimulus_does_not():
    jitter = np.random.default_rng(1).uniform(-0.05, 0.05, 20)

    assert steps(at(1.0) + jitter)[0].frequency is None
    assert steps(np.delete(at(1.0, 22), [3, 11]))[0].frequency == 50.0


def test_the_step_is_the_same_after_days():
    (early,), (late,) = steps(at(2.0)), steps(at(2.0, begin=3 * 86_400.0))

    assert early == late == Step(2.0, 50.0, pytest.approx(1.0))


def test_a_second_mark_of_one_stimulus_does_not_count():
    assert steps(np.repeat(at(2.0), 3)) == steps(at(2.0))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"mains": (0.0,)}, "need mains > 0 Hz"),
        ({"multiples": 0}, "multiples >= 1"),
        ({"stimuli": 1}, "stimuli >= 2"),
        ({"steady": 1.0}, "need 0 < steady < 1, got steady=1"),
    ],
)
def test_wrong_settings_are_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        MainsLock(**settings)
