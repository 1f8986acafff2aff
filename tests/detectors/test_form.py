"""Area, duration and turns of a response: on closed forms, on simulated responses, through the LSR test."""

import json
from dataclasses import replace

import numpy as np
import pytest
from detectors.traces_by_hand import traces
from scipy import signal, special

from ionm.compiled import fastest
from ionm.detectors.learning import learn
from ionm.detectors.recognition import Recognition
from ionm.detectors.waveform import PAUSE, Course, end, turn, turns
from ionm.events import Measurement, Response, Sweep
from ionm.protocol import load
from ionm.simulate.facial_nerve import LateralSpread
from ionm.simulate.sweeps import response_sweeps
from ionm.sinks.jsonl import line
from ionm.stream import Channel, StreamInfo, Trigger
from ionm.sweeps import Layout

FS = 20_000.0
T = np.arange(950) / FS  # 47.5 ms, as from the mask's end to the sweep's
REST = 20  # 1 ms
COURSE = Course(slice(0, T.size), 90, 450, REST, np.zeros((0, T.size)))


def shape(trace, reach=0.0):
    """Onset, end and area in s and V s, and the turns."""
    found = COURSE.shape(trace[None], 0, 0.0, None, (), reach)
    return found.onset / FS, found.end / FS, found.area / FS, found.turns


def cycles(begin, period, count=1, size=1.0):
    """Sine from ``begin`` on, ``size`` from peak to peak."""
    u = T - begin
    inside = (u >= 0) & (u < count * period)
    return np.where(inside, 0.5 * size * np.sin(2 * np.pi * u / period), 0.0)


def bell(at, width, size=1.0):
    return size * np.exp(-0.5 * ((T - at) / width) ** 2)


# closed forms


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("period", [2.5e-3, 4e-3])
def test_a_sine_has_the_area_duration_and_turns_of_its_formula(period, count, sign):
    """Without the edges below 5 % of the peak to peak: asin(0.1) on each side."""
    edge = period * np.arcsin(0.1) / (2 * np.pi)

    begin, close, area, turned = shape(sign * cycles(10e-3, period, count))

    assert begin == pytest.approx(10e-3 + edge, abs=0.03e-3)
    assert close - begin == pytest.approx(count * period - 2 * edge, abs=0.06e-3)
    # the integral of |sin| / 2 over an edge is (1 - cos) / 2 of its angle
    cut = (1 - np.sqrt(1 - 0.1**2)) * period / (2 * np.pi)
    assert area == pytest.approx(count * period / np.pi - cut, rel=0.01)
    assert turned == 2 * count


@pytest.mark.parametrize("width", [0.3e-3, 0.8e-3])
def test_a_bell_has_the_area_and_duration_of_its_formula_and_turns_once(width):
    begin, close, area, turned = shape(bell(15e-3, width))

    reach = np.sqrt(2 * np.log(20))  # widths, to 5 %
    assert close - begin == pytest.approx(2 * reach * width, abs=0.05e-3)
    assert area == pytest.approx(np.sqrt(2 * np.pi) * width * special.erf(reach / np.sqrt(2)), rel=0.02)
    assert turned == 1


def test_a_polyphasic_response_turns_at_every_phase():
    phases = sum(bell(10e-3 + 1.6e-3 * k, 0.3e-3, (-0.8) ** k) for k in range(6))

    assert shape(phases)[3] == 6


def test_area_grows_with_the_size_and_duration_and_turns_do_not():
    trace = cycles(10e-3, 3e-3, 2)

    once, twice = shape(trace), shape(2 * trace)

    assert twice[2] == pytest.approx(2 * once[2])
    assert (twice[1], twice[3]) == (once[1], once[3])


@pytest.mark.parametrize(("ripple", "extra"), [(0.08, 0), (0.15, 2)])
def test_a_ripple_below_a_tenth_of_the_swing_is_no_turn(ripple, extra):
    """A dip on the flank of a wide wave; the flank itself takes some of it back."""
    wide = bell(15e-3, 2e-3)
    flank = np.gradient(wide, T)[round(17e-3 * FS)]
    dip = np.where(abs(T - 17e-3) < 0.5e-3, -(T - 17e-3) * flank, 0.0)  # level for 1 ms
    dip += bell(16.8e-3, 0.08e-3, -ripple)

    assert shape(wide + dip)[3] == 1 + extra


def test_noise_within_its_reach_adds_no_turns():
    rng = np.random.default_rng(3)
    noise = rng.uniform(-0.08, 0.08, T.size)

    assert shape(cycles(10e-3, 4e-3, 2) + noise, 0.08)[3] == 4


def test_turns_count_only_changes_of_more_than_the_step():
    zigzag = np.array([0.0, 3.0, 1.0, 4.0, 0.0, 1.0, 0.0, 2.5])

    assert [turns(zigzag, step) for step in (0.5, 1.5, 2.2, 3.5, 4.0)] == [7, 5, 3, 1, 0]
    assert [turns(-zigzag, step) for step in (0.5, 1.5, 2.2, 3.5, 4.0)] == [7, 5, 3, 1, 0]
    assert turns(zigzag[:1], 1.5) == 0


