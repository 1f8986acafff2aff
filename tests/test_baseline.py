"""When twenty sweeps are a baseline, and how stimuli are compared."""

import pytest

from ionm.baseline import Baseline, Stimulus, Strength, ValidSweep, certify
from ionm.events import Measurement
from ionm.protocol import load
from ionm.stream import Trigger

UV = 1e-6
TEST = load("mvd-hfs").modality().response


def sweeps(*sizes, m=1000.0, limit=20.0, p_value=2e-4, **attributes):
    """One valid sweep per size in uV (None: no response), one a second at 1 kHz."""
    out = []
    for k, uv in enumerate(sizes):
        shown = Measurement(
            uv is not None, None if uv is None else uv * UV, 11e-3, 12e-3, 5.0, p_value, 1e-6, limit * UV
        )
        control = None if m is None else Measurement(m > 0, m * UV if m > 0 else None)
        out.append(ValidSweep(Trigger(1000 * k, "zygomatic", {"mA": "10", **attributes}), shown, control))
    return out


def test_twenty_responses_are_an_elicited_baseline_of_their_medians():
    found = certify(sweeps(*range(101, 121)), TEST)

    assert isinstance(found, Baseline)
    assert found.elicited
    assert found.amplitude == pytest.approx(110.5 * UV)
    assert found.latency == pytest.approx(11e-3)
    assert found.m_amplitude == pytest.approx(1000 * UV)
    assert (found.hits, found.sweeps, found.interval) == (20, 20, 1000)
    assert str(found.stimulus) == "mA=10"


def test_only_the_newest_twenty_count():
    assert certify(sweeps(*([900] * 15), *([100] * 20)), TEST).amplitude == pytest.approx(100 * UV)


def test_missing_responses_do_not_pull_the_median_down():
    found = certify(sweeps(*([100, None] * 10)), TEST)

    assert (found.hits, found.amplitude) == (10, pytest.approx(100 * UV))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (sweeps(*([100] * 19)), "only 19 valid sweeps, need 20"),
        (sweeps(*([100] * 10)) + sweeps(*([100] * 10), mA="12"), "the stimulus varied: mA=10; mA=12"),
        (sweeps(*([100] * 4), *([None] * 16)), "weak: a response in 4 of 20 sweeps"),
        (sweeps(*([100] * 5), *([None] * 15), p_value=0.003), "weak: a response in 5 of 20 sweeps"),
        (sweeps(*([None] * 20), limit=225.8), "noise: a response below 101 uV would not be seen"),
        (sweeps(*([None] * 20), m=0.0), "no LSR, and the M-control answered in 0 of 20 sweeps only"),
        (sweeps(*([None] * 20), m=None), "no LSR, and no M-control to show that the stimulus arrived"),
    ],
)
def test_sweeps_that_are_no_baseline_are_refused_with_their_reason(given, says):
    assert certify(given, TEST) == says


def test_silence_under_a_sound_m_control_is_a_baseline_without_an_lsr():
    found = certify(sweeps(*([None] * 19), 30), TEST)

    assert not found.elicited
    assert (found.amplitude, found.latency, found.hits) == (None, None, 1)
    assert found.m_amplitude == pytest.approx(1000 * UV)


@pytest.mark.parametrize(
    ("now", "then", "strength"),
    [
        ({}, {}, "same"),
        ({"mA": "10"}, {"mA": "10.0"}, "same"),
        ({"mA": "1e1"}, {"mA": "10"}, "same"),
        ({"mA": "9.9"}, {"mA": "10"}, "below"),
        ({"mA": "10.1"}, {"mA": "10"}, "above"),
        ({"mA": "10"}, {}, "other"),
        ({}, {"mA": "10"}, "other"),
        ({"mA": "x"}, {"mA": "10"}, "other"),
        ({"mA": "10", "pulses": "4"}, {"mA": "10"}, "above"),
        ({"mA": "10"}, {"mA": "10", "pulses": "4"}, "below"),
        ({"mA": "8", "pulses": "4"}, {"mA": "10"}, "below"),
        ({"mA": "10", "pulses": "1"}, {"mA": "10"}, "same"),
        ({"mA": "10", "pulses": "4", "isi": "2"}, {"mA": "10"}, "above"),
        ({"mA": "10", "pulses": "4", "isi": "2"}, {"mA": "10", "pulses": "4", "isi": "4"}, "other"),
        ({"mA": "12", "side": "R"}, {"mA": "10", "side": "L"}, "other"),
        ({"mA": "12", "width": "0.1"}, {"mA": "10", "width": "0.2"}, "other"),
        ({"mA": "10", "target": "x"}, {"mA": "10"}, "same"),
    ],
)
def test_stimuli_are_compared_by_current_then_train_and_else_not_at_all(now, then, strength):
    here, there = (Stimulus.of(Trigger(0, "zygomatic", a)) for a in (now, then))

    assert here.against(there) is Strength(strength)


def test_a_stimulus_without_marks_is_called_unspecified():
    assert str(Stimulus.of(Trigger(0, "zygomatic"))) == "unspecified"
