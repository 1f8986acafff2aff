"""Free-run EMG: each pattern by its definition, at its time; what is no pattern is none."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from ionm.detectors.activity import Frame
from ionm.detectors.free_run import FreeRun
from ionm.errors import SetupError
from ionm.events import ArtefactMark
from ionm.simulate.emg import spasm
from ionm.simulate.trains import Pattern
from ionm.simulate.waves import trains
from ionm.stream import Channel, Chunk, StreamInfo, Trigger

FS = 10_000.0
NAMES = ("Frontalis", "OrbOculi", "OrbOris", "Mentalis", "Masseter")
INFO = StreamInfo(FS, tuple(Channel(name) for name in NAMES))
NOISE = 10e-6  # V
BAND = signal.butter(2, (30.0, 1000.0), "bandpass", output="sos", fs=FS)


def quiet(seconds, seed=1, rms=NOISE):
    white = np.random.default_rng(seed).standard_normal((len(NAMES), round(seconds * FS)))
    data = signal.sosfilt(BAND, white)
    return data * (rms / data[:, round(0.5 * FS) :].std())


def put(data, row, pattern, begin, seconds=0.5, *, peak=150e-6, frequency=None, seed=1):
    return Pattern(pattern, begin, seconds, peak, frequency).add_to(
        data[row], FS, np.random.default_rng(seed)
    )


def findings_of(data, triggers=(), borders=(), marks=(), *, info=INFO):
    running = FreeRun().start(info)
    whole = Chunk(data, np.isfinite(data), 0, tuple(triggers))
    edges = [0, *sorted(borders), data.shape[1]]
    found = []
    for a, b in pairwise(edges):
        found += running.push(whole.cut(a, b), [m for m in marks if a <= m.sample < b])
    return found


def ended(found, pattern=None):
    return [f for f in found if not f.active and f.offset > f.onset and pattern in {None, f.pattern}]


@pytest.mark.parametrize("frequency", [65.0, 110.0, 160.0, 205.0])
@pytest.mark.parametrize("seconds", [0.06, 0.3, 1.5])
def test_an_a_train_is_found_with_its_begin_its_end_and_its_frequency(frequency, seconds):
    data = quiet(5)
    truth = put(data, 3, "a_train", 2.0, seconds, frequency=frequency)

    (begun, over) = [f for f in findings_of(data) if f.pattern == "a_train"]
    assert (begun.channel, begun.active, begun.offset) == ("Mentalis", True, None)
    assert (over.channel, over.active) == ("Mentalis", False)
    assert over.onset / FS == pytest.approx(truth.onset, abs=2.5e-3)
    assert over.offset / FS == pytest.approx(truth.offset, abs=8e-3)
    assert over.frequency == pytest.approx(truth.frequency, rel=0.04)
    assert over.peak == pytest.approx(150e-6, rel=0.25)
    assert over.regularity < 0.1


def test_an_a_train_is_told_within_a_tenth_of_a_second():
    data = quiet(5)
    truth = put(data, 0, "a_train", 2.0, 1.5, frequency=137.0)

    first = next(f for f in findings_of(data) if f.pattern == "a_train")
    assert 0 < first.sample / FS - truth.onset < 0.1


@pytest.mark.parametrize("frequency", [40.0, 300.0])
def test_what_is_slower_or_faster_than_60_to_210_hz_is_no_a_train(frequency):
    data = quiet(4)
    put(data, 1, "a_train", 2.0, 0.8, frequency=frequency)

    found = findings_of(data)
    assert found
    assert not [f for f in found if f.pattern == "a_train"]


def test_a_train_beyond_a_millivolt_is_no_a_train():
    data = quiet(4)
    put(data, 1, "a_train", 2.0, 0.8, frequency=120.0, peak=2e-3)

    assert not [f for f in findings_of(data) if f.pattern == "a_train"]


def test_a_spike_is_one_spike_and_a_burst_one_burst():
    data = quiet(6)
    spike, burst = put(data, 0, "spike", 2.0), put(data, 1, "burst", 3.0, 0.15)

    found = ended(findings_of(data))
    assert [(f.pattern, f.channel) for f in found] == [("spike", "Frontalis"), ("burst", "OrbOculi")]
    for f, truth in zip(found, (spike, burst), strict=True):
        assert f.onset / FS == pytest.approx(truth.onset, abs=4e-3)
        assert f.offset / FS == pytest.approx(truth.offset, abs=8e-3)
        assert f.peak == pytest.approx(truth.peak, rel=0.2)


def test_elements_that_repeat_within_half_a_second_are_a_b_train_of_spikes_or_of_bursts():
    data = quiet(8)
    spikes = put(data, 0, "b_train_spikes", 2.0, 4.0, seed=5)
    bursts = put(data, 1, "b_train_bursts", 2.0, 4.0, seed=3)

    found = {f.channel: f for f in ended(findings_of(data), "b_train")}
    assert (found["Frontalis"].elements, found["OrbOculi"].elements) == ("spikes", "bursts")
    for f, truth in ((found["Frontalis"], spikes), (found["OrbOculi"], bursts)):
        assert f.onset / FS == pytest.approx(truth.onset, abs=0.3)
        assert f.offset / FS == pytest.approx(truth.offset, abs=0.3)
        assert f.frequency == pytest.approx(truth.frequency, rel=0.25)


def test_one_unit_that_fires_regularly_is_tonic():
    data = quiet(8)
    truth = put(data, 2, "tonic", 2.0, 4.0, frequency=12.0, peak=300e-6)

    (over,) = ended(findings_of(data), "tonic")
    assert over.onset / FS == pytest.approx(truth.onset, abs=0.2)
    assert over.offset / FS == pytest.approx(truth.offset, abs=0.2)
    assert over.frequency == pytest.approx(12.0, rel=0.1)
    assert over.regularity < 0.25


def test_continuous_irregular_activity_is_a_c_train():
    data = quiet(8)
    truth = put(data, 2, "c_train", 2.0, 3.0, peak=1e-3)

    (over,) = ended(findings_of(data), "c_train")
    assert over.onset / FS == pytest.approx(truth.onset, abs=0.05)
    assert over.offset / FS == pytest.approx(truth.offset, abs=0.05)


@pytest.mark.parametrize("frequency", [60.0, 100.0, 150.0, 180.0])
def test_mains_and_its_harmonics_are_no_a_train_even_on_one_channel(frequency):
    data = quiet(8)
    span = slice(round(2 * FS), round(6 * FS))
    data[1, span] += 150e-6 * np.sin(2 * np.pi * frequency * np.arange(round(4 * FS)) / FS)

    found = findings_of(data)
    assert not [f for f in found if f.pattern == "a_train"]
    (over,) = ended(found, "artefact")
    assert over.onset / FS == pytest.approx(2.0, abs=0.02)
    assert over.offset / FS == pytest.approx(6.0, abs=0.02)


def test_a_tone_on_all_channels_at_once_is_an_artefact():
    data = quiet(6)
    span = slice(round(2 * FS), round(4 * FS))
    data[:, span] += 150e-6 * np.sin(2 * np.pi * 137.0 * np.arange(round(2 * FS)) / FS)

    found = findings_of(data)
    assert {f.channel for f in ended(found, "artefact")} == set(NAMES)
    assert not ended(found, "a_train")  # what was told at first is withdrawn


def test_a_drill_that_runs_up_is_no_a_train():
    data = quiet(6)
    t = np.arange(round(1.0 * FS)) / FS
    data[:, round(2 * FS) : round(3 * FS)] += 150e-6 * np.sin(2 * np.pi * (30 * t + 485 * t**2))

    assert not ended(findings_of(data), "a_train")


def test_spasm_strikes_several_branches_and_is_labelled():
    data = quiet(8)
    volleys = spasm([(2.0, 5.0)], NAMES[:4], 1)
    for row, name in enumerate(NAMES[:4]):
        for train in trains([volleys[name]]):
            train.add_to(data[row], FS, 0)

    found = findings_of(data)
    struck = {f.channel for f in ended(found, "spasm")}
    assert len(struck) >= 3
    assert "Masseter" not in struck
    for f in ended(found, "spasm"):
        assert f.onset / FS == pytest.approx(2.0, abs=1.0)
        assert f.offset / FS == pytest.approx(5.0, abs=1.0)


def test_what_begins_on_every_channel_and_the_control_is_an_artefact():
    data = quiet(4)
    data[:, round(2 * FS) : round(2 * FS) + 30] += 400e-6 * np.hanning(30)

    assert {f.pattern for f in findings_of(data)} == {"artefact"}


def test_noise_hum_and_a_step_of_noise_are_nothing_for_long():
    t = np.arange(round(60 * FS)) / FS
    data = quiet(60) + 10e-6 * np.sin(2 * np.pi * 50 * t)

    assert len(findings_of(data)) <= 2


def test_the_noise_level_does_not_depend_on_the_bandwidth():
    for corner in (100.0, 300.0, 3000.0):
        sos = signal.butter(2, (30.0, corner), "bandpass", output="sos", fs=FS)
        data = signal.sosfilt(sos, np.random.default_rng(1).standard_normal((1, round(30 * FS))))
        data *= NOISE / data[:, 5000:].std()
        running = FreeRun().start(StreamInfo(FS, (Channel("Mentalis"),)))
        running.push(Chunk(data, np.ones(data.shape, bool), 0))

        assert running.noise["Mentalis"] == pytest.approx(NOISE, rel=0.1)


def test_a_stimulus_and_its_response_are_blind_and_its_after_discharge_too():
    data = quiet(6)
    triggers = [Trigger(at, "zygomatic") for at in range(round(1.5 * FS), round(5.5 * FS), 4500)]
    for trigger in triggers:
        data[:4, trigger.sample : trigger.sample + 20] += 3e-3
        put(data, 3, "burst", trigger.sample / FS + 0.01, 0.07, peak=300e-6)  # ends behind the frame

    running = FreeRun().start(INFO)
    found = running.push(Chunk(data, np.ones(data.shape, bool), 0, tuple(triggers)))
    assert found == []
    assert running.blind["Mentalis"] == pytest.approx(len(triggers) * 0.042 / 6, rel=0.1)


def test_an_a_train_goes_on_through_a_stimulus_frame():
    data = quiet(6)
    truth = put(data, 3, "a_train", 2.0, 1.5, frequency=130.0)
    triggers = [Trigger(round(at * FS), "zygomatic") for at in (2.4, 2.85)]
    for trigger in triggers:
        data[:4, trigger.sample : trigger.sample + 20] += 3e-3

    (over,) = ended(findings_of(data, triggers), "a_train")
    assert over.onset / FS == pytest.approx(truth.onset, abs=5e-3)
    assert over.offset / FS == pytest.approx(truth.offset, abs=10e-3)


def test_clicks_do_not_blind():
    data = quiet(4)
    truth = put(data, 3, "a_train", 2.0, 0.5, frequency=130.0)
    clicks = [Trigger(at, "click") for at in range(0, round(4 * FS), 371)]

    (over,) = ended(findings_of(data, clicks), "a_train")
    assert over.onset / FS == pytest.approx(truth.onset, abs=5e-3)


def test_a_mark_of_artefact_blinds_its_channel_and_withdraws_what_has_just_begun():
    data = quiet(6)
    for row in (2, 3):
        data[row, round(2 * FS) : round(3 * FS)] += 300e-6 * np.random.default_rng(row).standard_normal(
            round(FS)
        )
    marks = [
        ArtefactMark(round(2.03 * FS), "OrbOris", "cautery", active=True),
        ArtefactMark(round(3.1 * FS), "OrbOris", "cautery", active=False),
    ]

    found = ended(findings_of(data, marks=marks))
    assert "OrbOris" not in {f.channel for f in found}
    assert "Mentalis" in {f.channel for f in found}


def test_samples_that_are_missing_harm_their_own_channel_only():
    data = quiet(5)
    truth = put(data, 3, "a_train", 2.0, 0.5, frequency=130.0)
    data[1, round(1 * FS) : round(4 * FS)] = np.nan

    (over,) = ended(findings_of(data))
    assert over.pattern == "a_train"
    assert over.onset / FS == pytest.approx(truth.onset, abs=5e-3)


CASE = quiet(3.5, seed=7)
for _row, _pattern in enumerate(("a_train", "burst", "b_train_spikes", "c_train", "tonic")):
    put(CASE, _row, _pattern, 1.0 + 0.1 * _row, {"burst": 0.2}.get(_pattern, 1.2), peak=400e-6, seed=4)
CASE[2, 21_000:21_050] = np.nan
TRIGGERS = tuple(Trigger(at, "zygomatic") for at in (12_345, 17_000, 25_111))
MARKS = (ArtefactMark(26_000, "Frontalis", "cautery", active=True),)
WHOLE = findings_of(CASE, TRIGGERS, marks=MARKS)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, CASE.shape[1]), max_size=40))
def test_no_cutting_changes_a_bit(borders):
    assert findings_of(CASE, TRIGGERS, borders, MARKS) == WHOLE


def test_chunks_of_one_sample_and_empty_ones_change_nothing():
    assert len(WHOLE) >= 6
    borders = [*range(12_000, 13_000), *([20_000] * 3)]

    assert findings_of(CASE, TRIGGERS, borders, MARKS) == WHOLE


def test_permuted_channels_give_permuted_findings():
    order = [3, 0, 4, 1, 2]
    info = StreamInfo(FS, tuple(INFO.channels[i] for i in order))

    found = findings_of(CASE[order], TRIGGERS, marks=MARKS, info=info)

    def key(f):
        return f.sample, f.channel, f.pattern, f.active

    assert sorted(found, key=key) == sorted(WHOLE, key=key)


def test_scaled_signals_of_another_start_give_the_same_findings_later():
    running = FreeRun(frames=()).start(INFO)
    later = FreeRun(frames=()).start(INFO)
    valid = np.isfinite(CASE)

    first = running.push(Chunk(CASE, valid, 0))
    second = later.push(Chunk(CASE, valid, 12_345))
    assert [(f.sample + 12_345, f.onset + 12_345, f.pattern) for f in first] == [
        (f.sample, f.onset, f.pattern) for f in second
    ]


def test_findings_come_in_order_of_their_sample():
    assert [f.sample for f in WHOLE] == sorted(f.sample for f in WHOLE)
    assert all(f.sample >= (f.offset or f.onset) - 1 for f in WHOLE)


def test_settings_that_cannot_be_right_are_refused():
    with pytest.raises(ValueError, match=r"need 0 < low <= high, got low=6, high=5"):
        FreeRun(low=6.0)
    with pytest.raises(ValueError, match=r"need 0 <= before <= 0\.01 s .* for site 'zygomatic'"):
        Frame("zygomatic", before=0.1)
    with pytest.raises(SetupError, match="free-run EMG needs fs >= 2000 Hz"):
        FreeRun().start(StreamInfo(500.0, (Channel("Mentalis"),)))


def test_memory_stays_flat_over_busy_hours():
    part = CASE[:, 5000:]
    running = FreeRun().start(INFO)
    sizes = []
    for turn in range(6):
        running.push(Chunk(part, np.isfinite(part), turn * part.shape[1]))
        sizes.append(len(pickle.dumps(running)))

    assert max(sizes[2:]) < 1.1 * max(sizes[:2])


@pytest.mark.parametrize("frequency", [50.0, 60.0])
def test_the_hum_of_a_loose_electrode_is_an_artefact_and_no_c_train(frequency):
    data = quiet(6)
    t = np.arange(20_000) / FS
    harmonics = sum(a * np.sin(2 * np.pi * k * frequency * t) for k, a in ((1, 1.0), (3, 0.35), (5, 0.2)))
    data[3, 20_000:40_000] += 2.5e-3 * harmonics

    found = ended(findings_of(data))

    assert [(f.channel, f.pattern) for f in found] == [("Mentalis", "artefact")]
    assert found[0].offset - found[0].onset == pytest.approx(20_000, abs=200)