# after-discharges


def discharges(count, rate, size=0.3):
    """A response at 10 ms, then after-discharges at a rate, in Hz."""
    return cycles(10e-3, 2e-3) + sum(cycles(10e-3 + k / rate, 1.5e-3, size=size) for k in range(1, count + 1))


@pytest.mark.parametrize("rate", [250.0, 300.0, 350.0])
@pytest.mark.parametrize("count", [1, 5])
def test_after_discharges_belong_to_the_response(rate, count):
    begin, close, area, turned = shape(discharges(count, rate))

    assert begin == pytest.approx(10e-3, abs=0.1e-3)
    assert close == pytest.approx(10e-3 + count / rate + 1.5e-3, abs=0.2e-3)
    assert turned == 2 + 2 * count
    assert area == pytest.approx((2e-3 + count * 0.3 * 1.5e-3) / np.pi, rel=0.03)


def test_after_discharges_behind_the_window_are_followed_to_the_end_of_the_trace():
    """The window ends at 22.5 ms of this trace; nine discharges at 300 Hz end at 41.5 ms."""
    trace = discharges(9, 300.0)

    assert shape(trace)[1] == pytest.approx(41.5e-3, abs=0.2e-3)
    assert COURSE.shape(trace[None, :], 0, 0.0, None, (), 0.0).peak < 450


def test_a_later_wave_after_a_long_pause_is_another_response():
    late = cycles(10e-3, 2e-3) + cycles(10e-3 + 2e-3 + (PAUSE + 1) * 1e-3, 2e-3, size=0.5)

    assert shape(late)[1] == pytest.approx(12e-3, abs=0.1e-3)


def test_a_discharge_within_twice_the_backgrounds_reach_is_not_told_from_it():
    drowned = discharges(1, 250.0, size=0.25)

    assert shape(drowned, 0.02)[3] == 4
    assert shape(drowned, 0.07)[3] == 2


def test_a_response_that_still_runs_at_the_end_ends_there():
    trace = cycles(10e-3, 3e-3, 40)

    assert shape(trace)[1] == T[-1]
    assert end(trace[:300], turn(trace[:300]), 0.0, REST) == 299.0


# through the test of the lateral spread response

ZERO, LENGTH = 2000, 3000
MODALITY = load("mvd-hfs").modality()
LAYOUT = Layout((0,), None, ZERO, LENGTH, FS, 0.0)


def filtered_noise(count, rms, seed=4):
    """White noise as the protocol's filters leave it, in V."""
    info = StreamInfo(FS, (Channel("A"),))
    sos = np.array([section for part in MODALITY.filters for section in part.sections(info)])
    noise = signal.sosfilt(sos, np.random.default_rng(seed).normal(size=count * LENGTH))
    return (noise * (rms / noise.std())).reshape(count, 1, LENGTH)


def judged(running, data, valid=None):
    flags = np.ones(data.shape, dtype=bool) if valid is None else valid
    (found,) = running.push(Sweep(LENGTH - 1, Trigger(ZERO, "zygomatic"), data, flags, ZERO), [None])
    return found


def measured(responses, rms):
    """Measurements of these responses in noise, after 30 sweeps of noise alone."""
    running = MODALITY.response.start(LAYOUT)
    noise = filtered_noise(30 + len(responses), rms)
    for sweep in noise[:30]:
        judged(running, sweep)
    return [judged(running, own + sweep) for own, sweep in zip(responses, noise[30:], strict=True)]


def true_form(response):
    """From first to last 5 % of the peak to peak, in s; whole area, in V s."""
    loud = np.flatnonzero(np.abs(response) >= 0.05 * np.ptp(response))
    return (loud[-1] - loud[0]) / FS, np.abs(response).sum() / FS


SPREAD = LateralSpread(after_discharge=0.0)
FORMS = {
    "single": (SPREAD, 2),
    "polyphasic": (replace(SPREAD, waves=3, form=1), 6),
    "discharging": (replace(SPREAD, after_discharge=1.0), None),
}


def simulated(response, count=150):
    return response_sweeps(response, np.ones(count), fs=FS, pre=0.1, post=0.05, seed=3).data


@pytest.mark.parametrize(("response", "turned"), FORMS.values(), ids=FORMS)
def test_the_form_of_simulated_responses_is_exact_where_noise_is_small(response, turned):
    """250 uV in 0.3 uV. The area lacks what lies below 5 % (7 % of a single wave with its slow tail)."""
    own = simulated(response)
    durations, areas = np.array([true_form(row) for row in own]).T

    found = measured(own, 0.3e-6)

    assert all(m.present for m in found)
    assert np.quantile(np.abs([m.duration for m in found] - durations), 0.95) < 0.12e-3
    ratio = np.array([m.area for m in found]) / areas
    assert 0.92 < ratio.min() <= ratio.max() < 1.01
    if turned is not None:
        assert np.mean([m.turns == turned for m in found]) > 0.95


@pytest.mark.parametrize("form", FORMS)
def test_the_form_at_a_ratio_of_twenty(form):
    """Medians. Weaknesses, measured: up to 1.3 ms too long, for the walk runs on into the noise; one in ten
    of the discharging responses loses 40 % of its area, since small after-discharges drown."""
    own = simulated(FORMS[form][0])
    durations, areas = np.array([true_form(row) for row in own]).T

    found, clean = measured(own, 250e-6 / 20), measured(own, 0.3e-6)

    assert all(m.present for m in found)
    assert -0.1e-3 < np.median([m.duration for m in found] - durations) < 1.6e-3
    assert np.median(np.array([m.area for m in found]) / areas) == pytest.approx(1.0, abs=0.05)
    assert -2 <= np.median([m.turns - c.turns for m, c in zip(found, clean, strict=True)]) <= 0


def test_behind_the_window_the_form_is_read_only_where_the_sweep_is_valid():
    t = (np.arange(LENGTH) - ZERO) / FS

    def wave(at, size):
        return np.where((t >= at) & (t < at + 2e-3), size * np.sin(2 * np.pi * (t - at) / 2e-3), 0.0)

    own = sum((wave(11e-3 + k / 300, 50e-6) for k in range(1, 8)), wave(11e-3, 150e-6))  # until 36.3 ms
    running = MODALITY.response.start(LAYOUT)
    for sweep in filtered_noise(30, 1e-6):
        judged(running, sweep)
    (noise,) = filtered_noise(1, 1e-6, seed=9)
    valid = np.ones((1, LENGTH), dtype=bool)
    valid[0, ZERO + 700 :] = False

    whole, cut = judged(running, own + noise), judged(running, own + noise, valid)

    assert whole.latency + whole.duration == pytest.approx(36.3e-3, abs=0.3e-3)
    assert cut.latency + cut.duration == pytest.approx(25e-3, abs=0.1e-3)  # the window's end
    assert (whole.latency, whole.amplitude) == (cut.latency, cut.amplitude)
    assert whole.turns == 16


def test_what_is_absent_has_no_form():
    for found in measured(np.zeros((40, LENGTH)), 5e-6):
        if not found.present:
            assert (found.area, found.duration, found.turns) == (None, None, None)


def test_the_form_is_the_sweeps_own_where_the_template_gives_its_size():
    known = traces(np.random.default_rng(0), [200e-6] * 20)
    recognition = Recognition(learn(known), known, 0.01)
    (sweep,) = traces(np.random.default_rng(5), [200e-6])
    free = Measurement(
        present=True, amplitude=190e-6, latency=10e-3, p_value=1e-6, area=3e-7, duration=4e-3, turns=5
    )
    silent = Measurement(present=False, p_value=0.6)

    alone, joined = recognition.judge(silent, sweep), recognition.judge(free, sweep)

    assert alone.present
    assert (alone.area, alone.duration, alone.turns) == (None, None, None)
    assert joined.amplitude_error is not None  # by the template
    assert (joined.area, joined.duration, joined.turns) == (3e-7, 4e-3, 5)


def test_a_line_tells_the_form_in_microvolt_milliseconds():
    sweep = Sweep(99, Trigger(50, "zygomatic"), np.zeros((1, 100)), np.ones((1, 100), dtype=bool), 50)
    found = Measurement(present=True, amplitude=1e-4, area=3.14159265e-7, duration=4.56789e-3, turns=5)
    names = ("lsr", "zygomatic>Mentalis", "zygomatic", "Mentalis", "lsr")

    told = line(Response(99, *names, sweep.trigger, found, None, sweep, 0), FS)
    nothing = line(Response(99, *names, sweep.trigger, Measurement(present=False), None, sweep, 0), FS)

    assert (told["area_uvms"], told["duration_ms"], told["turns"]) == (314.16, 4.568, 5)
    assert (nothing["area_uvms"], nothing["duration_ms"], nothing["turns"]) == (None, None, None)
    assert json.loads(json.dumps(told))["turns"] == 5


@pytest.mark.parametrize("reach", [0.0, 0.03, 0.1])
def test_the_compiled_form_of_a_discharging_response_has_the_same_bits(reach):
    rng = np.random.default_rng(8)
    fast = fastest(Course)(slice(0, T.size), 90, 450, REST, np.zeros((0, T.size)))
    for count in range(10):
        trace = (discharges(count, 300.0) + 0.5 * reach * rng.normal(size=T.size))[None]

        found, twin = (c.shape(trace, 0, 0.0, None, (), reach) for c in (fast, COURSE))

        assert [float(x).hex() for x in found] == [float(x).hex() for x in twin]
